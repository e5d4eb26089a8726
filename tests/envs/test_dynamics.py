"""Dynamics written for arrays equal Gymnasium's, bit for bit: the same seeds give the same episodes."""

import numpy as np
import pytest

from pgexp.envs.dynamics.dynamics import cosine, squared
from pgexp.envs.dynamics.registry import DYNAMICS
from pgexp.envs.slots import ArraySlots, GymnasiumSlots, Slots
from pgexp.envs.spec import EnvSpec, inspect
from pgexp.schema.streams import generator, integer
from tests.playing import Act, along, alternate, balance, force, play, push, tumble


def both(spec: EnvSpec, count: int) -> tuple[Slots, Slots]:
    return spec.slots(count), GymnasiumSlots(spec.make, spec.spaces)


SCRIPTS = [
    ("CartPole-v1", balance, 8),
    ("CartPole-v1", tumble, 300),
    ("CartPole-v1", push, 50),
    ("Acrobot-v1", along(4), 25),
    ("Acrobot-v1", along(5), 25),
    ("MountainCar-v0", along(1), 60),
    ("MountainCarContinuous-v0", force(1.0, np.float32), 100),
    ("MountainCarContinuous-v0", force(1.0, np.float64), 100),
    ("Pendulum-v1", force(2.0, np.float32), 60),
    ("Pendulum-v1", force(2.0, np.float64), 60),
    ("pgexp/ShortCorridor-v0", alternate, 3),
]


@pytest.mark.parametrize(("name", "act", "count"), SCRIPTS)
def test_episodes_are_equal_in_every_bit(name: str, act: Act, count: int) -> None:
    ours, gymnasiums = both(inspect(name), count)
    assert isinstance(ours, ArraySlots)
    seeds = [integer(7, "env", slot) for slot in range(count)]
    episodes = play(ours, seeds, act)
    assert episodes == play(gymnasiums, seeds, act)
    assert all(np.isfinite(step[0]).all() for episode in episodes for step in episode)


@pytest.mark.parametrize("name", sorted(DYNAMICS))
def test_first_observations_are_equal_in_every_bit(name: str) -> None:
    spec, rows, seeds = inspect(name), np.arange(5000), [integer(1, name, slot) for slot in range(5000)]
    env = spec.make()
    expected = [env.reset(seed=seed)[0].tolist() for seed in seeds]
    assert spec.slots(5000).start(rows, seeds).observations.tolist() == expected


def test_the_scripts_play_every_environment_to_its_ends() -> None:
    ends: dict[str, set[tuple[bool, bool]]] = {name: set() for name, _, _ in SCRIPTS}
    for name, act, count in SCRIPTS:
        seeds = [integer(7, "env", slot) for slot in range(count)]
        ends[name] |= {episode[-1][2:] for episode in play(inspect(name).slots(count), seeds, act)}
    terminated, truncated = (True, False), (False, True)
    assert {name for name, found in ends.items() if terminated in found} == ends.keys() - {"Pendulum-v1"}
    assert {name for name, found in ends.items() if truncated in found} >= {"CartPole-v1", "Pendulum-v1"}
    assert ends.keys() == DYNAMICS.keys() - {"CartPole-v0"}


@pytest.mark.parametrize("name", sorted(DYNAMICS))
def test_chance_actions_beyond_the_bounds_give_equal_steps(name: str) -> None:
    spec, rows = inspect(name), np.arange(16)
    draws = generator(3, "actions", name)
    for slots in (banks := both(spec, 16)):
        slots.start(rows, range(16))
    for _ in range(50):
        discrete = spec.action_space.kind == "discrete"
        actions = draws.integers(spec.action_space.counts[0], size=16) if discrete else draws.normal(0, 3, (16, 1))
        ours, gymnasiums = (slots.step(rows, actions) for slots in banks)
        for part, other in zip(ours, gymnasiums, strict=True):
            assert np.asarray(part).tolist() == np.asarray(other).tolist()
        ended = np.flatnonzero(ours.terminated | ours.truncated)
        for slots in banks:
            slots.start(ended, [int(row) + 100 for row in ended])


@pytest.mark.parametrize("name", sorted(DYNAMICS))
def test_a_row_depends_on_itself_alone(name: str) -> None:
    spec, dynamics = inspect(name), DYNAMICS[name]()
    draws = generator(5, "rows", name)
    discrete = spec.action_space.kind == "discrete"
    actions = draws.integers(spec.action_space.counts[0], size=33) if discrete else draws.normal(0, 1, (33, 1))
    state = np.stack([dynamics.initial(draws) for _ in range(33)])
    for _ in range(3):  # the first step is another than those after it
        whole = dynamics.step(state, actions)
        seen = dynamics.observe(whole[0])
        for rows in [*np.arange(33)[:, None], draws.permutation(33), draws.permutation(33)[:7], np.arange(0)]:
            some = dynamics.step(state[rows], actions[rows])
            for part, of_whole in zip([*some, dynamics.observe(some[0])], [*whole, seen], strict=True):
                assert part.tobytes() == of_whole[rows].tobytes()
                assert part.dtype == of_whole.dtype
        state = whole[0]


def test_what_is_given_stays_as_it_was() -> None:
    for name, dynamics in DYNAMICS.items():
        state = np.stack([dynamics().initial(generator(1, name, row)) for row in range(4)])
        actions = np.zeros((4, 1)) if inspect(name).action_space.kind == "box" else np.zeros(4, dtype=np.int64)
        before = state.copy()
        dynamics().observe(dynamics().step(state, actions)[0])
        assert state.tolist() == before.tolist()


def test_squares_are_those_of_scalars() -> None:
    values = generator(1, "squares").uniform(-30, 30, 20_000)
    assert squared(values).tolist() == [float(value**2) for value in values]
    assert squared(values.astype(np.float32)).dtype == np.float32
    assert squared(values[:0]).dtype == np.float64


def test_cosines_of_nothing_are_nothing() -> None:
    assert cosine(np.zeros(0)).dtype == np.float64
    assert cosine(np.array([0.0, np.pi])).tolist() == [1.0, -1.0]


def test_a_slot_can_be_started_again_while_others_go_on() -> None:
    spec, rows = inspect("CartPole-v1"), np.arange(3)
    found = []
    for slots in both(spec, 3):
        slots.start(rows, [1, 2, 3])
        slots.step(rows, np.array([0, 1, 1]))
        begun = slots.start(rows[1:2], [9])
        step = slots.step(rows[[2, 1]], np.array([0, 1]))
        found.append((begun.observations.tolist(), step.observations.tolist()))
    assert found[0] == found[1]


def test_the_limit_truncates_at_its_step_and_not_before() -> None:
    for slots in both(inspect("CartPole-v1"), 1):
        (episode,) = play(slots, [3], balance)
        assert len(episode) == 1 + 500
        assert [step[2:] for step in episode[-2:]] == [(False, False), (False, True)]


def test_the_limit_counts_from_an_episodes_start() -> None:
    for slots in both(inspect("CartPole-v1", 4), 1):
        row, right = np.arange(1), np.array([1])
        for seed in (3, 4):
            slots.start(row, [seed])
            assert [bool(slots.step(row, right).truncated[0]) for _ in range(3)] == [False] * 3


def test_an_episode_may_terminate_and_be_truncated_at_the_same_step() -> None:
    (episode,) = play(inspect("CartPole-v1").slots(1), [3], push)
    length = len(episode) - 1
    assert episode[-1][2:] == (True, False)
    for slots in both(inspect("CartPole-v1", length), 1):
        (cut,) = play(slots, [3], push)
        assert len(cut) - 1 == length
        assert cut[-1][2:] == (True, True)


def test_every_step_of_cartpole_pays_1_the_last_included() -> None:
    for slots in both(inspect("CartPole-v1"), 1):
        (episode,) = play(slots, [3], push)
        assert {step[1] for step in episode[1:]} == {1.0}


def test_version_0_has_its_own_limit() -> None:
    for slots in both(inspect("CartPole-v0"), 1):
        (episode,) = play(slots, [3], balance)
        assert len(episode) == 1 + 200
