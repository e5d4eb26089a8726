"""Sampling of actions from a head's outputs, one kernel per family of distributions.

Each kernel has the signature `signatures.sample`. It turns one uniform number per component into a sample by inverting
the cumulative distribution, or takes the mode if greedy, and turns the sample into the environment's action.
"""

import numpy as np
from numba.extending import register_jitable

from pgexp.kernels.compilation import kernel
from pgexp.kernels.elementary import exp, sigmoid, tanh
from pgexp.kernels.layout import HEAD
from pgexp.kernels.random import normal_quantile

CLIP, TANH, RESCALE, UNBOUNDED = range(4)
"""How a Gaussian sample becomes an action: see networks.heads.box.GaussianHead."""
STD, INITIAL, LOW_STD, HIGH_STD, BOUNDS, LIMITS = range(6)
"""Constants of `gaussian`: log sigma is the head's own (1) or the network's (0), its initial value and its bounds, the
kind of bounds, then the box's lower and upper limits."""


@register_jitable
def _choose(weights, mask, u, greedy):
    """Return an index drawn from the softmax of the weights, or the largest's; -1 if the mask allows none.

    The weights are overwritten. An index of probability 0 is never drawn.
    """
    best = -1
    for j in range(weights.size):
        if mask[j] and (best < 0 or weights[j] > weights[best]):
            best = j
    if greedy or best < 0:
        return best
    largest, total = weights[best], 0.0
    for j in range(weights.size):
        weights[j] = exp(weights[j] - largest) if mask[j] else weights.dtype.type(0)
        total += weights[j]
    threshold, cumulative, chosen = u * total, 0.0, best
    for j in range(weights.size):
        if weights[j] > 0:
            chosen = j
            cumulative += weights[j]
            if cumulative > threshold:
                break
    return chosen


@kernel
def categorical(parameters, layout, constants, outputs, uniforms, mask, greedy, sample, action):
    """Draw one of P actions. constants: the logarithm of each action's prior, or nothing."""
    for j in range(constants.size):
        outputs[j] += outputs.dtype.type(constants[j])
    sample[0] = _choose(outputs[: mask.size], mask, uniforms[0], greedy != 0)
    action[0] = sample[0]


@kernel
def multi_categorical(parameters, layout, constants, outputs, uniforms, mask, greedy, sample, action):
    """Draw each component independently. constants: each component's number of choices."""
    begin = 0
    for d in range(sample.size):
        end = begin + int(constants[d])
        sample[d] = _choose(outputs[begin:end], mask[begin:end], uniforms[d], greedy != 0)
        action[d] = sample[d]
        begin = end


@kernel
def bernoulli(parameters, layout, constants, outputs, uniforms, mask, greedy, sample, action):
    """Switch each component on with probability sigmoid(output), if the mask allows it."""
    for d in range(sample.size):
        on = outputs[d] > 0 if greedy != 0 else uniforms[d] < sigmoid(outputs[d])
        sample[d] = 1.0 if on and mask[d] else 0.0
        action[d] = sample[d]


@kernel
def gaussian(parameters, layout, constants, outputs, uniforms, mask, greedy, sample, action):
    """Draw each component from a normal distribution around the output; bring the sample into the box."""
    real = outputs.dtype.type
    size = sample.size
    for d in range(size):
        if constants[STD] == 1.0:
            log_std = parameters[layout[HEAD] + d]
        else:
            log_std = real(constants[INITIAL]) + outputs[size + d]
        value = outputs[d]
        if greedy == 0:
            log_std = min(max(log_std, real(constants[LOW_STD])), real(constants[HIGH_STD]))
            value = value + exp(log_std) * real(normal_quantile(uniforms[d]))
        sample[d] = value
        low, high = constants[LIMITS + d], constants[LIMITS + size + d]
        kind = constants[BOUNDS]
        moved = np.float64(value)
        if kind == TANH:
            moved = tanh(moved)
        if kind in (TANH, RESCALE):
            moved = 0.5 * (1.0 - moved) * low + 0.5 * (1.0 + moved) * high
        action[d] = moved if kind == UNBOUNDED else min(max(moved, low), high)
