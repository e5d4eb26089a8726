"""`pgexp`: trains a run, or with -m a sweep."""

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from pgexp.cli.calling import interrupt_at_sigterm
from pgexp.cli.folder import config_folder
from pgexp.cli.keep import is_recorded, remove_unrecorded
from pgexp.cli.streams import hush, settle, working_folder
from pgexp.cli.telling import INTERRUPTED, exit_code, refuse, tell
from pgexp.cli.yaml_size import require_bounded
from pgexp.schema.determinism import pin
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.names import FINAL_RETURN

_KEPT = "what was recorded until then is readable, and marked KILLED; pgexp-resume goes on with it"


def main() -> None:
    """Run the command and exit."""
    pin()
    settle()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors instead of printing them
    interrupt_at_sigterm()
    given = sys.argv[1:]
    try:
        _run(given)
        sys.exit(exit_code())
    except ConfigError as error:
        refuse(error)
    except KeyboardInterrupt:
        tell(f"interrupted; {_KEPT if is_recorded() else 'nothing was recorded'}")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        hush()
    except Exception as error:  # composing may raise anything; what training raises is told where it is started
        from pgexp.cli.errors import explained

        refuse(explained(error, given))
    finally:
        remove_unrecorded()


def _run(given: Sequence[str]) -> None:
    """Run the command that the arguments make."""
    sys.path.insert(0, str(working_folder()))  # a user's own modules stand where the command is called
    options = _options(given)
    if options.experimental_rerun is not None:
        text = "not supported, since it runs whatever code is in the file; pgexp-reproduce runs a recorded run again"
        raise ConfigError([Problem("--experimental-rerun", text)])
    for folder in filter(None, (options.config_dir, options.config_path)):
        require_bounded(Path(folder))
    if options.multirun:
        from pgexp.cli.beside import of_each_job
        from pgexp.cli.early import check_values

        sys.argv[1:] = of_each_job(given)
        check_values(sys.argv[1:])
    _application()


def _options(given: Sequence[str]) -> Namespace:
    """Return the options of a command line, as Hydra reads them. Raises ConfigError where it would print its usage."""
    said = StringIO()
    parser = get_args_parser()
    try:
        with redirect_stderr(said):
            return parser.parse_args(given)
    except SystemExit as stopped:
        if not stopped.code:
            raise
        text = said.getvalue().partition(f"{parser.prog}: error: ")[2].strip()
        raise ConfigError(
            [Problem("options", f"{text}; pgexp --help and pgexp --hydra-help tell what there is")]
        ) from None


@hydra.main(version_base="1.3", config_path=str(config_folder()), config_name="config")
def _application(config: DictConfig) -> float | None:
    """Train one run, in the folder that Hydra made for it; return its final score."""
    settings = HydraConfig.get()
    folder = Path(settings.runtime.output_dir)
    from pgexp.cli.config import typed
    from pgexp.storage.hydra_files import mask_hydra_files

    mask_hydra_files(folder, settings.output_subdir)
    try:
        run = typed(config, settings.runtime.choices)

        from pgexp.cli.outcome import carried_out, fail
        from pgexp.execution.plan import Job
        from pgexp.execution.training import train_run

        report = carried_out(lambda console: train_run(Job(run, folder), console), folder)
        if report.has_failed:
            fail()
        return report.results[0].values.get(FINAL_RETURN)
    except Exception as error:  # here, since Hydra would print a preamble of its own
        from pgexp.cli.errors import explained

        refuse(explained(error, sys.argv[1:]))


if __name__ == "__main__":
    main()
