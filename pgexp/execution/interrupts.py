"""Ctrl-C and SIGTERM while runs train: the first lets the update in hand end, the second does not wait for it."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupts:
    """Notes an interrupt for as long as its block runs; whoever trains looks at `noted` between two updates."""

    def __init__(self, dismissed: Callable[[], bool] = lambda: False) -> None:
        """Take what else tells that the training is to stop: a worker's command, say."""
        self._dismissed = dismissed
        self._signalled = False
        self._before: dict[int, Any] = {}

    @property
    def noted(self) -> bool:
        """Whether the training is to stop."""
        return self._signalled or self._dismissed()

    def __enter__(self) -> Self:
        """Take the signals over. Only a main thread may; elsewhere they stay with whom they are."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._signalled:
            raise KeyboardInterrupt
        self._signalled = True
