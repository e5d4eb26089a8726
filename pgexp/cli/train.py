"""`pgexp`: trains a run, or with -m a sweep."""

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console

from pgexp.cli.folder import config_folder
from pgexp.schema.determinism import pin
from pgexp.schema.errors import ConfigError

MISTAKE = 2  # exit codes, as argparse and shells have them
INTERRUPTED = 130


def main() -> None:
    """Run the command and exit."""
    pin()
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra raises its errors instead of printing them
    sys.path.insert(0, str(Path.cwd()))  # a user's own modules stand where the command is called
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        if {"-m", "--multirun"} & set(sys.argv):
            from pgexp.cli.early import check_values

            check_values(sys.argv[1:])
        _application()
    except ConfigError as error:
        _refuse(error)
    except KeyboardInterrupt:
        _tell("interrupted; what was recorded until then is readable, and marked KILLED")
        sys.exit(INTERRUPTED)
    except Exception as error:  # of composing: what training raises is told where it is called
        from pgexp.cli.errors import explained

        _refuse(explained(error, sys.argv[1:]))


@hydra.main(version_base="1.3", config_path=str(config_folder()), config_name="config")
def _application(config: DictConfig) -> float | None:
    """Train one run, in the folder that Hydra made for it; return its final score."""
    settings = HydraConfig.get()
    folder = Path(settings.runtime.output_dir)
    from pgexp.cli.config import typed

    try:
        run = typed(config, settings.runtime.choices)

        from pgexp.cli.outcome import train_and_tell
        from pgexp.execution.plan import Job

        return train_and_tell([Job(run, folder)], folder, sweep=False)[0]
    except ConfigError as error:  # here, since Hydra would print a preamble of its own
        _refuse(error)


def _refuse(error: ConfigError) -> NoReturn:
    for problem in error.problems:
        _tell(str(problem))
    sys.exit(MISTAKE)


def _tell(text: str) -> None:
    Console(stderr=True).print(f"pgexp: {text}", markup=False, highlight=False, soft_wrap=True)


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
