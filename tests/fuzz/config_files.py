"""Strategies of config files: YAML that is broken, huge, unrelated or wrong, and paths that are not files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from tests.conftest import CONF
from tests.fuzz.damage import damaged

_GROUPS = ("baseline", "network", "env", "optimizer", "algorithm", "experiment", "tracking", "schedule")
_BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
)
_TEXTS = (
    *(
        "",
        "\n",
        "---",
        "...",
        "--- a\n--- b",
        "null",
        "3",
        "text",
        "[]",
        "- a\n- b",
        "{}",
        "{",
        "}",
        "a: b: c",
        "a:\n\tb: c",
    ),
    *(
        "a: [",
        "a: 'b",
        'a: "\\x"',
        "a: !!python/object/apply:os.system ['true']",
        "a: !!python/name:os.system",
        "!!set {a}",
    ),
    *("a: !!binary aGVsbG8=", "a: !!timestamp 2020-01-01", "a: !!omap [b: c]", "a: !mine b", "a: *b", "a: &a [*a]"),
    *("&a a: *a", "a: &a {b: *a}", "<<: *x", "<<: {a: 1}", "<<: [1]", "a: &a {x: 1}\nb: {<<: *a, y: 2}", _BOMB),
    *("1: a", "null: a", "1.5: a", "true: a", "? [a]\n: b", "? {a: b}\n: c", "a: 1\na: 2", "'': 1", "a.b: 1", "a b: 1"),
    *("defaults: 3", "defaults: []", "defaults: [mine]", "defaults: [/baseline: mine]", "defaults: [_self_, _self_]"),
    *(
        "defaults: [{a: b, c: d}]",
        "defaults: [override /network: mlp]",
        "defaults: [optional nope]",
        "defaults: {a: b}",
    ),
    *(
        "defaults: [../../x]",
        "defaults: [/etc/passwd]",
        "defaults: [null]",
        "defaults: [mlp, mlp]",
        "defaults: ['${a}']",
    ),
    *(
        "# @package _global_\nseed: x",
        "# @package a.b.c\nx: 1",
        "# @package _group_\n",
        "# @package\nx: 1",
        "# @package ${a}\nx: 1",
    ),
    *("# @package _global_\nhydra: {run: {dir: ../../x}}", "# @package _global_\nhydra: 3", "# @package hydra\nx: 1"),
    *(
        "_target_: os.system\ncommand: 'true'",
        "_target_: 3",
        "_target_: ",
        "_target_: [a]",
        "a: ???",
        "a: ${a}",
        "a: ${b}",
    ),
    *(
        "a: ${oc.env:NOT_SET}",
        "a: ${",
        "x: " + "[" * 500,
        "x: " + "{a: " * 500,
        "x: " + "9" * 5000,
        "x: 0o777",
        "x: 1_000",
    ),
    *(
        "x: .inf",
        "x: .nan",
        "x: 1e999",
        "x: 2020-01-01",
        "x: 10:20",
        "x: 0x",
        "x: |\n  a",
        "x: >\n a",
        "a: !!float x",
        "\ufeffa: 1",
    ),
    *(
        "_target_: pgexp.baselines.constant.Constant\nvalue: 1" * 2,
        "x: " + "y" * 100_000,
        "%YAML 3.0\n---\na: 1",
        "a: !!int x",
    ),
    *(
        "a: \x00",
        "a: \x07",
        "a: é",
        "é: 1",
        "a: \U0001f600",
        "a: \u202e",
        "a: !!null x",
        "- !!python/tuple [1]",
        "a: !!bool x",
    ),
)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["${seed}", "???", "_target_"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def _shipped(draw: st.DrawFn) -> str:
    """Return a shipped option with one value replaced, or one key added or removed."""
    path = draw(st.sampled_from(sorted(path for group in _GROUPS for path in (CONF / group).glob("*.yaml"))))
    text = path.read_text()
    config: Any = yaml.safe_load(text) or {}
    key = draw(st.sampled_from([*config, "_target_", "mine"]))
    if draw(st.booleans()):
        config[key] = draw(_VALUES)
    else:
        config.pop(key, None)
    package = "# @package _global_\n" if "@package" in text else ""
    return package + yaml.safe_dump(config, allow_unicode=True)


_CONTENTS = st.one_of(
    st.sampled_from(_TEXTS).map(str.encode),
    _shipped().map(str.encode),
    st.sampled_from(sorted(CONF.glob("*/*.yaml"))).map(Path.read_bytes).flatmap(damaged),
    _VALUES.map(lambda value: yaml.safe_dump(value).encode()),
    st.binary(max_size=50),
)

Place = Callable[[Path], None]


def _file(content: bytes) -> Place:
    return lambda path: path.write_bytes(content) and None


_PLACES: tuple[Place, ...] = (
    Path.mkdir,
    lambda path: path.symlink_to(path),
    lambda path: path.symlink_to(path.parent / "nothing"),
    lambda path: path.symlink_to("/dev/null"),
    lambda path: path.symlink_to("/proc/self/mem"),
)

config_files = st.tuples(st.sampled_from(_GROUPS), _CONTENTS.map(_file) | st.sampled_from(_PLACES))
"""A config group, and a function that writes the file of its option `mine`."""
