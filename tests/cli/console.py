"""Calls of `pgexp` from a shell, or in forks of a server that has loaded heavy modules. As a script, it is the server.

A fork behaves like a new process, with its own working directory, environment, modules, signals and exit code.
"""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import NoReturn

SCRIPTS = Path(sys.executable).parent
HEAVY = ("torch", "mlflow", "gymnasium", "pandas", "scipy", "matplotlib")
LONGEST = 60  # maximum seconds per command
WRITING = os.O_WRONLY | os.O_CREAT


@dataclass(frozen=True)
class Answer:
    """Exit code and output of a command, and for forks the heavy modules that it loaded."""

    code: int
    out: str
    err: str
    loaded: Sequence[str] = ()

    @property
    def mistake(self) -> str:
        """The error of a refused command: one line on stderr, without the command's name."""
        assert self.code == 2, self.err
        assert self.err.startswith("pgexp: ")
        assert self.err.count("\n") == 1, self.err
        return self.err.removeprefix("pgexp: ").rstrip("\n")


def shell(folder: Path, script: str, *arguments: str) -> Answer:
    """Run a console script in a folder."""
    command = [SCRIPTS / script, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LONGEST, check=False)
    return Answer(done.returncode, done.stdout, without_announcement(done.stderr))


def without_announcement(err: str) -> str:
    """Return standard error without the line about the compilation of kernels, which depends on their cache."""
    return re.sub(r"^pgexp: compiling kernels .*\n", "", err, flags=re.MULTILINE)


class Server:
    """Process that has imported some modules, and runs `pgexp` in forks."""

    def __init__(self, *modules: str) -> None:
        command = [sys.executable, "-P", __file__, *modules]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(
        self,
        folder: Path,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        missing: Iterable[str] = (),
        file_size: int = resource.RLIM_INFINITY,
    ) -> Answer:
        """Run `pgexp` in a fork of the server.

        A sweep's runs are trained by the command itself, unless the arguments have `workers`, and all runs are trained,
        unless the arguments have `sweep.rerun`.

        Args:
            folder: the working directory.
            arguments: the command's arguments.
            environment: additional environment variables.
            missing: modules that cannot be imported.
            file_size: the limit of a file's size, in bytes.
        """
        assert self._process.stdin
        assert self._process.stdout
        for key, value in (("workers", ".processes=0"), ("sweep.rerun", "=true")):
            if "-m" in arguments and not any(argument.startswith(key) for argument in arguments):
                arguments = (*arguments, key + value)
        request = {"arguments": arguments, "folder": str(folder)}
        request |= {"environment": environment or {}, "missing": [*missing], "file_size": file_size}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return Answer(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.communicate()


def serve(modules: Iterable[str]) -> None:
    from pgexp.schema.determinism import pin

    pin()  # as the command does before it loads anything
    for module in modules:
        import_module(module)
    for line in sys.stdin:
        print(json.dumps(asdict(_answered(json.loads(line)))), flush=True)


def _answered(request: Mapping[str, object]) -> Answer:
    with tempfile.TemporaryDirectory() as folder:
        said = [Path(folder) / name for name in ("out", "err", "loaded")]
        child = os.fork()
        if not child:
            _run(*said, **request)
        status = os.waitpid(child, 0)[1]
        out, err, loaded = (path.read_text() if path.exists() else "" for path in said)
    return Answer(os.waitstatus_to_exitcode(status), out, without_announcement(err), loaded.split())


def _run(
    out: Path,
    err: Path,
    loaded: Path,
    arguments: Sequence[str],
    folder: str,
    environment: Mapping[str, str],
    missing: Sequence[str],
    file_size: int,
) -> NoReturn:
    before = set(sys.modules)
    signal.alarm(LONGEST)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests run in a shell's background
    for descriptor, (path, mode) in enumerate(((os.devnull, os.O_RDONLY), (out, WRITING), (err, WRITING))):
        os.dup2(os.open(path, mode), descriptor)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    os.chdir(folder)
    os.environ |= environment
    sys.modules.update(dict.fromkeys(missing))
    sys.argv = ["pgexp", *arguments]
    code = 1
    try:
        from pgexp.cli.train import main

        main()
        code = 0
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        loaded.write_text(" ".join(name for name in HEAVY if name in sys.modules.keys() - before))
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1:])
