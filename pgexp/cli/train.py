"""Command `pgexp`: trains one run, or with -m a sweep."""

import os
import sys
import traceback
from argparse import Namespace
from collections.abc import Sequence
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from pgexp.cli.command_state import current_state, new_state
from pgexp.cli.compose import config_folder
from pgexp.cli.entrypoint import discard_stdout, ensure_stdio, interrupt_at_sigterm, working_folder
from pgexp.cli.messages import (
    FAILED,
    INTERRUPTED,
    USAGE_ERROR,
    format_os_error,
    print_error,
    print_internal_error,
    print_problems,
)
from pgexp.schema.determinism import pin
from pgexp.schema.errors import UserError
from pgexp.schema.names import FINAL_RETURN


def main() -> None:
    """Run the command and exit.

    The exit code is 0, 1 if a run failed or a file could not be written, 2 for a user's mistake, or 130 after Ctrl-C.
    """
    pin()
    ensure_stdio()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors instead of printing them
    interrupt_at_sigterm()
    arguments = sys.argv[1:]
    with new_state() as state:
        try:
            _run(arguments)
            sys.exit(state.exit_code)
        except KeyboardInterrupt:
            recorded = "what was recorded is readable, and marked KILLED. Continue with pgexp-resume"
            print_error(f"interrupted; {recorded if state.output_dirs.is_recorded else 'nothing was recorded'}")
            sys.exit(INTERRUPTED)
        except BrokenPipeError:
            discard_stdout()
        except Exception as error:
            _exit_with(error, arguments)


def _run(arguments: Sequence[str]) -> None:
    sys.path.insert(0, str(working_folder()))  # for a user's modules
    options = _options(arguments)
    if options.experimental_rerun is not None:
        text = "is not supported, because it runs any code in the file. Use pgexp-reproduce for a recorded run"
        raise UserError.at("--experimental-rerun", text)
    if options.multirun:
        from pgexp.cli.overrides import prepare

        sys.argv[1:] = prepare(arguments)
    _application()


def _options(arguments: Sequence[str]) -> Namespace:
    """Return the options of a command line as Hydra parses them. Raises UserError instead of printing the usage."""
    stderr = StringIO()
    parser = get_args_parser()  # nothing public parses Hydra's options
    try:
        with redirect_stderr(stderr):
            return parser.parse_args(arguments)
    except SystemExit as stopped:
        if not stopped.code:
            raise
        text = stderr.getvalue().partition(f"{parser.prog}: error: ")[2].strip()
        raise UserError.at("options", f"{text}. See pgexp --help and pgexp --hydra-help") from None


@hydra.main(version_base="1.3", config_path=str(config_folder()), config_name="config")
def _application(config: DictConfig) -> float | None:
    """Train one run in the folder that Hydra created. Return its final score."""
    settings = HydraConfig.get()
    folder = Path(settings.runtime.output_dir)
    try:
        from pgexp.cli.compose import run_config
        from pgexp.runs.secrets import mask_hydra_files

        mask_hydra_files(folder, settings.output_subdir)
        run = run_config(config, settings.runtime.choices)

        from pgexp.cli.training_report import train_and_report
        from pgexp.execution.jobs import Job
        from pgexp.execution.training import train_run

        result = train_and_report(
            lambda console: train_run(Job(run, folder), console), folder, current_state().output_dirs
        )
        if result.has_failed:
            sys.exit(FAILED)
        return result.results[0].metrics.get(FINAL_RETURN)
    except Exception as error:  # handled here, since Hydra would print a preamble
        _exit_with(error, sys.argv[1:])


def _exit_with(error: Exception, arguments: Sequence[str]) -> NoReturn:
    """Print an error and exit: in one line for a user's mistake or an I/O error, else with a traceback."""
    from pgexp.cli.hydra_errors import is_debugging, translate

    user_error = translate(error, arguments)
    if user_error is not None:
        if is_debugging():
            traceback.print_exception(error)
        print_problems(user_error)
        sys.exit(USAGE_ERROR)
    if isinstance(error, OSError):
        folder = current_state().output_dirs.last
        print_error(f"{folder}: {format_os_error(error)}" if folder and not error.filename else format_os_error(error))
        sys.exit(FAILED)
    print_internal_error(error)
    sys.exit(FAILED)


if __name__ == "__main__":
    main()
