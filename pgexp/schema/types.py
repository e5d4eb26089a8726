"""Types of configuration values.

The constructor of an option (a baseline, a network, ...) annotates its parameters with these types, or with ``int``,
``float``, ``bool``, ``str``, ``list[...]``, ``dict[...]``, ``Literal[...]`` and ``... | None``. Values in a config are
checked against the annotations.
"""

from collections.abc import Callable
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, Lt

PositiveInt = Annotated[int, Gt(0)]
NonNegativeInt = Annotated[int, Ge(0)]
PositiveFloat = Annotated[float, Gt(0)]
NonNegativeFloat = Annotated[float, Ge(0)]
Fraction = Annotated[float, Ge(0), Le(1)]

# A nested option: a mapping with its own `_target_`. The constructor receives a callable that builds it.
Factory = Callable[..., Any]

BOUNDS: dict[type, tuple[str, str]] = {
    Gt: ("gt", "greater than"),
    Ge: ("ge", "at least"),
    Lt: ("lt", "less than"),
    Le: ("le", "at most"),
}

VOCABULARY: dict[str, Any] = {
    "PositiveInt": PositiveInt,
    "NonNegativeInt": NonNegativeInt,
    "PositiveFloat": PositiveFloat,
    "NonNegativeFloat": NonNegativeFloat,
    "Fraction": Fraction,
    "Factory": Factory,
    "int": int,
    "float": float,
    "bool": bool,
    "str": str,
    "None": None,
    "Any": Any,
}
