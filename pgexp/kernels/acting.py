"""The acting loop: policies choose actions, compiled dynamics take steps, and the steps are recorded.

The loop advances N rows, one environment each. It returns when every row has finished its episodes or its segment, when
a buffer is full, or after a quota of steps. The next call continues from there.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numba.extending import register_jitable

from pgexp.kernels import signatures
from pgexp.kernels.compilation import borrow, from_address, kernel, row
from pgexp.kernels.random import action_uniforms, episode_seed, seed_generator
from pgexp.kernels.signatures import INVALID, TERMINATED

ROW: Final = np.dtype(
    [
        ("environment", np.int64),  # first word of the stream of the row's episodes
        ("episode", np.int64),  # second word: the episode that the row plays, or plays next
        ("stride", np.int64),  # the increment of `episode` at an episode's end
        ("left", np.int64),  # episodes still to be played
        ("open", np.int64),  # 1 while an episode is under way
        ("time", np.int64),  # steps taken in the open episode
        ("returns", np.float64),  # raw rewards received in it
        ("count", np.int64),  # steps taken since the batch began
        ("begin", np.int64),  # the count at which the batch's part of the open episode began
        ("first", np.int64),  # the time in its episode at which that part began
    ]
)
"""State of a row. The stream (environment, episode) seeds the environment and keys the action's draws."""

END: Final = np.dtype(
    [
        ("row", np.int64),
        ("episode", np.int64),
        ("length", np.int64),  # steps of the batch's part
        ("first", np.int64),  # the time in its episode at which that part began
        ("terminated", np.int64),
        ("truncated", np.int64),  # cut by the time limit, and not terminated at the same step
        ("returns", np.float64),  # raw rewards since the episode's first step
    ]
)
"""An episode, or the part of one in a batch; a segment's end leaves it neither terminated nor truncated."""

DONE, PAUSED, FULL, BAD_OBSERVATION, BAD_REWARD, BAD_OUTPUT, NO_ACTION, BAD_ACTION = range(8)
"""Statuses. All but the first three are failures, of the row in cursor[FAILED]."""

GREEDY, DRAWS, RECORD, TIME_LIMIT, SEGMENT, QUOTA = range(6)
"""Settings: take the mode; uniform numbers per action; record steps; an episode's longest time, or -1; the steps of a
row in a segment, or -1; the steps of all rows until the loop pauses."""

ENDS, FAILED = range(2)
"""Cursor: how many episodes have ended in the batch; the row that failed."""


class PolicyArguments(NamedTuple):
    """A policy: the addresses of its two kernels, and the arrays that they read."""

    forward: int
    sample: int
    parameters: Any  # R [P]
    layout: Any  # i8
    constants: Any  # f8, of the head
    key: Any  # u8 [2], of the actions' draws


class RowArguments(NamedTuple):
    """State, observations and actions of the N rows."""

    rows: Any  # ROW [N]
    observations: Any  # R [N, O]
    masks: Any  # b1 [N, choices]
    memory: Any  # R [N, Z]
    samples: Any  # f8 [N, A]
    actions: Any  # f8 [N, A]


class Workspace(NamedTuple):
    """Buffers that are overwritten at each step."""

    live: Any  # i8 [N], the rows that act
    x: Any  # R [N, O]
    memory: Any  # R [N, Z]
    scratch: Any  # R, see forward.scratch_size
    outputs: Any  # R [N, P]
    uniforms: Any  # f8 [draws]


class DynamicsArguments(NamedTuple):
    """Compiled dynamics: the addresses of their three kernels, and the state of N environments."""

    reset: int
    step: int
    observe: int
    parameters: Any  # f8
    prefix: Any  # u4, see random.seed_prefix
    state: Any  # f8 [N, D]
    rng: Any  # u8 [N, 4]
    observation: Any  # f8 [O]
    reward: Any  # f8 [1]
    single: int  # 1 if actions are rounded to float32, the action space's dtype


class RecordArguments(NamedTuple):
    """The buffers of a batch: C steps per row, and E episodes in the order in which they end."""

    observations: Any  # R [N, C, O]
    masks: Any  # b1 [N, C, choices]
    samples: Any  # f8 [N, C, A]
    rewards: Any  # f8 [N, C]
    ends: Any  # END [E]
    final: Any  # R [E, O], the observation after an episode's last step
    memory: Any  # R [E, Z], the memory before its first recorded step
    first_memory: Any  # R [N, Z], the same of the open episodes


@register_jitable
def _act(forward, sample, policy, arrays, space, settings, count, cursor):
    """Choose an action in each of the first `count` live rows. Return DONE or a failure."""
    live = space.live
    x, memory, outputs = space.x[:count], space.memory[:count], space.outputs[:count]
    for m in range(count):
        r = live[m]
        for i in range(x.shape[1]):
            value = arrays.observations[r, i]
            if not np.isfinite(value):
                cursor[FAILED] = r
                return BAD_OBSERVATION
            x[m, i] = value
        for i in range(memory.shape[1]):
            memory[m, i] = arrays.memory[r, i]
    forward(policy.parameters, policy.layout, x, memory, space.scratch, outputs)
    greedy, draws = settings[GREEDY], settings[DRAWS]
    for m in range(count):
        r = live[m]
        cursor[FAILED] = r
        for j in range(outputs.shape[1]):
            if not np.isfinite(outputs[m, j]):
                return BAD_OUTPUT
        for i in range(memory.shape[1]):
            arrays.memory[r, i] = memory[m, i]
        if greedy == 0:
            state = arrays.rows[r]
            action_uniforms(policy.key, state.environment, state.episode, state.time, space.uniforms[:draws])
        sample(
            policy.parameters,
            policy.layout,
            policy.constants,
            row(outputs, m),
            space.uniforms,
            row(arrays.masks, r),
            greedy,
            row(arrays.samples, r),
            row(arrays.actions, r),
        )
        if arrays.masks.shape[1] > 0:
            for d in range(arrays.samples.shape[1]):
                if arrays.samples[r, d] < 0:  # the mask allows no choice of this component
                    return NO_ACTION
    return DONE


@register_jitable
def _borrowed_policy(x):
    arrays = borrow(x.parameters), borrow(x.layout), borrow(x.constants), borrow(x.key)
    return PolicyArguments(x.forward, x.sample, arrays[0], arrays[1], arrays[2], arrays[3])


@register_jitable
def _borrowed_arrays(x):
    seen, masks, memory = borrow(x.observations), borrow(x.masks), borrow(x.memory)
    return RowArguments(borrow(x.rows), seen, masks, memory, borrow(x.samples), borrow(x.actions))


@register_jitable
def _borrowed_space(x):
    outputs, uniforms = borrow(x.outputs), borrow(x.uniforms)
    return Workspace(borrow(x.live), borrow(x.x), borrow(x.memory), borrow(x.scratch), outputs, uniforms)


@register_jitable
def _borrowed_dynamics(x):
    parameters, prefix, state, rng = borrow(x.parameters), borrow(x.prefix), borrow(x.state), borrow(x.rng)
    seen, reward = borrow(x.observation), borrow(x.reward)
    return DynamicsArguments(x.reset, x.step, x.observe, parameters, prefix, state, rng, seen, reward, x.single)


@kernel
def act(policy, arrays, space, settings, count, cursor):
    """Choose an action in each of the first `count` live rows (PolicyArguments, RowArguments, Workspace).

    Writes samples, actions and the next memory. Returns DONE or a failure, of the row in cursor[FAILED].
    """
    policy, arrays, space = _borrowed_policy(policy), _borrowed_arrays(arrays), _borrowed_space(space)
    forward = _to_forward(policy.forward, policy.parameters)
    sample = _to_sample(policy.sample, policy.parameters)
    return _act(forward, sample, policy, arrays, space, settings, count, cursor)


@kernel
def play(policy, arrays, space, dynamics, record, settings, cursor):
    """Advance the rows until none has episodes left, a buffer is full, or the quota of steps is spent.

    Returns a status. The arguments are the classes above. A row's next episode starts when the row has one left and
    none is open.
    """
    policy, arrays, space = _borrowed_policy(policy), _borrowed_arrays(arrays), _borrowed_space(space)
    dynamics = _borrowed_dynamics(dynamics)
    forward = _to_forward(policy.forward, policy.parameters)
    sample = _to_sample(policy.sample, policy.parameters)
    reset = _to_reset(dynamics.reset, policy.parameters)
    step = _to_step(dynamics.step, policy.parameters)
    observe = _to_observe(dynamics.observe, policy.parameters)
    rows, live = arrays.rows, space.live
    capacity, segment, limit = record.rewards.shape[1], settings[SEGMENT], settings[TIME_LIMIT]
    taken = 0
    while True:
        count = 0
        for r in range(rows.size):
            state = rows[r]
            if state.left == 0:
                continue
            if settings[RECORD] != 0 and state.count == capacity:
                return FULL
            if state.open == 0:
                _start(reset, observe, arrays, dynamics, record, r)
            live[count] = r
            count += 1
        if count == 0:
            return DONE
        if taken >= settings[QUOTA]:
            return PAUSED
        if cursor[ENDS] + count > record.ends.size:
            return FULL
        status = _act(forward, sample, policy, arrays, space, settings, count, cursor)
        if status != DONE:
            return status
        for m in range(count):
            r = live[m]
            state = rows[r]
            cursor[FAILED] = r
            if settings[RECORD] != 0:
                _record(arrays, arrays.observations, record, r, state.count)
            status = _step(step, arrays, dynamics, r)
            if status == INVALID:
                return BAD_ACTION
            reward = dynamics.reward[0]
            if not np.isfinite(reward):
                return BAD_REWARD
            if settings[RECORD] != 0:
                record.rewards[r, state.count] = reward
            _observe(observe, arrays, dynamics, r)
            terminated = status == TERMINATED
            truncated = not terminated and state.time + 1 == limit
            _advance(arrays, arrays.observations, record, r, reward, terminated, truncated, segment, cursor)
        taken += count


@register_jitable
def _start(reset, observe, arrays, dynamics, record, r):
    """Begin the row's next episode."""
    state = arrays.rows[r]
    seed_generator(episode_seed(dynamics.prefix, state.environment, state.episode), row(dynamics.rng, r))
    reset(row(dynamics.state, r), row(dynamics.rng, r), dynamics.parameters)
    _observe(observe, arrays, dynamics, r)
    state.open = 1
    state.time = 0
    state.returns = 0.0
    for i in range(arrays.memory.shape[1]):
        arrays.memory[r, i] = 0


@register_jitable
def _step(step, arrays, dynamics, r):
    """Take the row's step with its action, rounded to the action space's dtype. Return the status."""
    action = row(arrays.actions, r)
    if dynamics.single != 0:
        for i in range(action.size):
            action[i] = np.float32(action[i])
    return step(row(dynamics.state, r), action, row(dynamics.rng, r), dynamics.parameters, dynamics.reward)


@register_jitable
def _observe(observe, arrays, dynamics, r):
    observe(row(dynamics.state, r), dynamics.parameters, dynamics.observation, row(arrays.masks, r))
    for i in range(dynamics.observation.size):
        arrays.observations[r, i] = dynamics.observation[i]


@register_jitable
def _record(arrays, seen, record, r, place):
    """Write the row's observation, sample and mask at a place of its buffer."""
    for i in range(record.observations.shape[2]):
        record.observations[r, place, i] = seen[r, i]
    for i in range(record.samples.shape[2]):
        record.samples[r, place, i] = arrays.samples[r, i]
    for i in range(record.masks.shape[2]):
        record.masks[r, place, i] = arrays.masks[r, i]


@register_jitable
def _advance(arrays, seen, record, r, reward, terminated, truncated, segment, cursor):
    """Count the row's step. End its episode if it is over, or its part if the segment is complete."""
    state = arrays.rows[r]
    state.returns += reward
    state.time += 1
    state.count += 1
    if terminated or truncated:
        _end(arrays, seen, record, r, terminated, truncated, cursor)
        state.episode += state.stride
        state.left -= 1
        state.open = 0
    if state.count == segment:
        if state.open != 0:
            _end(arrays, seen, record, r, False, False, cursor)
        state.left = 0


@register_jitable
def _end(arrays, seen, record, r, terminated, truncated, cursor):
    """Append the batch's part of the row's episode; the next part begins here."""
    state, e = arrays.rows[r], cursor[ENDS]
    end = record.ends[e]
    end.row, end.episode, end.returns = r, state.episode, state.returns
    end.length, end.first = state.count - state.begin, state.first
    end.terminated, end.truncated = terminated, truncated
    for i in range(record.final.shape[1]):
        record.final[e, i] = seen[r, i]
    for i in range(record.memory.shape[1]):
        record.memory[e, i] = record.first_memory[r, i]
        record.first_memory[r, i] = 0
    state.begin, state.first = state.count, 0
    cursor[ENDS] = e + 1


_to_forward = from_address(signatures.forward)
_to_sample = from_address(signatures.sample)
_to_reset = from_address(lambda real: signatures.RESET)
_to_step = from_address(lambda real: signatures.STEP)
_to_observe = from_address(lambda real: signatures.OBSERVE)


@kernel
def record_rows(arrays, seen, record, settings, count, live, cursor):
    """Write the observations, samples and masks of the first `count` live rows, before their environments step.

    seen: [N, O], the observations as they are recorded. Returns DONE, or FULL if a buffer has no room for the step.
    """
    if cursor[ENDS] + count > record.ends.size:
        return FULL
    if settings[RECORD] == 0:
        return DONE
    for m in range(count):
        if arrays.rows[live[m]].count == record.rewards.shape[1]:
            return FULL
    for m in range(count):
        _record(arrays, seen, record, live[m], arrays.rows[live[m]].count)
    return DONE


@kernel
def advance_rows(arrays, seen, record, settings, count, live, rewards, terminated, truncated, cursor):
    """Record the step of the first `count` live rows: rewards f8, terminated b1 and truncated b1, each [count].

    seen: [N, O], the observations after the step. Returns DONE, or BAD_REWARD of the row in cursor[FAILED].
    """
    for m in range(count):
        r = live[m]
        if not np.isfinite(rewards[m]):
            cursor[FAILED] = r
            return BAD_REWARD
        if settings[RECORD] != 0:
            record.rewards[r, arrays.rows[r].count] = rewards[m]
        cut = truncated[m] and not terminated[m]
        _advance(arrays, seen, record, r, rewards[m], terminated[m], cut, settings[SEGMENT], cursor)
    return DONE


@kernel
def draw(arrays, settings, key, count, live, uniforms):
    """Write the uniform numbers of the live rows' next actions into uniforms f8 [N, draws], for policies in torch."""
    for m in range(count):
        state = arrays.rows[live[m]]
        action_uniforms(key, state.environment, state.episode, state.time, uniforms[live[m], : settings[DRAWS]])


@kernel
def start_rows(arrays, dynamics, count, live, seeds):
    """Begin an episode from its seed in each of the first `count` live rows; write observations and masks."""
    reset = _to_reset(dynamics.reset, dynamics.state)
    observe = _to_observe(dynamics.observe, dynamics.state)
    for m in range(count):
        r = live[m]
        seed_generator(seeds[m], row(dynamics.rng, r))
        reset(row(dynamics.state, r), row(dynamics.rng, r), dynamics.parameters)
        _observe(observe, arrays, dynamics, r)


@kernel
def step_rows(arrays, dynamics, count, live, rewards, statuses):
    """Take a step in each of the first `count` live rows; write observations, masks, rewards and statuses [N]."""
    step = _to_step(dynamics.step, dynamics.state)
    observe = _to_observe(dynamics.observe, dynamics.state)
    for m in range(count):
        r = live[m]
        statuses[m] = _step(step, arrays, dynamics, r)
        rewards[m] = dynamics.reward[0]
        _observe(observe, arrays, dynamics, r)
