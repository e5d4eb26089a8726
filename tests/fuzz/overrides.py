"""Strategies of command lines: keys of the config and similar ones, with values of all kinds."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from hydra import compose, initialize_config_dir
from hypothesis import strategies as st
from omegaconf import OmegaConf

from tests.conftest import CONF

_NUMBERS = (
    *("0", "-0", "1", "2", "-1", "0.5", "-0.5", "1.5", "1e-300", "1e400", "-1e400", "nan", "inf", "-inf", "+1", "1_0"),
    *("0x10", "0b1", "1e3", "1.", ".5", "1" + "0" * 30, "1" + "0" * 400, "-1" + "0" * 30, "9" * 5000, "3.0"),
)
_TEXTS = (
    *("", " ", "true", "null", "None", "yes", "~", "''", '""', "'", '"', "'a", 'a"', "a b", "a,b", "a=b", "a:b", "a/b"),
    *("\\", "\\'", "\\n", "\n", "\t", "\x1b[31mred", "\x07", "é", "日本", "\U0001f600", "\u202e", "\ufeff", "\udc80"),
    *("[", "]", "{", "}", "[]", "{}", "[1,", "{a:", "{a:1}", "[1,2]", "[[1]]", "{a:{b:[c]}}", "[null]", "[,]", "{:}"),
    *("[" * 2000, "[" * 300 + "]" * 300, "{a:" * 300 + "1" + "}" * 300, "x" * 10_000, "../../x", "/", "/proc/x/y", "."),
    *("!!python/object:os.system", "&a", "*a", "<<", "|", ">", "%", "@", "`", "#", "$", "$$", "%s", "{0}", "file://x"),
)
_INTERPOLATIONS = (
    *("${", "${}", "${x}", "${seed}", "${.seed}", "${..seed}", "${....}", "${env}", "${env.id}", "${oc.env:HOME}"),
    *("${oc.env:PGEXP_NOT_SET}", "${oc.env:PGEXP_NOT_SET,null}", "${oc.env}", "${env:HOME}", "${oc.create:{a:1}}"),
    *("${oc.decode:'['}", "${oc.select:seed}", "${oc.dict.keys:env}", "${now:%Y}", "${now:}", "${now:%}", "${hydra:}"),
    *("${hydra:job.name}", "${hydra.job.num}", "${hydra:runtime.cwd}", "${resolver_not_there:1}", "${${seed}}", "???"),
    *(
        "${python_version:}",
        "${python_version:sub}",
        "\\${seed}",
        "a${seed}b",
        "${seed",
        "${algorithm}",
        "${oc.env:${x}}",
    ),
)
_PLAUSIBLE = (
    "1",
    "2",
    "3",
    "0.5",
    "0.9",
    "0",
    "null",
    "true",
    "false",
    "[8]",
    "[2,3]",
    "[0.9,0.99]",
    "none",
    "mean",
    "x",
)
_SWEEPS = (
    *(
        "1,2",
        "a,b",
        "1,1",
        ",",
        "1,",
        "range(2)",
        "range(0)",
        "range(1,0)",
        "range(1e400)",
        "range(3,1,-1)",
        "range(x)",
    ),
    *("choice(1,2)", "choice()", "choice(", "glob(*)", "glob(m*)", "glob(x*)", "interval(0,1)", "interval(1,0)"),
    *("shuffle(1,2)", "sort(2,1)", "tag(a,1)", "int(x)", "int(1)", "float(a)", "str(1)", "bool(x)", "json_str({a:1})"),
    *("extend_list(1)", "range(1,10,0)", "range(0,1,0.5)", "unknown(1)", "range(-1,1)", "sort(1,a)", "cast(1)"),
)
_TARGETS = (
    *("os.system", "builtins.eval", "os", "torch", "torch.nn", "pgexp.baselines", "pgexp.baselines.baseline.Baseline"),
    *("builtins.dict", "collections.OrderedDict", "typing.Any", "numpy.ndarray", "enum.Enum", ".", "..", "a.", ".a"),
    *("pgexp.baselines.value.", "pgexp..value", "torch.optim.Adam", "torch.optim.SGD", "torch.optim.Nope", "abc.ABC"),
    *(
        "gymnasium.Env",
        "gymnasium.wrappers.TimeLimit",
        "gymnasium.wrappers",
        "pathlib.Path",
        "no.such.Thing",
        "json.tool",
    ),
    *("antigravity.x", "this.s", "__main__.x", "sys.exit", "posix.kill", "pgexp.cli.train.main", "a b.c", "é.É", "1.2"),
    *("xml.dom.minidom.Node", "encodings.idna.Codec", "tests.fuzz.overrides.X", "subprocess.Popen", "lib2to3.x.y"),
)
_OPTIONS = (
    *(
        "cartpole",
        "pendulum",
        "frozenlake",
        "cliffwalking",
        "mlp",
        "linear",
        "gru",
        "auto",
        "categorical",
        "beta",
        "adam",
    ),
    *("sgd", "adagrad", "constant", "cosine", "none", "mean", "value", "leave_one_out", "shared_value", "reinforce"),
    *("natural", "default", "mlflow", "tutorial", "acrobot", "mpl", "Value", "value.yaml", "../value", "/etc/passwd"),
    *("_self_", "null", "3", "true", "queue", "basic", "joblib", "submitit_local", "disabled", "colorlog", "bash", ""),
)
_HYDRA = (
    *("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.output_subdir", "hydra.job.name", "hydra.job"),
    *("hydra/launcher", "hydra.launcher", "hydra.launcher._target_", "hydra/job_logging", "hydra/hydra_logging"),
    *("hydra.job_logging", "hydra.job_logging.version", "hydra.verbose", "hydra.mode", "hydra.searchpath", "hydra"),
    *("hydra.job.chdir", "hydra.job.env_set", "hydra.job.env_set.A", "hydra.job.num", "hydra.job.id", "hydra/sweeper"),
    *("hydra.sweeper.params", "hydra.sweeper.max_batch_size", "hydra.runtime.cwd", "hydra.runtime.output_dir"),
    *("hydra.callbacks.mine._target_", "hydra.help.template", "hydra.job.config.override_dirname.kv_sep", "hydra/env"),
    *(
        "hydra.overrides.task",
        "hydra.runtime.choices",
        "hydra.sweeper._target_",
        "hydra.job.override_dirname",
        "hydra/help",
    ),
)
_PATHS = ("x", "../x", "../../x", "/x", "a/../../x", ".", "..", "", "a/b", "./x", "x/", "${seed}", "${hydra.job.num}",
          "a\nb", "a b", "é", "n" * 300, "${hydra.job.override_dirname}", "..x", "${hydra.run.dir}", "0")  # fmt: skip
_GROUPS = ("env", "network", "head", "optimizer", "schedule", "baseline", "algorithm", "evaluation", "tracking",
           "experiment", "baseline.network", "env.wrappers", "defaults", "_self_")  # fmt: skip
_COSTLY = frozenset({"env.vectorization", "evaluation.video"})  # valid values start processes or render


@cache
def keys() -> tuple[str, ...]:
    """Return the dotted keys of the composed config, sections included."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config: Any = OmegaConf.to_container(compose("config"))
    return tuple(key for key in _keys(config) if key not in _COSTLY)


def _keys(section: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in section.items():
        yield f"{prefix}{name}"
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{name}.")


@st.composite
def _near(draw: st.DrawFn) -> str:
    """Return a key with one letter removed, doubled or replaced, or with a prefix or suffix."""
    key = draw(st.sampled_from(keys()))
    at = draw(st.integers(0, len(key) - 1))
    return draw(st.sampled_from([key[:at] + key[at + 1 :], key[:at] + key[at] + key[at:], f"{key[:at]}x{key[at + 1 :]}",
                                 f"{key}.x", f".{key}", f"{key}.", f"{key}[0]", f"{key}@x", f"x.{key}", key.upper(),
                                 f"{key}@_global_", f"{key} ", f"'{key}'", key.replace(".", "/")]))  # fmt: skip


@st.composite
def overrides(draw: st.DrawFn) -> str:
    """Return one argument: usually an override of an existing key, with a value that may be valid or not."""
    kind = draw(st.sampled_from(["key"] * 8 + ["near"] + ["group", "hydra", "target"] * 3 + ["raw"]))
    if kind == "raw":
        return draw(st.one_of(st.text(max_size=20), st.sampled_from([*_TEXTS, *_SWEEPS, *_INTERPOLATIONS])))
    sign = draw(st.sampled_from([""] * 12 + ["+", "++", "~", "-"]))
    equals = draw(st.sampled_from(["="] * 20 + ["", " = ", "==", ":="]))
    value = draw(_VALUES[kind])
    return f"{sign}{draw(_NAMES[kind])}{equals}{_quoted(value) if draw(st.integers(0, 3)) == 0 else value}"


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


_ANYTHING = st.one_of(
    st.sampled_from(_NUMBERS),
    st.sampled_from(_PLAUSIBLE),
    st.sampled_from(_TEXTS),
    st.sampled_from(_INTERPOLATIONS),
    st.sampled_from(_SWEEPS),
    st.text(max_size=12),
)
_NAMES = {
    "key": st.deferred(lambda: st.sampled_from(keys())),
    "near": _near(),
    "group": st.sampled_from(_GROUPS),
    "hydra": st.sampled_from(_HYDRA),
    "target": st.deferred(lambda: st.sampled_from([key for key in keys() if key.endswith("_target_")])),
}
_VALUES = {
    "key": _ANYTHING,
    "near": _ANYTHING,
    "group": st.sampled_from(_OPTIONS) | _ANYTHING,
    "hydra": st.sampled_from([*_PATHS, *_OPTIONS, *_TARGETS]) | _ANYTHING,
    "target": st.sampled_from(_TARGETS),
}


_SUITABLE = st.tuples(
    st.deferred(lambda: st.sampled_from([key for key in keys() if not key.endswith("_target_")])),
    st.sampled_from([*_NUMBERS, *_PLAUSIBLE, *_INTERPOLATIONS]),
).map("=".join)

command_lines = st.tuples(
    st.sampled_from([[], [], ["-m"]]),
    st.lists(overrides(), min_size=1, max_size=2) | st.lists(_SUITABLE, min_size=1, max_size=2),
).map(lambda parts: [*parts[0], *(part.replace("\0", "") for part in parts[1])])
"""Arguments of `pgexp` for a single run or a sweep, without NUL, which the system does not allow."""
