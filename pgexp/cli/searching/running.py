"""The search itself: a generation is asked for, trained, and told, until there are as many trials as are wanted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher

from pgexp.cli.searching.settings import KEY, Settings
from pgexp.cli.searching.space import Space
from pgexp.cli.searching.storage import storage_url
from pgexp.cli.searching.study import described, opened, study_name
from pgexp.cli.searching.telling import standing, tell_found, write_results
from pgexp.cli.searching.trials import Trials
from pgexp.cli.streams import Terminal
from pgexp.schema.sweep import Sweep
from pgexp.storage.secrets import mask_uri


@dataclass(frozen=True)
class Search:
    """A search, and the launcher that trains its jobs, below the sweep's folder."""

    settings: Settings
    sweep: Sweep
    space: Space
    launcher: Launcher
    folder: Path

    def run(self, config: Mapping[str, Any], words: Sequence[str]) -> list[Sequence[JobReturn]]:
        """Search, telling how it stands; return the jobs of each generation.

        `config` is what Hydra composed without what is swept, `words` all that the command was called with.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        console = Terminal(highlight=False)
        if not console.is_terminal:
            console.width = 1000  # a file has room for a table
        of = described(config, self.space, self.settings)
        url = None if self.sweep.dry_run else storage_url(self.settings, self.folder)
        name = study_name(self.settings, of, self.space)
        with opened(url, name, self.sweep.objective.direction, of, self.space) as study:
            trials = Trials(study, self.space, self.settings)
            console.print(self._place(name, url), markup=False, soft_wrap=True)
            launched = []
            for jobs in self._generations(trials):
                launched.append(jobs)
                if not self.sweep.dry_run:
                    write_results(trials, self.space, self.folder)
                    console.print(standing(trials, self.space), markup=False, soft_wrap=True)
            if not self.sweep.dry_run:
                tell_found(trials, self.space, self.sweep.objective.metric, words, console)
        return launched

    def _generations(self, trials: Trials) -> Iterator[Sequence[JobReturn]]:
        """Train and tell generation after generation; of a dry run there is the first, which has nothing to tell."""
        first = 0
        while asked := trials.ask():
            jobs = [job for trial in asked for job in self.space.jobs(trial.params)]
            returned = self.launcher.launch(jobs, initial_job_idx=first)
            first += len(jobs)
            if not self.sweep.dry_run:
                scores = [_score(job) for job in returned]
                for number, trial in enumerate(asked):
                    trials.tell(trial, scores[number * self.space.runs : (number + 1) * self.space.runs])
            yield returned
            if self.sweep.dry_run:
                return

    def _place(self, name: str, url: str | None) -> str:
        if url is None:
            return "study   of the first generation alone, as nothing is trained that could be learnt from"
        text = f"study   {name} in {mask_uri(url)}"
        if self.settings.storage is not None:
            return f"{text}; the same command goes on with it"
        return f"{text}; the same command goes on with it, {KEY}.storage={url.removeprefix('sqlite:///')} added"


def _score(job: JobReturn) -> float | None:
    """Return what a job came to, or None where its run failed."""
    value = job.return_value if job.status == JobStatus.COMPLETED else None
    return None if value is None else float(value)
