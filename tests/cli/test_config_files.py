"""Config files that cannot be read, and errors of Hydra without a key."""

from pathlib import Path

import pytest

from tests.cli.console import Server


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\xff\xfe", "myconf/baseline/mine.yaml: 'utf-8' codec "),
        (b"3.0", "myconf/baseline/mine.yaml: Invalid loaded object type: float"),
        (b"a: !!float x", "myconf/baseline/mine.yaml: could not convert "),
        (b"a: ${", "myconf/baseline/mine.yaml: "),
        (b"x: " + b"[" * 2000, "myconf/baseline/mine.yaml: "),
        (b"a: !!python/object/apply:os.system ['touch ran']", "myconf/baseline/mine.yaml: could not determine "),
    ],
)
def test_unreadable_config_file_is_named(light: Server, own: Path, content: bytes, expected: str) -> None:
    (own / "myconf" / "baseline" / "mine.yaml").write_bytes(content)
    assert light.run(own, "--config-dir", "myconf", "baseline=mine").mistake.startswith(expected)
    assert not (own / "ran").exists()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("seed=choice(1,2)", "seed: must be one value (got choice(1,2))"),
        ("-m tracking=glob(x*)", "sweep: must have at least one run"),
        ("hydra.run.dir=${x}", "hydra.run.dir: Interpolation key 'x' not found"),
        ("evaluation=1" + "0" * 400, "evaluation: must be the name of an option (got 1000"),
        ("seed=" + "[" * 400 + "]" * 400, "config: is nested too deeply"),
        ("hydra.verbose=3", "config: Hydra cannot compose hydra.verbose=3 (AssertionError)"),
    ],
)
def test_hydra_errors_without_a_key(light: Server, tmp_path: Path, line: str, expected: str) -> None:
    assert light.run(tmp_path, *line.split(" ")).mistake.startswith(expected)
