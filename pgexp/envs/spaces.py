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
Convert = Callable[[Floats], Sequence[Any]]

_PLAIN = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


class Spaces(NamedTuple):
    """The spaces of an environment's observations and actions."""

    observation: Space[Any]
    action: Space[Any]


def unsupported_parts(space: Space[Any]) -> Iterator[Space[Any]]:
    """Yield the parts of an observation space that cannot be flattened to a fixed number of numbers."""
    if isinstance(space, spaces.Tuple | spaces.Dict):
        for part in _parts(space).values():
            yield from unsupported_parts(part)
    elif not isinstance(space, _PLAIN):
        yield space


def observation_shape(space: Space[Any]) -> tuple[int, ...]:
    """Return a Box's shape, and (O,) for other spaces, which are flattened."""
    return tuple(space.shape) if isinstance(space, spaces.Box) else (spaces.flatdim(space),)


def observation_dtype(space: Space[Any]) -> Literal["uint8"] | None:
    """Return the dtype of stored observations: uint8 for images of bytes, or None for the policy's precision."""
    is_image = isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) >= 2
    return "uint8" if is_image else None


def observation_writer(space: Space[Any]) -> Write:
    """Return a function that writes an observation into a row, as ``gymnasium.spaces.flatten`` does.

    It raises ValueError if the observation's shape, or a whole number in it, is not in the space.
    """
    match space:
        case spaces.Discrete():
            return _one_hot(np.array([space.n]), np.array([space.start]))
        case spaces.MultiDiscrete():
            return _one_hot(space.nvec.ravel(), space.start.ravel())
        case spaces.Tuple() | spaces.Dict():
            return _concatenated(_parts(space))
    shape = space.shape

    def copy(observation: Any, row: Row) -> None:
        array = np.asarray(observation)
        if array.shape != shape:
            raise ValueError(f"an observation must have shape {shape}, as its space (got {array.shape})")
        row[:] = array.reshape(-1)

    return copy


def _parts(space: spaces.Tuple[Any] | spaces.Dict) -> dict[Any, Space[Any]]:
    return dict(space.spaces) if isinstance(space, spaces.Dict) else dict(enumerate(space.spaces))


def _one_hot(counts: NDArray[np.int64], starts: NDArray[np.int64]) -> Write:
    digits = [range(start, start + count) for start, count in zip(starts.tolist(), counts.tolist(), strict=True)]
    offsets = (np.cumsum(counts) - counts - starts).tolist()

    def write(observation: Any, row: Row) -> None:
        numbers = np.ravel(observation).tolist()
        if len(numbers) != len(digits) or not all(map(contains, digits, numbers)):
            ranges = ", ".join(f"{numbers[0]} to {numbers[-1]}" for numbers in digits)
            raise ValueError(f"an observation must be within {ranges}, as its space (got {observation})")
        row[:] = 0
        for number, offset in zip(numbers, offsets, strict=True):
            row[number + offset] = 1

    return write


def _concatenated(parts: dict[Any, Space[Any]]) -> Write:
    ends = np.cumsum([spaces.flatdim(part) for part in parts.values()]).tolist()
    places = [
        (key, observation_writer(part), slice(begin, end))
        for (key, part), begin, end in zip(parts.items(), [0, *ends], ends, strict=False)
    ]

    def write(observation: Any, row: Row) -> None:
        for key, write_part, place in places:
            write_part(observation[key], row[place])

    return write


def action_space(space: Space[Any]) -> ActionSpace | None:
    """Return the description of an action space, or None if it is not supported."""
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


def action_converter(space: Space[Any]) -> Convert:
    """Return a function from actions, [M, A] and counted from 0, to a list of M actions of the environment."""
    shape, dtype = tuple(space.shape or ()), space.dtype
    start = np.asarray(getattr(space, "start", 0))

    def convert(actions: Floats) -> Sequence[Any]:
        moved = (actions.reshape(len(actions), *shape) + start).astype(dtype)
        return [moved[i, ...] for i in range(len(moved))]

    def convert_discrete(actions: Floats) -> Sequence[Any]:
        numbers: list[int] = (actions[:, 0].astype(np.int64) + start).tolist()
        return numbers

    return convert_discrete if isinstance(space, spaces.Discrete) else convert
