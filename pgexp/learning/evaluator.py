"""Evaluates policies on episodes of their own, on streams of their own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pgexp.envs.slots import GymnasiumSlots, Slots
from pgexp.envs.spec import EnvSpec
from pgexp.functional.arrays import Flags, Floats, Ints
from pgexp.learning.policy import Policy
from pgexp.learning.rollout import Rollout, StreamOf
from pgexp.networks.parameters import Parameters, stack
from pgexp.schema.streams import Key, Name


@dataclass(frozen=True)
class Subject:
    """What is evaluated: the seed of its run, and at which steps ("final" at the end)."""

    seed: int
    label: Name


@dataclass(frozen=True)
class Outcome:
    """The raw, undiscounted returns and the lengths of an evaluation's episodes, and which of them a time limit cut.

    [episodes] each. While they are played, an episode of length 0 is still to come.
    """

    returns: Floats
    lengths: Ints
    truncated: Flags


class Evaluator:
    """Plays episodes of up to `capacity` policies at once, each in `slots` slots.

    Episode e of a subject is played in slot e % slots, on the streams (seed, "evaluation", label, e), so it depends on
    nothing but its subject: not on training, on other subjects, or on how often was evaluated before.
    """

    def __init__(self, env: EnvSpec, policy: Policy, capacity: int, slots: int) -> None:
        self._env, self._policy = env, policy
        self._capacity, self._slots = capacity, slots
        self._bank: Slots | None = None  # kept from evaluation to evaluation: an environment may take long to make

    def close(self) -> None:
        """Release the environments."""
        if self._bank is not None:
            self._bank.close()

    def evaluate(self, stacked: Parameters, subjects: Sequence[Subject], episodes: int, greedy: bool) -> list[Outcome]:
        """Return each subject's outcome, in order. stacked: [R, ...], one set of parameters a subject.

        Raises what an environment raises.
        """
        return list(map(_outcome, self.attempt(stacked, subjects, episodes, greedy)))

    def attempt(
        self, stacked: Parameters, subjects: Sequence[Subject], episodes: int, greedy: bool
    ) -> list[Outcome | Exception]:
        """Return what `evaluate` does, and in place of the outcome of a subject whose environment raised, what."""
        found: list[Outcome | Exception] = []
        for begin in range(0, len(subjects), self._capacity):
            end = begin + self._capacity
            part = {name: tensor[begin:end] for name, tensor in stacked.items()}
            *_, outcomes = self._play(part, subjects[begin:end], episodes, greedy)
            found += outcomes
        return found

    def follow(self, parameters: Parameters, subject: Subject, episodes: int, greedy: bool) -> Iterator[Outcome]:
        """Evaluate one subject; yield its outcome as it fills, and at last as `evaluate` returns it.

        parameters: one run's, without a run axis. Raises what the environment raises.
        """
        for (outcome,) in self._play(stack([parameters]), [subject], episodes, greedy):
            yield _outcome(outcome)

    def film(
        self, parameters: Parameters, subject: Subject, episodes: int, greedy: bool
    ) -> Iterator[NDArray[np.uint8]]:
        """Play the first of a subject's episodes again, the same to the bit, and yield its pictures.

        parameters: one run's, without a run axis; episodes: how many the evaluation had.
        """
        slots = self._env.filmed()
        for _ in self.replay(slots, parameters, subject, episodes, greedy):
            yield slots.frame(0)

    def replay(
        self,
        slots: GymnasiumSlots,
        parameters: Parameters,
        subject: Subject,
        episodes: int,
        greedy: bool,
        episode: int = 0,
    ) -> Iterator[int]:
        """Play one of a subject's episodes again, the same to the bit, in slots that are closed after it.

        Yields the row that it is played in, at its beginning and after each step. parameters: one run's, without a run
        axis; episodes: how many the evaluation had. Raises what the environment raises.
        """
        per_run = min(self._slots, episodes)
        turn, row = divmod(episode, per_run)
        rollout = Rollout(self._env, slots, self._policy, 1, per_run, _streams([subject], per_run))
        rollout.follow(stack([parameters]))
        rollout.episode[row] = turn - 1
        live = np.arange(per_run) == row
        ended = False
        try:
            rollout.start(np.array([row]))
            while not ended:
                rollout.require_sound()
                yield row
                ended = len(rollout.step(live, greedy).ended) > 0
            yield row
        finally:
            rollout.close()

    def _play(
        self, stacked: Parameters, subjects: Sequence[Subject], episodes: int, greedy: bool
    ) -> Iterator[Sequence[Outcome | Exception]]:
        """Play the subjects' episodes; yield their outcomes, which fill, whenever some have ended.

        Where the environments of some failed, yield at last what they raised in place of their outcomes.
        """
        slots = min(self._slots, episodes)
        count = len(subjects) * slots
        bank = self._bank = self._bank or self._env.slots(self._capacity * self._slots)
        rollout = Rollout(self._env, bank, self._policy, len(subjects), slots, _streams(subjects, slots))
        shape = len(subjects), episodes
        returns, lengths, cut = np.zeros(shape), np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool)
        outcomes = [Outcome(*rows) for rows in zip(returns, lengths, cut, strict=True)]
        rollout.follow(stacked)
        rollout.start(np.arange(count))
        live = np.ones(count, dtype=bool)
        while (live := live & rollout.sound).any():
            step = rollout.step(live, greedy)
            ended = step.ended
            index = ended // slots, rollout.episode[ended] * slots + ended % slots
            returns[index], lengths[index] = rollout.returns[ended], rollout.time[ended]
            cut[index] = step.truncated[step.terminated | step.truncated]
            live[ended] = index[1] + slots < episodes
            rollout.start(ended[live[ended]])
            if len(ended):
                yield outcomes
        if rollout.failures:
            yield [rollout.failures.get(subject, outcome) for subject, outcome in enumerate(outcomes)]


def _outcome(found: Outcome | Exception) -> Outcome:
    if isinstance(found, Exception):
        raise found
    return found


def _streams(subjects: Sequence[Subject], slots: int) -> StreamOf:
    def stream(row: int, purpose: str, turn: int) -> Key:
        subject, slot = subjects[row // slots], row % slots
        return (subject.seed, "evaluation", subject.label, turn * slots + slot, purpose)

    return stream
