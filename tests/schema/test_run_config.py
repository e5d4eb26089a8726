"""Typed config: default number of environments, required fields, contradictions."""

import pytest

from pgexp.schema.config import Batch, RunConfig, parameters_of
from pgexp.schema.errors import UserError
from pgexp.schema.parse import parse
from pgexp.schema.signatures import REQUIRED
from tests.schema.conftest import Given


@pytest.mark.parametrize(
    ("episodes", "count"),
    [(1, 1), (2, 2), (7, 7), (8, 8), (16, 16), (17, 1), (18, 9), (20, 10), (32, 16), (34, 2), (48, 16), (100, 10)],
)
def test_default_num_envs_divides_the_batch(given: Given, episodes: int, count: int) -> None:
    run = parse(given({"env.num_envs": None, "algorithm.batch.episodes": episodes}))
    assert run.num_envs == count


def test_default_num_envs_of_segments(given: Given) -> None:
    assert parse(given({"env.num_envs": None, "algorithm.batch": {"steps": 5}})).num_envs == 16


def test_num_envs_can_be_set(given: Given) -> None:
    assert parse(given({"env.num_envs": 64, "algorithm.batch.episodes": 64})).num_envs == 64
    assert parse(given({"env.num_envs": 1, "algorithm.batch.episodes": 64})).num_envs == 1


def test_defaults_of_fields() -> None:
    assert parameters_of(RunConfig)["seed"].default is REQUIRED
    assert parameters_of(Batch)["steps"].default is None


def test_a_config_is_frozen(given: Given) -> None:
    with pytest.raises(AttributeError):
        parse(given()).seed = 4


def test_all_contradictions_are_reported_at_once(given: Given) -> None:
    wrong = {"budget": {}, "env.num_envs": 3, "algorithm.batch.episodes": 8}
    with pytest.raises(UserError) as caught:
        parse(given(wrong))
    assert [problem.key for problem in caught.value.problems] == ["budget", "env.num_envs"]
