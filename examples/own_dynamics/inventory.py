"""Inventory control with lost sales, a shop's stock of one product."""

import numpy as np
from gymnasium.spaces import Box, Discrete

from pgexp.envs.compiled.dynamics import CONTINUES, INVALID, Dynamics
from pgexp.kernels.random import integers
from pgexp.schema.types import NonNegativeFloat, PositiveFloat

CAPACITY = 20
MAX_DEMAND = 9


class Inventory(Dynamics):
    """A shop that orders stock each morning, before it knows the day's demand.

    The state is the number of units in stock, 0 to 20. The action is the number of units to order; the mask allows as
    many as there is room for. The order arrives at once. The demand is 0 to 9 units, each with probability 0.1. Demand
    that exceeds the stock is lost.

        reward = price * units sold - cost * units ordered - delivery if any are ordered - holding * units left

    The parameters `price`, `cost` and `holding` are per unit, `delivery` is per order. An (s, S) policy is optimal for
    problems of this kind (Scarf 1960, for demand that waits): if fewer than s units are left, order up to S.
    """

    state_size = 1
    observation_space = Box(0.0, 1.0, (1,), np.float32)
    action_space = Discrete(CAPACITY + 1)
    max_episode_steps = 50
    masked = True

    def __init__(
        self, price: PositiveFloat, cost: NonNegativeFloat, delivery: NonNegativeFloat, holding: NonNegativeFloat
    ) -> None:
        self.parameters = [price, cost, delivery, holding]

    @staticmethod
    def reset(state, rng, parameters):
        """Start with a random stock."""
        state[0] = integers(rng, CAPACITY + 1)

    @staticmethod
    def step(state, action, rng, parameters, reward):
        """Order, then sell. No state is terminal."""
        price, cost, delivery, holding = parameters[0], parameters[1], parameters[2], parameters[3]
        ordered = action[0]
        stock = state[0] + ordered
        if stock > CAPACITY:
            return INVALID
        sold = min(stock, float(integers(rng, MAX_DEMAND + 1)))
        state[0] = stock - sold
        reward[0] = price * sold - cost * ordered - holding * state[0]
        if ordered > 0:
            reward[0] -= delivery
        return CONTINUES

    @staticmethod
    def observe(state, parameters, observation, mask):
        """Write the stock as a share of the capacity, and allow orders that fit into it."""
        observation[0] = np.float32(state[0] / CAPACITY)
        for order in range(CAPACITY + 1):
            mask[order] = state[0] + order <= CAPACITY
