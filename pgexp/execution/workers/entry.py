"""Entry point of workers of all kinds: sets up the process, and trains an order.

To import this loads neither torch nor MLflow: the settings that bits depend on come first.
"""

import os
import sys
from collections.abc import Callable

from pgexp.execution.orders import Order
from pgexp.execution.workers.workers import Ended
from pgexp.schema.determinism import pin


def enter(order: Order, alone: Callable[[], bool] = lambda: False) -> Ended:
    """Train an order in this process, and return how it ended.

    It stops at the next update where the folder asks for it, or once `alone` says that nobody waits for it any more.
    """
    pin()
    sys.path[:0] = [folder for folder in order.path if folder not in sys.path]
    from pgexp.execution.work import work  # loads torch

    try:
        return Ended("done" if work(order, alone) else "stopped")
    except Exception as error:
        return Ended("failed", f"{type(error).__name__}: {error}" if not isinstance(error, OSError) else _told(error))


def _told(error: OSError) -> str:
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes | os.PathLike) else ""
    return f"{where}{error.strerror or error}"
