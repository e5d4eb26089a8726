"""What workers on other machines share: the settings that bits depend on, and a folder that all of them see."""

import platform
from dataclasses import replace
from pathlib import Path

from pgexp.execution.orders import Order
from pgexp.execution.workers.entry import enter
from pgexp.execution.workers.workers import Ended
from pgexp.schema.determinism import SETTINGS
from pgexp.schema.names import RECORD_FILE


def settings() -> dict[str, str]:
    """Return the settings that bits depend on.

    A worker's process begins with them, since it may load NumPy before it comes to `enter`.
    """
    return dict(SETTINGS)


def placed(order: Order) -> Order:
    """Return an order whose paths lead to the same places from wherever a worker begins."""
    jobs = tuple(replace(job, folder=job.folder.absolute()) for job in order.jobs)
    path = tuple(str(Path(folder).absolute()) for folder in order.path)
    return replace(order, folder=order.folder.absolute(), jobs=jobs, path=path)


def enter_elsewhere(order: Order) -> Ended:
    """Train an order in this process, on any machine, and return how it ended."""
    if not (order.folder / RECORD_FILE).is_file():
        return Ended("failed", unseen(platform.node(), order))
    return enter(order)


def unseen(node: str, order: Order) -> str:
    """Return what is wrong where a node does not see the folder of an order's record, and the remedy."""
    return f"{node} does not see {order.folder}; workers need a folder that all nodes share: hydra.sweep.dir=FOLDER"
