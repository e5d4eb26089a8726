"""Config files that can't be read are told with their names; those that would never be done are refused unread."""

from pathlib import Path

import pytest

from pgexp.cli.yaml_size import require_bounded
from pgexp.schema.errors import ConfigError
from tests.cli.console import Server


def bomb(levels: int) -> str:
    """Return YAML of nine values, nine times as many on each further level: on the fifth 59,049."""
    lines = ["a1: &a1 [0, 0, 0, 0, 0, 0, 0, 0, 0]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(2, levels + 1)]
    return "\n".join(lines)


@pytest.mark.parametrize("text", [bomb(6), bomb(100), "a: &a [*a]", "a: &a {b: *a}", "&a {*a: 1}", "a: &a {<<: *a}"])
def test_aliases_without_end_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "baseline").mkdir()
    (tmp_path / "baseline" / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"baseline/mine\.yaml: its aliases come to more than 100,000 values"):
        require_bounded(tmp_path)


@pytest.mark.parametrize(
    "content",
    [bomb(4).encode(), b"a: &a {x: 1}\nb: {<<: *a, y: 2}", b"", b"\xff & *", b"&*: [", b"a: *b & c", b"x: '& *'"],
)
def test_other_files_are_left_to_hydra(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(content)
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "circle.yaml").symlink_to("circle.yaml")
    require_bounded(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (bomb(9).encode(), "myconf/baseline/mine.yaml: its aliases "),
        (b"\xff\xfe", "myconf/baseline/mine.yaml: 'utf-8' codec "),
        (b"3.0", "myconf/baseline/mine.yaml: Invalid loaded object type: float"),
        (b"a: !!float x", "myconf/baseline/mine.yaml: could not convert "),
        (b"a: ${", "myconf/baseline/mine.yaml: "),
        (b"x: " + b"[" * 2000, "myconf/baseline/mine.yaml: "),
        (b"a: !!python/object/apply:os.system ['touch ran']", "myconf/baseline/mine.yaml: could not determine "),
    ],
)
def test_a_config_file_that_cannot_be_read_is_told_with_its_name(
    light: Server, own: Path, content: bytes, said: str
) -> None:
    (own / "myconf" / "baseline" / "mine.yaml").write_bytes(content)
    assert light.run(own, "--config-dir", "myconf", "baseline=mine").mistake.startswith(said)
    assert not (own / "ran").exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("seed=choice(1,2)", "seed: given choice(1,2); several values are a sweep: add -m, or quote them to mean one"),
        ("-m tracking=glob(x*)", "sweep: one of the values is a sweep over nothing, which has no runs"),
        ("hydra.run.dir=${x}", "hydra.run.dir: Interpolation key 'x' not found"),
        ("evaluation=1" + "0" * 400, "evaluation: given 1000"),
        ("seed=" + "[" * 400 + "]" * 400, "config: is nested too deeply, or within itself"),
        ("hydra.verbose=3", "config: can't be made of hydra.verbose=3 (AssertionError)"),
    ],
)
def test_what_hydra_does_not_tell_is_told(light: Server, tmp_path: Path, line: str, said: str) -> None:
    assert light.run(tmp_path, *line.split(" ")).mistake.startswith(said)
