"""Keeps recorded runs, and leaves nothing of a command that recorded none.

Hydra makes a run's folder, and writes the config there, before it is known whether the run can be trained.
"""

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from pgexp.cli.telling import refuse, told
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.names import CONFIG_FILE, PROVENANCE_FOLDER, RUN_FILE

# What may stand in a folder before anything is recorded there.
_EARLY_FILES = frozenset({"multirun.yaml", "study.db", CONFIG_FILE, RUN_FILE})
_early_folders = {".hydra", PROVENANCE_FOLDER}

_claimed: list[Path] = []  # the folders that this command writes to
_made: list[Path] = []  # what of them is its own, until something is recorded


class KeepRecordedRuns(Callback):
    """Called by Hydra when a command's config is composed, and nothing is written yet."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Claim the run's folder."""
        _claim_or_exit(config, "run")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Claim the sweep's folder."""
        _claim_or_exit(config, "sweep")


def claim(folder: Path, key: str) -> None:
    """Make a folder, and remember what of it is this command's own.

    `key` is the setting that names it. Raises ConfigError where it holds a recorded run.
    """
    from pgexp.storage.record import require_new  # a tenth of a second, which --help can do without

    if folder.exists() and not folder.is_dir():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))
    require_new(folder, key)
    _claimed.append(folder)
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        with suppress(FileExistsError):  # another command was faster: it is that one's
            path.mkdir()
            _made.append(path)
    if not missing:
        _made.extend(folder / name for name in _EARLY_FILES | _early_folders if not (folder / name).exists())


def last_claimed() -> Path | None:
    """Return the folder that is written to, if any is: an error of writing may not name its file."""
    return _claimed[-1] if _claimed else None


def recorded() -> None:
    """Keep what this command made."""
    _made.clear()


def is_recorded() -> bool:
    """Return whether this command has recorded anything."""
    return bool(_claimed) and not _made


def remove_unrecorded() -> None:
    """Remove what this command made, if it recorded nothing; what it does not know stays, and the folders around it."""
    for path in reversed(_made):
        with suppress(OSError):  # it is gone, or can't be removed
            _remove(path)
    _made.clear()


def _remove(path: Path) -> None:
    if path.name in _early_folders:
        shutil.rmtree(path, ignore_errors=True)
    elif path.is_dir() and not path.is_symlink():
        for inner in path.iterdir():
            if inner.is_dir() or inner.name in _EARLY_FILES or inner.name.endswith((".log", ".lock")):
                _remove(inner)
        with suppress(OSError):  # it is not empty
            path.rmdir()
    else:
        path.unlink(missing_ok=True)


def _claim_or_exit(config: DictConfig, mode: str) -> None:
    """Claim the folder of a run or of a sweep, or exit: Hydra would make a warning of an exception."""
    try:
        for key in ("output_subdir", "job.name"):
            _require_name(f"hydra.{key}", OmegaConf.select(config.hydra, key))
        if config.hydra.output_subdir is not None:
            _early_folders.add(config.hydra.output_subdir)
        claim(Path(config.hydra[mode].dir).absolute(), f"hydra.{mode}.dir")
    except ConfigError as error:
        refuse(error)
    except OSError as error:
        refuse(ConfigError([Problem(f"hydra.{mode}.dir", told(error))]))
    except ValueError as error:  # of a name that is none, or of an interpolation
        refuse(ConfigError([Problem(f"hydra.{mode}.dir", str(error).splitlines()[0])]))


def _require_name(key: str, name: str | None) -> None:
    """Raise ConfigError where a name would lead out of the run's folder."""
    if name is not None and (name in ("", ".", "..") or "/" in name):
        raise ConfigError([Problem(key, f"given {name!r}; must be the name of something in the run's folder")])
