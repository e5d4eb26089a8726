"""Checks of values against parameters: unknown and missing keys, types and ranges."""

from collections.abc import Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError

from pgexp.schema.errors import Problem, unknown_key
from pgexp.schema.signatures import REQUIRED, Parameter
from pgexp.schema.types import BOUNDS, Factory

_TYPE_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a string", NoneType: "null"}


def check(
    values: Mapping[str, Any], parameters: Mapping[str, Parameter], path: str = "", other_keys: Sequence[str] = ()
) -> tuple[dict[str, Any], list[Problem]]:
    """Return the checked values with defaults filled in, and every problem.

    Args:
        values: values by name.
        parameters: the allowed parameters by name.
        path: the prefix of the keys in problems.
        other_keys: keys that are allowed here but parsed elsewhere; they are listed in hints.
    """
    checked: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in values.items():
        key = f"{path}.{name}" if path else name
        if name not in parameters:
            problems.append(unknown_key(key, value, [*parameters, *other_keys]))
            continue
        try:
            checked[name] = convert(value, parameters[name].annotation)
        except ValueError:
            allowed = describe(parameters[name].annotation)
            problems.append(Problem(key, f"must be {allowed} (got {value!r})"))
    for name, parameter in parameters.items():
        if name not in values:
            if parameter.default is REQUIRED:
                key = f"{path}.{name}" if path else name
                problems.append(Problem(key, f"is missing. Set it to {describe(parameter.annotation)}"))
            else:
                checked[name] = parameter.default
    return checked, problems


def convert(value: Any, annotation: Any) -> Any:
    """Return the value as the annotation's type.

    Integers are converted to floats and lists to tuples. Raises ValueError if the value has another type or is out of
    range.
    """
    if annotation is Any:
        return value
    if is_factory(annotation) and value is not None:
        if isinstance(value, Mapping) and "_target_" in value:
            return value
        raise ValueError
    if isinstance(value, list) and any(get_origin(kind) is tuple for kind in (annotation, *get_args(annotation))):
        value = tuple(value)
    try:
        return _adapter(annotation).validate_python(value, strict=True)
    except ValidationError as error:
        raise ValueError(str(error)) from None


def is_factory(annotation: Any) -> bool:
    """Return whether the annotation is a nested option, or one or None."""
    return annotation is Factory or Factory in get_args(annotation)


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation, config=ConfigDict(allow_inf_nan=False))


def describe(annotation: Any) -> str:
    """Return a description of the values that an annotation allows."""
    origin, members = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        bounds = [_bound(mark) for mark in members[1:]]
        return " ".join([describe(members[0]), " and ".join(bounds)]).strip()
    if origin is Literal:
        return f"one of {', '.join(str(member) for member in members)}"
    if origin in (Union, UnionType):
        return " or ".join(describe(member) for member in members)
    if origin is list:
        return f"a list, each {describe(members[0])}"
    if origin is tuple:
        return f"a list of {len(members)}: {', '.join(describe(member) for member in members)}"
    if annotation is Factory:
        return "a mapping with its own _target_"
    if annotation is dict or origin is dict:
        return "a mapping"
    return _TYPE_NAMES.get(annotation, "any value") if annotation is not None else "null"


def _bound(mark: Any) -> str:
    attribute, text = BOUNDS[type(mark)]
    return f"{text} {getattr(mark, attribute)}"
