"""`pgexp`: trains a run, or with -m a sweep."""

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from pgexp.cli.folder import config_folder
from pgexp.cli.telling import refuse, tell
from pgexp.schema.determinism import pin
from pgexp.schema.errors import ConfigError

INTERRUPTED = 130  # the exit code of Ctrl-C, as shells have it


def main() -> None:
    """Run the command and exit."""
    pin()
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra raises its errors instead of printing them
    sys.path.insert(0, str(Path.cwd()))  # a user's own modules stand where the command is called
    signal.signal(signal.SIGTERM, _interrupt)
    given = sys.argv[1:]
    try:
        if {"-m", "--multirun"} & set(given):
            from pgexp.cli.beside import of_each_job
            from pgexp.cli.early import check_values

            sys.argv[1:] = of_each_job(given)
            check_values(sys.argv[1:])
        _application()
    except ConfigError as error:
        refuse(error)
    except KeyboardInterrupt:
        tell("interrupted; what was recorded until then is readable, and marked KILLED")
        sys.exit(INTERRUPTED)
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError) as error:  # what composing raises
        from pgexp.cli.errors import explained

        refuse(explained(error, given))


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
        refuse(error)


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
