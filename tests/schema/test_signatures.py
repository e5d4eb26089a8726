"""Parameters of constructors, read from source, compared with Python's inspection."""

import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import pytest

from pgexp.schema.signatures import REQUIRED, Parameter, parameters
from pgexp.schema.types import Factory, Fraction, NonNegativeFloat, PositiveFloat, PositiveInt

OURS = [
    "pgexp.networks.feedforward.MLP",
    "pgexp.networks.feedforward.Linear",
    "pgexp.networks.cnn.CNN",
    "pgexp.networks.recurrent.GRU",
    "pgexp.networks.recurrent.LSTM",
    "pgexp.baselines.none.NoBaseline",
    "pgexp.baselines.mean.BatchMean",
    "pgexp.baselines.leave_one_out.LeaveOneOut",
    "pgexp.baselines.value.ValueNetwork",
    "pgexp.algorithms.reinforce.Reinforce",
]
OPTIMIZERS = [
    *("torch.optim.Adadelta", "torch.optim.Adafactor", "torch.optim.Adagrad", "torch.optim.Adam", "torch.optim.Adamax"),
    *("torch.optim.AdamW", "torch.optim.ASGD", "torch.optim.NAdam", "torch.optim.RAdam", "torch.optim.RMSprop"),
    *("torch.optim.Rprop", "torch.optim.SGD"),
]


def inspected(target: str) -> dict[str, Any]:
    """Return a constructor's defaults by name from inspect.signature, REQUIRED if there is none."""
    module, _, name = target.rpartition(".")
    found = inspect.signature(getattr(import_module(module), name)).parameters.values()
    return {item.name: REQUIRED if item.default is item.empty else item.default for item in found}


@pytest.mark.parametrize("target", [*OURS, *OPTIMIZERS])
def test_parameters_equal_those_of_the_constructor(target: str) -> None:
    read = parameters(target)
    expected = inspected(target)
    assert [*read] == [*expected]
    assert {name: item.default for name, item in read.items()} == expected


def test_annotations_with_known_types() -> None:
    read = parameters("pgexp.algorithms.reinforce.Reinforce")
    assert read["episodes"].annotation == int | None
    assert read["gamma"].annotation == Fraction
    assert read["time_limit"].annotation == Literal["end", "bootstrap"]
    assert read["entropy_coefficient"].annotation == NonNegativeFloat
    assert read["max_grad_norm"].annotation == PositiveFloat | None
    assert parameters("pgexp.networks.feedforward.MLP")["widths"].annotation == list[PositiveInt]
    assert parameters("pgexp.baselines.value.ValueNetwork")["network"].annotation is Factory


def test_unknown_members_of_a_union_are_ignored() -> None:
    read = parameters("torch.optim.Adam")  # lr: float | Tensor, betas: tuple[float | Tensor, float | Tensor]
    assert read["lr"] == Parameter(float, 1e-3)
    assert read["betas"] == Parameter(tuple[float, float], (0.9, 0.999))
    assert read["fused"] == Parameter(bool | None, None)


def test_unknown_annotation_allows_any_value() -> None:
    assert parameters("pgexp.baselines.value.ValueNetwork")["dtype"].annotation is Any


class TestMadeUpModules:
    """A user's package, which raises if it is imported."""

    @pytest.fixture(autouse=True)
    def package(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.syspath_prepend(tmp_path)
        parameters.cache_clear()
        files = {
            "__init__": "from .inner.deep import Deep as Shallow\nfrom own.forms import *",
            "inner/__init__": "",
            "inner/deep": "from ..forms import Plain\nclass Deep(Plain): ...",
            "forms": FORMS,
            "left": "from own.right import Thing",
            "right": "from own.left import Thing",
            "broken": "class Broken(:",
        }
        for name, text in files.items():
            path = tmp_path / "own" / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\nraise RuntimeError('imported')\n")

    def test_re_exports_and_base_classes_are_followed(self) -> None:
        expected = {"lr": Parameter(PositiveFloat), "steps": Parameter(int, 3)}
        assert parameters("own.forms.Plain") == expected
        assert parameters("own.inner.deep.Deep") == expected
        assert parameters("own.Shallow") == expected

    def test_fields_of_a_dataclass(self) -> None:
        assert parameters("own.forms.Record") == {"name": Parameter(str), "size": Parameter(int | None, None)}

    def test_quoted_annotation(self) -> None:
        assert parameters("own.forms.Quoted") == {"a": Parameter(int | None), "b": Parameter(bool | str, True)}

    def test_union_and_optional(self) -> None:
        assert parameters("own.forms.Old") == {"a": Parameter(int | None), "b": Parameter(int | str)}

    def test_default_that_is_not_a_literal(self) -> None:
        assert parameters("own.forms.Computed")["a"].default is not REQUIRED

    def test_class_without_a_constructor(self) -> None:
        assert parameters("own.forms.Bare") == {}

    @pytest.mark.parametrize(
        ("target", "words"),
        [
            ("Adam", "must be an import path"),
            ("own.forms.Missing", "has no class 'Missing'"),
            ("own.nowhere.Plain", "no module 'own.nowhere'"),
            ("nobodys.module.Plain", "no module 'nobodys'"),
            ("own.left.Thing", "circular import"),
            ("math.Plain", "no Python source"),
        ],
    )
    def test_missing_modules_and_classes(self, target: str, words: str) -> None:
        with pytest.raises(LookupError, match=words):
            parameters(target)

    def test_syntax_error_in_a_module(self) -> None:
        with pytest.raises(SyntaxError):
            parameters("own.broken.Broken")


FORMS = """
from abc import ABC
from dataclasses import dataclass
from typing import ClassVar, Optional, Union
from pgexp.schema.types import PositiveFloat

class Bare(ABC):
    biased = False

class Plain(Bare):
    def __init__(self, lr: PositiveFloat, *, steps: int = 3) -> None: ...

@dataclass(frozen=True)
class Record:
    kind: ClassVar[str] = "record"
    name: str
    size: int | None = None

class Quoted:
    def __init__(self, a: "int | None", b: "bool | str" = True) -> None: ...

class Old:
    def __init__(self, a: Optional[int], b: Union[int, str]) -> None: ...

class Computed:
    def __init__(self, a: int = len("four")) -> None: ...
"""


def test_no_module_is_imported() -> None:
    code = f"""
import sys
from pgexp.schema.signatures import parameters
assert all(parameters(target) is not None for target in {[*OURS, "torch.optim.Adam"]})
print(*(name for name in sys.modules if name.partition(".")[0] in ("torch", "pgexp")))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pgexp.schema.signatures" in run.stdout.split()
    assert [name for name in run.stdout.split() if not f"{name}.".startswith(("pgexp.schema.", "pgexp. "))] == ["pgexp"]


def test_inherited_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inheriting.py").write_text(
        "import pgexp.networks.feedforward\n"
        "from dataclasses import dataclass\n"
        "from pgexp.networks import feedforward as perceptrons\n"
        "class Mine(perceptrons.MLP):\n    pass\n"
        "class Plain(pgexp.networks.feedforward.Linear):\n    pass\n"
        "@dataclass\nclass First:\n    a: int\n"
        "@dataclass\nclass Second(First):\n    b: float = 2.0\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert parameters("inheriting.Mine") == parameters("pgexp.networks.feedforward.MLP")
    assert parameters("inheriting.Plain") == parameters("pgexp.networks.feedforward.Linear")
    assert parameters("inheriting.Second") == {"a": Parameter(int), "b": Parameter(float, 2.0)}
