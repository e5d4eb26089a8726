"""Acrobot."""

import math
from typing import Any, Final

import numpy as np
from gymnasium.spaces import Box, Discrete
from numba.core import types
from numba.extending import intrinsic

from pgexp.envs.compiled.dynamics import CONTINUES, TERMINATED, Array, Dynamics, Mask, Words
from pgexp.kernels.compilation import kernel
from pgexp.kernels.random import uniform

GRAVITY: Final = 9.8
TAU: Final = 0.2  # seconds per step
MAX_SPEED_1: Final = 4 * math.pi
MAX_SPEED_2: Final = 9 * math.pi
HIGH: Final = np.array([1, 1, 1, 1, MAX_SPEED_1, MAX_SPEED_2], dtype=np.float32)


class Acrobot(Dynamics):
    """Acrobot-v1: two links, swung up by a torque at the joint between them.

    The state is both angles, 0 if the links hang down, and both angular velocities. The actions 0, 1, 2 are torques of
    -1, 0 and 1. A step is one Runge-Kutta step of 0.2 s of the equations in `accelerations`. It costs 1, except the
    last, which brings the tip above a line one link above the fixed end: -cos(theta1) - cos(theta1 + theta2) > 1.

    Gymnasium draws the first state in single precision, and also takes its cosines and sines in single precision. The
    state's fifth component is 1 until the first step, then 0.
    """

    state_size = 5
    observation_space = Box(-HIGH, HIGH)
    action_space = Discrete(3)
    max_episode_steps = 500
    reward_threshold = -100.0

    def __init__(self) -> None:
        # numba would turn a constant exponent of 2 into a product, whose last bit may differ from the C library's pow.
        self.parameters = [2.0]

    @staticmethod
    def reset(state: Array, rng: Words, parameters: Array) -> None:
        """Draw angles and angular velocities uniformly within 0.1."""
        for i in range(4):
            state[i] = np.float32(uniform(rng, -0.1, 0.1))
        state[4] = 1.0

    @staticmethod
    def step(state: Array, action: Array, rng: Words, parameters: Array, reward: Array) -> int:
        """Apply the torque for 0.2 s."""
        torque, two, half = action[0] - 1.0, parameters[0], TAU / 2.0
        a, b, c, d = state[0], state[1], state[2], state[3]  # both angles, both angular velocities
        c1, d1 = c, d
        e1, f1 = accelerations(a, b, c1, d1, torque, two)
        c2, d2 = c + half * e1, d + half * f1
        e2, f2 = accelerations(a + half * c1, b + half * d1, c2, d2, torque, two)
        c3, d3 = c + half * e2, d + half * f2
        e3, f3 = accelerations(a + half * c2, b + half * d2, c3, d3, torque, two)
        c4, d4 = c + TAU * e3, d + TAU * f3
        e4, f4 = accelerations(a + TAU * c3, b + TAU * d3, c4, d4, torque, two)
        a = wrap(a + TAU / 6.0 * (c1 + 2.0 * c2 + 2.0 * c3 + c4))
        b = wrap(b + TAU / 6.0 * (d1 + 2.0 * d2 + 2.0 * d3 + d4))
        c = min(max(c + TAU / 6.0 * (e1 + 2.0 * e2 + 2.0 * e3 + e4), -MAX_SPEED_1), MAX_SPEED_1)
        d = min(max(d + TAU / 6.0 * (f1 + 2.0 * f2 + 2.0 * f3 + f4), -MAX_SPEED_2), MAX_SPEED_2)
        state[0], state[1], state[2], state[3], state[4] = a, b, c, d, 0.0
        if -math.cos(a) - math.cos(b + a) > 1.0:
            reward[0] = 0.0
            return TERMINATED
        reward[0] = -1.0
        return CONTINUES

    @staticmethod
    def observe(state: Array, parameters: Array, observation: Array, mask: Mask) -> None:
        """Write the cosine and sine of each angle, and the angular velocities."""
        for i in range(2):
            if state[4] == 1.0:
                observation[2 * i], observation[2 * i + 1] = single_cos_sin(np.float32(state[i]))
            else:
                observation[2 * i] = np.float32(math.cos(state[i]))
                observation[2 * i + 1] = np.float32(math.sin(state[i]))
            observation[4 + i] = np.float32(state[2 + i])


@kernel
def accelerations(theta1, theta2, speed1, speed2, torque, two):  # type: ignore[no-untyped-def]
    """Return both angular accelerations, with the equations of Sutton & Barto's book.

    Both links have length, mass and moment of inertia 1, and their centre of mass in the middle.
    """
    cos, sin = math.cos(theta2), math.sin(theta2)
    d1 = 0.25 + (1.25 + cos) + 1.0 + 1.0
    d2 = (0.25 + 0.5 * cos) + 1.0
    phi2 = 0.5 * GRAVITY * math.cos(theta1 + theta2 - math.pi / 2.0)
    phi1 = -0.5 * speed2**two * sin - speed2 * speed1 * sin + 1.5 * GRAVITY * math.cos(theta1 - math.pi / 2.0) + phi2
    acceleration2 = (torque + d2 / d1 * phi1 - 0.5 * speed1**two * sin - phi2) / (0.25 + 1.0 - d2**two / d1)
    return -(d2 * acceleration2 + phi1) / d1, acceleration2


@kernel
def wrap(angle):  # type: ignore[no-untyped-def]
    """Return the angle within pi, in Gymnasium's steps of a whole turn."""
    while angle > math.pi:
        angle -= 2 * math.pi
    while angle < -math.pi:
        angle += 2 * math.pi
    return angle


def _fused_multiply_add(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a b + c of float32 numbers, rounded once."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return types.float32(types.float32, types.float32, types.float32), generate


fused_multiply_add: Any = intrinsic(_fused_multiply_add)

# NumPy's polynomials for float32 between -pi/4 and pi/4, highest power first.
COS_8, COS_6, COS_4, COS_2, COS_0 = map(np.float32, (2.4372266e-05, -0.001388652, 0.04166662, -0.5, 1.0))
SIN_9, SIN_7, SIN_5, SIN_3 = map(np.float32, (2.8404097e-06, -0.00019856491, 0.008333397, -0.16666667))


@kernel
def single_cos_sin(x):  # type: ignore[no-untyped-def]
    """Return cosine and sine of a float32 number within pi/4, equal to NumPy's on processors with FMA."""
    square = x * x
    cos = fused_multiply_add(COS_8, square, COS_6)
    cos = fused_multiply_add(cos, square, COS_4)
    cos = fused_multiply_add(cos, square, COS_2)
    cos = fused_multiply_add(cos, square, COS_0)
    sin = fused_multiply_add(SIN_9, square, SIN_7)
    sin = fused_multiply_add(sin, square, SIN_5)
    sin = fused_multiply_add(sin, square, SIN_3)
    return cos, fused_multiply_add(sin * square, x, x)
