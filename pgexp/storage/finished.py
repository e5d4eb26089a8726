"""Which runs of an experiment have finished, by their key and the version of their code: these need no training again.

``python -m pgexp.storage.finished URI EXPERIMENT`` prints them, a JSON object a line. It is a process of its own beside
the planning of a sweep, since MLflow takes seconds to import, and a store may not answer.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pgexp.schema import names
from pgexp.storage.draining import in_short, set_up_mlflow
from pgexp.storage.secrets import mask_uri
from pgexp.storage.store_uri import URI_VARIABLE, full_uri

if TYPE_CHECKING:
    from pgexp.storage.mlflow_client import Run

_MODULE: Final = "pgexp.storage.finished"
_SQLITE: Final = "sqlite:///"
_UNKNOWN: Final = 3  # the process's exit code where the store can't be asked
_LOOK = 0.05  # seconds between two looks at the process
_NEEDED = {names.TAG_KEY, names.TAG_CODE, names.TAG_RECORD, names.TAG_FOLDER, names.TAG_CONFIGURATION}
_FINISHED = f"attributes.status = 'FINISHED' and tags.`{names.TAG_ROLE}` = '{names.ROLE_RUN}'"

Key = tuple[str, str]
"""A run's key, and its code's."""


@dataclass(frozen=True)
class FinishedRun:
    """A run that finished, as MLflow has it."""

    key: str
    code: str
    record: str
    run_id: str
    folder: str  # absolute; it may be gone
    seed: int
    configuration: str
    metrics: dict[str, float]  # those of its final evaluation

    @property
    def score(self) -> float | None:
        """Its final mean return, if it was evaluated."""
        return self.metrics.get(names.FINAL_RETURN)


@dataclass(frozen=True)
class Unknown:
    """The store could not be asked, and why."""

    reason: str


def finished(uri: str, experiment: str) -> dict[Key, FinishedRun]:
    """Return the runs of an experiment that finished and are not deleted; of several with one key, the newest.

    Raises what the store raises.
    """
    found: dict[Key, FinishedRun] = {}
    for run in _found(uri, experiment):
        found.setdefault((run.key, run.code), run)
    return found


def _found(uri: str, experiment: str) -> Iterator[FinishedRun]:
    """Yield them all, the newest first."""
    if _is_absent(uri):
        return
    from pgexp.storage.mlflow_client import connect, found_runs  # takes seconds

    client = connect(full_uri(uri))
    known = client.get_experiment_by_name(experiment)
    if known is None:
        return
    for run in found_runs(client, [known.experiment_id], _FINISHED):
        if run.data.tags.keys() >= _NEEDED and "seed" in run.data.params:  # else it is of somebody else's making
            yield _read(run)


def _read(run: "Run") -> FinishedRun:
    tags = run.data.tags
    return FinishedRun(
        key=tags[names.TAG_KEY],
        code=tags[names.TAG_CODE],
        record=tags[names.TAG_RECORD],
        run_id=run.info.run_id,
        folder=tags[names.TAG_FOLDER],
        seed=int(run.data.params["seed"]),
        configuration=tags[names.TAG_CONFIGURATION],
        metrics={name: value for name, value in run.data.metrics.items() if name.startswith(f"{names.FINAL}/")},
    )


def _is_absent(uri: str) -> bool:
    """Return whether it is a database file that does not exist; MLflow would make one."""
    return uri.startswith(_SQLITE) and not Path(uri.removeprefix(_SQLITE).partition("?")[0]).is_file()


class FinishedSearch:
    """A search for finished runs in a process of its own, which is to be asked for its result, or closed."""

    def __init__(self, uri: str, experiment: str) -> None:
        """Start a search, as `start` does."""
        self._answer = _passing_file()
        self._is_closed = False
        self._process = None if _is_absent(uri) else self._started(uri, experiment)

    @classmethod
    def start(cls, uri: str, experiment: str) -> "FinishedSearch":
        """Start searching a store, whose address may have a password; a database that does not exist holds nothing."""
        return cls(uri, experiment)

    def _started(self, uri: str, experiment: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", _MODULE, mask_uri(uri), experiment],
            stdin=subprocess.DEVNULL,
            stdout=self._answer,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the command, which then closes this
            env=os.environ | {URI_VARIABLE: uri},
        )

    def result(self, timeout: float = 15.0) -> Mapping[Key, FinishedRun] | Unknown:
        """Return what was found, or that nothing came for so many seconds, or why it can't be known. It closes."""
        code = 0 if self._process is None else self._awaited(self._process, timeout)
        os.lseek(self._answer, 0, os.SEEK_SET)
        with os.fdopen(os.dup(self._answer), "rb") as answer:
            said = answer.read().splitlines()
        self.close()
        if code is None:
            return Unknown(f"the store did not answer within {timeout:g} s")
        if code == _UNKNOWN:
            return Unknown(json.loads(said[-1])["unknown"])
        if code:
            return Unknown(f"the search ended with code {code}")
        runs = [FinishedRun(**json.loads(line)) for line in said if line]
        return {(run.key, run.code): run for run in reversed(runs)}  # the newest last, which stays

    def close(self) -> None:
        """End the search; a second time changes nothing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if not self._is_closed:
            self._is_closed = True
            os.close(self._answer)

    def _awaited(self, process: subprocess.Popen[bytes], timeout: float) -> int | None:
        """Return the process's exit code, or None where it has not got on for so many seconds."""
        size, since = 0, time.monotonic()
        while time.monotonic() - since < timeout:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(_LOOK)
            if (grown := os.fstat(self._answer).st_size) > size:
                size, since = grown, time.monotonic()
        return process.poll()


def _passing_file() -> int:
    """Return a file without a name, open; a pipe would be full while nobody reads it."""
    file, name = tempfile.mkstemp()
    Path(name).unlink()
    return file


def main(argv: list[str]) -> int:
    """Print the finished runs of a store's experiment, the newest first, or why they can't be known."""
    set_up_mlflow()
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "8"  # seconds: a command waits for the answer
    uri, experiment = argv
    said = sys.stdout
    try:
        with contextlib.redirect_stdout(sys.stderr):  # a library's prints are no runs
            import pgexp.storage.mlflow_client  # noqa: F401 - seconds, before the sign of life

            print(file=said, flush=True)  # a sign of life
            for run in _found(uri, experiment):
                print(json.dumps(asdict(run)), file=said)
    except Exception as error:  # the libraries of a store have errors of many kinds
        print(json.dumps({"unknown": in_short(error)}), file=said)
        return _UNKNOWN
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
