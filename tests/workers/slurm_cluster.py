"""Slurm cluster of one node on the loopback interface.

It needs Debian's packages slurmctld, slurmd, slurm-client and munge, and root permissions for the node's daemon.
"""

import os
import secrets
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Self

from tests.mlflow_server import free_port
from tests.workers.tasks import wait_until

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "sinfo", "squeue", "scancel", "srun")
CONFIG = """
ClusterName=pgexp
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MailProg=/bin/true
ReturnToService=2
NodeName=alpha NodeHostname={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=4096
PartitionName=all Nodes=alpha Default=YES MaxTime=INFINITE State=UP
"""


class Slurm:
    """A controller and a node, for the duration of the block. `SLURM_CONF` must name its `config`."""

    def __init__(self, folder: Path) -> None:
        missing = [name for name in PROGRAMS if shutil.which(name) is None]
        assert not missing, f"{', '.join(missing)} missing: apt-get install slurmctld slurmd slurm-client munge"
        assert os.geteuid() == 0, "only root can start a Slurm node"
        self.config = folder / "slurm.conf"
        self.hidden = folder / "hidden"  # a folder that the node does not see
        self._folder = folder
        self._daemons: list[subprocess.Popen[bytes]] = []
        for name in ("state", "spool", "munge", "hidden"):
            (folder / name).mkdir()
        key = folder / "munge" / "key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(128))
        host = os.uname().nodename.partition(".")[0]
        ports = {"controller": free_port(), "node": free_port()}
        self.config.write_text(CONFIG.format(folder=folder, host=host, **ports))

    def __enter__(self) -> Self:
        munge, config = self._folder / "munge", str(self.config)
        places = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        options = [f"--{option}={munge / name}" for option, name in places.items()]
        try:
            self._start("munged", "--foreground", "--force", *options)  # force: its folder is closed to other users
            wait_until((munge / "socket").exists)
            self._start("slurmctld", "-D", "-c", "-f", config)
            node = shlex.join(["slurmd", "-D", "-N", "alpha", "-f", config])
            covered = f"mount -t tmpfs none {shlex.quote(str(self.hidden))}"  # the node sees another folder there
            self._start("unshare", "--mount", "sh", "-c", f"{covered} && exec {node}")
            wait_until(lambda: self.query("sinfo", "--noheader", "--format=%t") == "idle")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if len(self._daemons) > 1:  # their steps are not the daemons' children
            self.query("scancel", "--state=PENDING,RUNNING", "--signal=KILL", "--full", "--user=root")
            wait_until(lambda: self.query("squeue", "--noheader") == "")
        for daemon in reversed(self._daemons):
            daemon.terminate()
            daemon.wait(30)

    def query(self, *command: str) -> str:
        """Return what one of Slurm's commands answers."""
        environment = os.environ | {"SLURM_CONF": str(self.config)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
        return done.stdout.strip()

    def _start(self, *command: str) -> None:
        with (self._folder / f"{command[0]}.out").open("wb") as said:
            self._daemons.append(subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True))
