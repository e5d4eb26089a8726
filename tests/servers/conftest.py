"""A PostgreSQL cluster and an S3 server on the loopback interface."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pgexp.runs.manifest import SweepManifest, Tracking, save_manifest
from tests.manifests import run_entry
from tests.mlflow_server import free_port

PASSWORD = "s3cr3t-hunter2"
USER = "pgexp"


class Postgres:
    """A PostgreSQL cluster that can be stopped and started. It needs Debian's package `postgresql`."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._data = folder / "data"
        self._log = folder / "postgres.log"
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        assert programs, "PostgreSQL is not installed: apt-get install postgresql"
        self._programs = programs[-1]
        secret = folder / "password"
        secret.write_text(PASSWORD)
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            for path in (folder, secret):
                shutil.chown(path, "postgres", "postgres")
        self._run("initdb", "-D", str(self._data), "-U", USER, "-A", "scram-sha-256", f"--pwfile={secret}")

    def start(self) -> None:
        settings = f"-p {self.port} -h 127.0.0.1 -c unix_socket_directories=''"
        self._run("pg_ctl", "-D", str(self._data), "-l", str(self._log), "-o", settings, "-w", "start")

    def stop(self) -> None:
        """Stop it as a crash would."""
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")

    def database(self, name: str) -> str:
        """Create a database and return its address."""
        address = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}"
        subprocess.run(["psql", "-q", f"{address}/postgres", "-c", f"CREATE DATABASE {name}"], check=True)
        return f"{address}/{name}"

    def _run(self, program: str, *arguments: str) -> None:
        command = shlex.join([str(self._programs / program), *arguments])
        shell = ["su", "postgres", "-c", command] if os.geteuid() == 0 else ["sh", "-c", command]
        subprocess.run(shell, check=True, stdout=subprocess.DEVNULL, cwd="/")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with TemporaryDirectory(prefix="pgexp-postgres-") as folder:  # other users cannot read pytest's folders
        cluster = Postgres(Path(folder))
        cluster.start()
        yield cluster
        cluster.stop()


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """The address of a bucket in a local S3 server; environment variables name the server."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_S3_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "someone")
        patch.setenv("AWS_SECRET_ACCESS_KEY", PASSWORD)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        boto3.client("s3", endpoint_url=f"http://{host}:{port}").create_bucket(Bucket="runs")
        yield "s3://runs"
    server.stop()


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[..., SweepManifest]:
    """Return a function that writes the manifest of a sweep of two configurations with two seeds each."""

    def make(uri: str, name: str = "sweep") -> SweepManifest:
        runs = tuple(run_entry(lr, seed, f"runs/{lr}-{seed}") for lr in "ab" for seed in (0, 1))
        runs = tuple(replace(run, record=f"{name}-{run.record}") for run in runs)
        tracking = Tracking(uri, f"corridor of {tmp_path.name} {name}", max_points=2)
        manifest = SweepManifest(tmp_path / name, f"sweep {name}", "a and b", "pgexp -m lr=a,b", tracking, runs, {})
        save_manifest(manifest)
        return manifest

    return make
