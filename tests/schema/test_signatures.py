"""Constructors' parameters are read from source, and equal what Python's own inspection finds."""

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
    "pgexp.networks.mlp.MLP",
    "pgexp.networks.linear.Linear",
    "pgexp.networks.cnn.CNN",
    "pgexp.networks.gru.GRU",
    "pgexp.networks.lstm.LSTM",
    "pgexp.baselines.none.NoBaseline",
    "pgexp.baselines.mean.BatchMean",
    "pgexp.baselines.leave_one_out.LeaveOneOut",
    "pgexp.baselines.value.ValueNetwork",
    "pgexp.learning.reinforce.Reinforce",
]
OPTIMIZERS = [
    *("torch.optim.Adadelta", "torch.optim.Adafactor", "torch.optim.Adagrad", "torch.optim.Adam", "torch.optim.Adamax"),
    *("torch.optim.AdamW", "torch.optim.ASGD", "torch.optim.NAdam", "torch.optim.RAdam", "torch.optim.RMSprop"),
    *("torch.optim.Rprop", "torch.optim.SGD"),
]


def inspected(target: str) -> dict[str, Any]:
    """Return a constructor's defaults by name, REQUIRED where there is none, as inspect.signature has them."""
    module, _, name = target.rpartition(".")
    found = inspect.signature(getattr(import_module(module), name)).parameters.values()
    return {item.name: REQUIRED if item.default is item.empty else item.default for item in found}


@pytest.mark.parametrize("target", [*OURS, *OPTIMIZERS])
def test_names_order_and_defaults_are_the_constructors(target: str) -> None:
    read = parameters(target)
    expected = inspected(target)
    assert [*read] == [*expected]
    assert {name: item.default for name, item in read.items()} == expected


def test_annotations_are_read_in_the_vocabulary_of_types() -> None:
    read = parameters("pgexp.learning.reinforce.Reinforce")
    assert read["episodes"].annotation == int | None
    assert read["gamma"].annotation == Fraction
    assert read["time_limit"].annotation == Literal["end", "bootstrap"]
    assert read["entropy_coefficient"].annotation == NonNegativeFloat
    assert read["max_grad_norm"].annotation == PositiveFloat | None
    assert parameters("pgexp.networks.mlp.MLP")["widths"].annotation == list[PositiveInt]
    assert parameters("pgexp.baselines.value.ValueNetwork")["network"].annotation is Factory


def test_members_of_a_union_that_no_config_can_hold_drop_out() -> None:
    read = parameters("torch.optim.Adam")  # lr: float | Tensor, betas: tuple[float | Tensor, float | Tensor]
    assert read["lr"] == Parameter(float, 1e-3)
    assert read["betas"] == Parameter(tuple[float, float], (0.9, 0.999))
    assert read["fused"] == Parameter(bool | None, None)


def test_an_annotation_outside_the_vocabulary_allows_anything() -> None:
    assert parameters("pgexp.baselines.value.ValueNetwork")["dtype"].annotation is Any


class TestMadeUpModules:
    """A package of one's own, which raises if anything imports it."""

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

    def test_re_exports_and_bases_are_followed_from_module_to_module(self) -> None:
        expected = {"lr": Parameter(PositiveFloat), "steps": Parameter(int, 3)}
        assert parameters("own.forms.Plain") == expected
        assert parameters("own.inner.deep.Deep") == expected
        assert parameters("own.Shallow") == expected

    def test_a_dataclass_has_its_fields(self) -> None:
        assert parameters("own.forms.Record") == {"name": Parameter(str), "size": Parameter(int | None, None)}

    def test_an_annotation_in_quotes_is_read_like_one_without(self) -> None:
        assert parameters("own.forms.Quoted") == {"a": Parameter(int | None), "b": Parameter(bool | str, True)}

    def test_old_spellings_of_unions_are_read(self) -> None:
        assert parameters("own.forms.Old") == {"a": Parameter(int | None), "b": Parameter(int | str)}

    def test_a_default_that_is_no_literal_is_a_default(self) -> None:
        assert parameters("own.forms.Computed")["a"].default is not REQUIRED

    def test_a_class_without_a_constructor_takes_nothing(self) -> None:
        assert parameters("own.forms.Bare") == {}

    @pytest.mark.parametrize(
        ("target", "words"),
        [
            ("Adam", "no import path of a class"),
            ("own.forms.Missing", "no class 'Missing' in the module 'own.forms'"),
            ("own.nowhere.Plain", "no module 'own.nowhere'"),
            ("nobodys.module.Plain", "no module 'nobodys'"),
            ("own.left.Thing", "in a circle"),
            ("math.Plain", "no Python source"),
        ],
    )
    def test_what_is_not_there_is_said(self, target: str, words: str) -> None:
        with pytest.raises(LookupError, match=words):
            parameters(target)

    def test_a_module_that_cannot_be_read_is_a_syntax_error(self) -> None:
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


def test_reading_loads_neither_torch_nor_what_is_read() -> None:
    code = f"""
import sys
from pgexp.schema.signatures import parameters
assert all(parameters(target) is not None for target in {[*OURS, "torch.optim.Adam"]})
print(*(name for name in sys.modules if name.partition(".")[0] in ("torch", "pgexp")))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pgexp.schema.signatures" in run.stdout.split()
    assert [name for name in run.stdout.split() if not f"{name}.".startswith(("pgexp.schema.", "pgexp. "))] == ["pgexp"]


def test_parameters_are_inherited_through_dotted_bases_and_between_dataclasses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inheriting.py").write_text(
        "import pgexp.networks.linear\n"
        "from dataclasses import dataclass\n"
        "from pgexp.networks import mlp as perceptrons\n"
        "class Mine(perceptrons.MLP):\n    pass\n"
        "class Plain(pgexp.networks.linear.Linear):\n    pass\n"
        "@dataclass\nclass First:\n    a: int\n"
        "@dataclass\nclass Second(First):\n    b: float = 2.0\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert parameters("inheriting.Mine") == parameters("pgexp.networks.mlp.MLP")
    assert parameters("inheriting.Plain") == parameters("pgexp.networks.linear.Linear")
    assert parameters("inheriting.Second") == {"a": Parameter(int), "b": Parameter(float, 2.0)}
