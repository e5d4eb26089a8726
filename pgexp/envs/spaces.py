"""Conversion between Gymnasium's spaces and rows of numbers."""

from collections.abc import Callable, Iterator, Sequence
from operator import contains
from typing import Any, Literal, NamedTuple

import numpy as np
from gymnasium import Space, spaces
from numpy.typing import NDArray

from pgexp.functional.arrays import Floats
from pgexp.functional.spaces import ActionSpace

Row = NDArray[Any]  # [O]
Write = Callable[[Any, Row], None]
Hand = Callable[[Floats], Sequence[Any]]

_PLAIN = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


class Spaces(NamedTuple):
    """The spaces of an environment's observations and actions."""

    observation: Space[Any]
    action: Space[Any]


def unread(space: Space[Any]) -> Iterator[Space[Any]]:
    """Yield the parts of an observation space that are not a fixed number of numbers."""
    if isinstance(space, spaces.Tuple | spaces.Dict):
        for part in _parts(space).values():
            yield from unread(part)
    elif not isinstance(space, _PLAIN):
        yield space


def observation_shape(space: Space[Any]) -> tuple[int, ...]:
    """Return a Box's own shape; (O,) for other spaces, which are flattened."""
    return tuple(space.shape) if isinstance(space, spaces.Box) else (spaces.flatdim(space),)


def observation_dtype(space: Space[Any]) -> Literal["uint8"] | None:
    """Return the dtype in which observations are kept: uint8 for pictures of bytes, else None, the policy's own."""
    picture = isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) >= 2
    return "uint8" if picture else None


def writer(space: Space[Any]) -> Write:
    """Return a function that writes an observation into a row, as ``gymnasium.spaces.flatten`` does.

    It raises ValueError if the observation's shape, or a whole number in it, does not belong to the space.
    """
    match space:
        case spaces.Discrete():
            return _one_hot(np.array([space.n]), np.array([space.start]))
        case spaces.MultiDiscrete():
            return _one_hot(space.nvec.ravel(), space.start.ravel())
        case spaces.Tuple() | spaces.Dict():
            return _one_after_another(_parts(space))
    shape = space.shape

    def copy(observation: Any, row: Row) -> None:
        given = np.asarray(observation)
        if given.shape != shape:
            raise ValueError(f"the environment gave an observation of shape {given.shape}, and its space says {shape}")
        row[:] = given.reshape(-1)

    return copy


def _parts(space: spaces.Tuple[Any] | spaces.Dict) -> dict[Any, Space[Any]]:
    return dict(space.spaces) if isinstance(space, spaces.Dict) else dict(enumerate(space.spaces))


def _one_hot(counts: NDArray[np.int64], starts: NDArray[np.int64]) -> Write:
    digits = [range(start, start + count) for start, count in zip(starts.tolist(), counts.tolist(), strict=True)]
    offsets = (np.cumsum(counts) - counts - starts).tolist()

    def write(observation: Any, row: Row) -> None:
        numbers = np.ravel(observation).tolist()
        if len(numbers) != len(digits) or not all(map(contains, digits, numbers)):
            told = ", ".join(f"{numbers[0]} to {numbers[-1]}" for numbers in digits)
            raise ValueError(f"the environment gave the observation {observation}, and its space says {told}")
        row[:] = 0
        for number, offset in zip(numbers, offsets, strict=True):
            row[number + offset] = 1

    return write


def _one_after_another(parts: dict[Any, Space[Any]]) -> Write:
    ends = np.cumsum([spaces.flatdim(part) for part in parts.values()]).tolist()
    places = [
        (key, writer(part), slice(begin, end))
        for (key, part), begin, end in zip(parts.items(), [0, *ends], ends, strict=False)
    ]

    def write(observation: Any, row: Row) -> None:
        for key, write_part, place in places:
            write_part(observation[key], row[place])

    return write


def action_space(space: Space[Any]) -> ActionSpace | None:
    """Return the space in plain numbers, or None if no policy of pgexp can act in it."""
    match space:
        case spaces.Discrete():
            return ActionSpace("discrete", 1, counts=(int(space.n),))
        case spaces.MultiDiscrete():
            return ActionSpace("multi_discrete", space.nvec.size, counts=tuple(space.nvec.ravel().tolist()))
        case spaces.MultiBinary():
            return ActionSpace("multi_binary", int(np.prod(space.shape)))
        case spaces.Box() if np.issubdtype(space.dtype, np.floating):
            bounds = (tuple(map(float, np.ravel(bound))) for bound in (space.low, space.high))
            return ActionSpace("box", int(np.prod(space.shape)), (), *bounds)
    return None


def hander(space: Space[Any]) -> Hand:
    """Return a function from actions, [M, A] and counted from 0, to the M objects that the environment takes."""
    shape, dtype = tuple(space.shape or ()), space.dtype
    start = np.asarray(getattr(space, "start", 0))

    def hand(actions: Floats) -> Sequence[Any]:
        moved = (actions.reshape(len(actions), *shape) + start).astype(dtype)
        return [moved[i, ...] for i in range(len(moved))]

    def hand_whole_numbers(actions: Floats) -> Sequence[Any]:
        numbers: list[int] = (actions[:, 0].astype(np.int64) + start).tolist()
        return numbers

    return hand_whole_numbers if isinstance(space, spaces.Discrete) else hand
