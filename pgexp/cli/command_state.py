"""State of one `pgexp` command: its output folders and its exit code.

Hydra calls the command's task, launcher and callback without a reference to the command. They get the state from
`current_state`.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from pgexp.cli.messages import USAGE_ERROR, format_os_error, print_problems
from pgexp.schema.errors import UserError
from pgexp.schema.names import CONFIG_FILE, PROVENANCE_FOLDER, RUN_FILE

# Files and folders that a command may create before it records a run.
_EARLY_FILES = frozenset({"multirun.yaml", "study.db", CONFIG_FILE, RUN_FILE})
_EARLY_FOLDERS = frozenset({".hydra", PROVENANCE_FOLDER})


class OutputDirs:
    """Folders that a command writes to. If it records no run, it leaves none of its files."""

    def __init__(self) -> None:
        self.is_recorded = False
        self._reserved: list[Path] = []
        self._created: list[Path] = []
        self._early_folders = set(_EARLY_FOLDERS)

    @property
    def last(self) -> Path | None:
        """The folder that was reserved last: the error of a full disk may not name its file."""
        return self._reserved[-1] if self._reserved else None

    def reserve(self, folder: Path, key: str) -> None:
        """Create a folder, and note which of its files belong to this command.

        key: the setting with the folder's path. Raises UserError if the folder contains a recorded run.
        """
        from pgexp.runs.manifest import require_new  # takes .1 s, which --help does not need

        if folder.exists() and not folder.is_dir():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))
        require_new(folder, key)
        self._reserved.append(folder)
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        for path in reversed(missing):
            with suppress(FileExistsError):  # another command created it at the same time
                path.mkdir()
                self._created.append(path)
        if not missing:
            early = _EARLY_FILES | self._early_folders
            self._created.extend(folder / name for name in early if not (folder / name).exists())

    def add_early_folder(self, name: str) -> None:
        """Add the name of a folder that Hydra creates before the run is recorded."""
        self._early_folders.add(name)

    def keep(self) -> None:
        """Keep the folders, because a run was recorded."""
        self.is_recorded = True
        self._created.clear()

    def remove_unrecorded(self) -> None:
        """Remove what this command created, unless a run was recorded. Other files remain, with their folders."""
        for path in reversed(self._created):
            with suppress(OSError):
                self._remove(path)
        self._created.clear()

    def _remove(self, path: Path) -> None:
        if path.name in self._early_folders:
            shutil.rmtree(path, ignore_errors=True)
        elif path.is_dir() and not path.is_symlink():
            for inner in path.iterdir():
                if inner.is_dir() or inner.name in _EARLY_FILES or inner.name.endswith((".log", ".lock")):
                    self._remove(inner)
            with suppress(OSError):  # not empty
                path.rmdir()
        else:
            path.unlink(missing_ok=True)


class CommandState:
    """State of one `pgexp` command."""

    def __init__(self) -> None:
        self.output_dirs = OutputDirs()
        self.exit_code = 0

    def close(self) -> None:
        """Remove the output folders if no run was recorded."""
        self.output_dirs.remove_unrecorded()


_state: ContextVar[CommandState] = ContextVar("command state")


@contextmanager
def new_state() -> Iterator[CommandState]:
    """Yield the state of a new command, which `current_state` returns in this context."""
    state = CommandState()
    token = _state.set(state)
    try:
        yield state
    finally:
        _state.reset(token)
        state.close()


def current_state() -> CommandState:
    """Return the state of the command in progress."""
    return _state.get()


class ReserveOutputDir(Callback):
    """Hydra callback that reserves the output folder, after a config is composed and before anything is written."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Reserve the run's folder."""
        _reserve_or_exit(config, "run")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Reserve the sweep's folder."""
        _reserve_or_exit(config, "sweep")


def _reserve_or_exit(config: DictConfig, mode: str) -> None:
    """Reserve the folder of a run or sweep. Exits if that fails, since Hydra turns exceptions into warnings."""
    try:
        for key in ("output_subdir", "job.name"):
            _require_name(f"hydra.{key}", OmegaConf.select(config.hydra, key))
        dirs = current_state().output_dirs
        if config.hydra.output_subdir is not None:
            dirs.add_early_folder(config.hydra.output_subdir)
        dirs.reserve(Path(config.hydra[mode].dir).absolute(), f"hydra.{mode}.dir")
        return
    except UserError as user_error:
        error = user_error
    except OSError as os_error:
        error = UserError.at(f"hydra.{mode}.dir", format_os_error(os_error))
    except ValueError as value_error:  # an invalid path, or an interpolation that cannot be resolved
        error = UserError.at(f"hydra.{mode}.dir", str(value_error).splitlines()[0])
    print_problems(error)
    raise SystemExit(USAGE_ERROR)


def _require_name(key: str, name: str | None) -> None:
    """Raise UserError if a name would lead out of the run's folder."""
    if name is not None and (name in ("", ".", "..") or "/" in name):
        raise UserError.at(key, f"must be the name of a file in the run's folder (got {name!r})")
