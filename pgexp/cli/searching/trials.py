"""A search's trials: asked for a generation at a time, and told what their runs came to."""

import math

from optuna.study import Study
from optuna.trial import FrozenTrial, Trial

from pgexp.cli.searching.samplers import GRID, grid, make_sampler
from pgexp.cli.searching.settings import Settings
from pgexp.cli.searching.space import Space
from pgexp.cli.searching.study import PLACE, SCORES, Scores, cut_off, settle, told


class Trials:
    """The trials of a study, as many as the settings want in the end."""

    def __init__(self, study: Study, space: Space, settings: Settings) -> None:
        self._study, self._space, self._settings = study, space, settings
        self._grid = grid(space.searched) if settings.sampler == GRID else None
        points = 1 if not space.searched else settings.trials if self._grid is None else len(self._grid)
        self.wanted = min(settings.trials, points)
        make_sampler(settings, 0)  # refused now, if ever

    @property
    def told(self) -> list[FrozenTrial]:
        """The trials that have come to their end."""
        return told(self._study)

    @property
    def best(self) -> list[FrozenTrial]:
        """The trials that have a value, the best first."""
        sign = -1 if self._study.direction.name == "MAXIMIZE" else 1
        valued = [(sign * trial.value, trial.number, trial) for trial in self.told if trial.value is not None]
        return [trial for _, _, trial in sorted(valued, key=lambda item: item[:2])]

    def ask(self) -> list[Trial]:
        """Return the next generation's trials; none where all that are wanted have come to their end.

        Of a generation that a kill cut off while it was told, those are left that were not: the next one is asked for
        when all of it is known, as it would have been.
        """
        done, size = len(self.told), self._settings.generation
        return [self._ask(place) for place in range(done, min((done // size + 1) * size, self.wanted))]

    def _ask(self, place: int) -> Trial:
        """Ask for the trial of a place: the grid's, the one that was cut off there, or what the sampler suggests."""
        point = self._grid[place] if self._grid is not None else cut_off(self._study, self._space).get(place)
        self._study.sampler = make_sampler(self._settings, place, point)
        trial = self._study.ask(dict(self._space.searched))
        trial.set_user_attr(PLACE, place)
        return trial

    def tell(self, trial: Trial, scores: Scores) -> None:
        """Tell what a trial's runs came to, None where one failed. NaN and infinities are failures, too."""
        valid = [score if score is not None and math.isfinite(score) else None for score in scores]
        trial.set_user_attr(SCORES, valid)
        settle(self._study, trial, valid)
