"""Trials of a search: asked for one by one, and told what their runs reached."""

import math
from collections.abc import Mapping, Sequence

from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from pgexp.cli.searching.samplers import GRID, grid, make_sampler
from pgexp.cli.searching.settings import Settings
from pgexp.cli.searching.space import Space
from pgexp.cli.searching.study import PLACE, SCORES, Scores, cut_off, settle, told


class Trials:
    """The trials of a study, up to the number in the settings."""

    def __init__(self, study: Study, space: Space, settings: Settings) -> None:
        self._study, self._space, self._settings = study, space, settings
        self._grid = grid(space.searched) if settings.sampler == GRID else None
        points = 1 if not space.searched else settings.trials if self._grid is None else len(self._grid)
        self.wanted = min(settings.trials, points)
        make_sampler(settings, 0)  # raises ConfigError for wrong settings
        ended = {trial.user_attrs.get(PLACE) for trial in self.told}
        self._places = [place for place in range(self.wanted) if place not in ended]
        self._cut_off = cut_off(study, space)

    @property
    def told(self) -> list[FrozenTrial]:
        """The trials that have ended."""
        return told(self._study)

    @property
    def best(self) -> list[FrozenTrial]:
        """The trials that have a value, the best first. A pruned trial has none."""
        sign = -1 if self._study.direction.name == "MAXIMIZE" else 1
        valued = [
            (sign * trial.value, trial.number, trial)
            for trial in self.told
            if trial.value is not None and trial.state == TrialState.COMPLETE
        ]
        return [trial for _, _, trial in sorted(valued, key=lambda item: item[:2])]

    @property
    def left(self) -> int:
        """The number of trials that were not asked for yet."""
        return len(self._places)

    def ask(self) -> Trial:
        """Return the next trial: the grid's, one that a kill cut off, or what the sampler suggests."""
        place = self._places.pop(0)
        point = self._grid[place] if self._grid is not None else self._cut_off.get(place)
        self._study.sampler = make_sampler(self._settings, place, point)
        trial = self._study.ask(dict(self._space.searched))
        trial.set_user_attr(PLACE, place)
        return trial

    def tell(self, trial: Trial, scores: Scores) -> None:
        """Tell the scores of a trial's runs, None for a run that failed. NaN and infinities are failures, too."""
        valid = [score if score is not None and math.isfinite(score) else None for score in scores]
        trial.set_user_attr(SCORES, valid)
        settle(self._study, trial, valid)

    def tell_pruned(self, trial: Trial) -> None:
        """Tell that a trial was pruned."""
        trial.set_user_attr(SCORES, [])
        self._study.tell(trial, state=TrialState.PRUNED)


class Pruning:
    """Decides at the evaluations of a trial whether it is stopped: at the first, the second, ... of its runs.

    The value of an evaluation is the mean over the runs that have it, and is reported once no run that has started is
    behind it.
    """

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._reported = 0

    def is_pruned(self, evaluations: Sequence[Mapping[int, float]]) -> bool:
        """Report new evaluations; return whether the trial is to be pruned.

        evaluations: for each run that has started, its values by their number, counted from 1.
        """
        reached = min((max(run, default=0) for run in evaluations), default=0)
        while self._reported < reached:
            self._reported += 1
            values = [run[self._reported] for run in evaluations if self._reported in run]
            if values and all(map(math.isfinite, values)):
                self._trial.report(sum(values) / len(values), self._reported)
                if self._trial.should_prune():
                    return True
        return False
