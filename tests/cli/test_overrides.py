"""Keys of swept options, which are set per job."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from pgexp.cli.overrides import distribute
from tests.cli.console import Server


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("network=gru,lstm network.units=8", "network=gru,lstm network.units=choice(8)"),
        ("network=gru,lstm network.widths=[4,4]", "network=gru,lstm network.widths=choice([4,4])"),
        ("env=pong,breakout env.kwargs.frameskip=4", "env=pong,breakout env.kwargs.frameskip=choice(4)"),
        ("network=gru,lstm network.units=8,16", "network=gru,lstm network.units=8,16"),
        ("network=gru network.units=8 seed=1,2", "network=gru network.units=8 seed=1,2"),
        ("optimizer.lr=1,2 optimizer.eps=3", "optimizer.lr=1,2 optimizer.eps=3"),
        ("network=gru,lstm +network.units=8 ~network.widths", "network=gru,lstm +network.units=8 ~network.widths"),
    ],
)
def test_keys_of_a_swept_option_become_sweeps(given: str, expected: str) -> None:
    arguments = given.split(" ")
    overrides = OverridesParser.create().parse_overrides(arguments)
    assert distribute(["-m", *arguments], overrides) == ["-m", *expected.split(" ")]


@pytest.mark.slow
def test_each_job_has_the_key(ready: Server, tmp_path: Path) -> None:
    short = ("budget.steps=100", "evaluation.every=null", "evaluation.final_episodes=1")
    answer = ready.run(tmp_path, "-m", "optimizer=sgd,rmsprop", "optimizer.momentum=0.5", *short)
    assert answer.code == 0
    overrides = [path.read_text() for path in tmp_path.glob("multirun/*/*/*/.hydra/overrides.yaml")]
    assert len(overrides) == 2
    assert all("- optimizer.momentum=0.5\n" in text for text in overrides)
