"""What the store knew of finished runs when the command began: a sweep that is made in several batches asks it once."""

import atexit
from functools import cache, cached_property
from typing import TYPE_CHECKING

from pgexp.storage.finished import FinishedSearch

if TYPE_CHECKING:
    from pgexp.execution.training import Known


class FinishedBefore:
    """A search for finished runs, which takes seconds beside what else is to be done."""

    def __init__(self, uri: str, experiment: str) -> None:
        self._search = FinishedSearch.start(uri, experiment)
        atexit.register(self._search.close)  # of a command that ends before it asks

    @cached_property
    def known(self) -> "Known":
        """The runs that were found, or why they are not known."""
        return self._search.result()


@cache
def finished_before(uri: str, experiment: str) -> FinishedBefore:
    """Return the search of an experiment's finished runs, which the first call starts."""
    return FinishedBefore(uri, experiment)
