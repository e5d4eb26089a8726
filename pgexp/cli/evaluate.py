"""pgexp-evaluate: plays a trained policy anew, and says how well, with an interval over episodes."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from pgexp.cli.calling import called
from pgexp.cli.compare import MLFLOW_SETTINGS
from pgexp.cli.words import read_words
from pgexp.schema.errors import ConfigError, Problem
from pgexp.schema.types import NonNegativeInt, PositiveInt

DESCRIPTION = "Evaluate a trained policy on fresh episodes; the same command gives the same numbers."
RUN = "a run's folder, an MLflow run id, or a registered model: models:/name/3, models:/name@alias, name/3"
WORDS = """what to do, as key=value:
  episodes=100   how many to play
  greedy=true    take the most probable actions; false: sample them (default: as the run was evaluated)
  seed=0         which episodes, on streams that training never drew from
  policy=best    the one of the best evaluation during training (its score there was chosen by: this one is not)
  video=true     film the first episode, as MP4 and GIF
  render=human   show the episodes in a window, until Ctrl-C
"""


@dataclass(frozen=True)
class Wanted:
    """What the words may say."""

    episodes: PositiveInt = 100
    greedy: bool | None = None
    seed: NonNegativeInt = 0
    policy: Literal["final", "best"] = "final"
    video: bool = False
    render: Literal["human"] | None = None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = _parser().parse_args(argv)
    for setting, value in MLFLOW_SETTINGS.items():
        os.environ.setdefault(setting, value)
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)

    def work() -> int:
        wanted = read_words(arguments.words, Wanted)
        if wanted.video and wanted.render:
            raise ConfigError([Problem("render", "a window is shown, or a film is made: leave video=true away")])

        from pgexp.cli.evaluation import evaluate  # torch takes seconds

        evaluate(arguments.run, arguments.uri, **asdict(wanted))
        return 0

    return called("pgexp-evaluate", work, "nothing was recorded")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pgexp-evaluate",
        description=DESCRIPTION,
        epilog=WORDS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", help=RUN)
    parser.add_argument("words", metavar="KEY=VALUE", nargs="*", help="see below")
    parser.add_argument("--uri", help="MLflow store (default: the run's own, or sqlite:///mlflow.db)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
