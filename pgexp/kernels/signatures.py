"""Signatures of the kernels that are called by address.

R is the policy's precision, float32 or float64. N counts a run's environments, L the rows that act at once, D an
environment's state, O its observation, A the action's components, P a network's outputs, Z a recurrent network's
memory. All arrays are C-contiguous, aligned and writable.
"""

from typing import Any, Final

from numba.core import types

f4, f8, i8, u4, u8, b1 = types.float32, types.float64, types.int64, types.uint32, types.uint64, types.boolean

RESET: Final = types.void(f8[::1], u8[::1], f8[::1])
"""(state [D], rng [4], parameters): write an episode's first state."""

STEP: Final = i8(f8[::1], f8[::1], u8[::1], f8[::1], f8[::1])
"""(state [D], action [A], rng [4], parameters, reward [1]) -> CONTINUES, TERMINATED or INVALID: update the state."""

OBSERVE: Final = types.void(f8[::1], f8[::1], f8[::1], b1[::1])
"""(state [D], parameters, observation [O], mask): write the observation, and which actions are allowed."""

CONTINUES, TERMINATED, INVALID = 0, 1, 2


def forward(real: Any) -> Any:
    """Return (parameters, layout, x [L, O], memory [L, Z], scratch, outputs [L, P]): a network's outputs and memory."""
    return types.void(real[::1], i8[::1], real[:, ::1], real[:, ::1], real[::1], real[:, ::1])


def sample(real: Any) -> Any:
    """Return (parameters, layout, constants, outputs [P], uniforms, mask, greedy, sample [A], action [A])."""
    return types.void(real[::1], i8[::1], f8[::1], real[::1], f8[::1], b1[::1], i8, f8[::1], f8[::1])
