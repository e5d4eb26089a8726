"""What Hydra's override grammar says of a searched key, as Optuna's distributions; and their values as overrides."""

import math
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep, Sweep
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from pgexp.schema.errors import ConfigError, Problem

Value = str | int | float


def distribution(override: Override) -> BaseDistribution:
    """Return what an override that sweeps is a search over. Raises ConfigError.

    ``interval(a, b)`` is every number from a to b, ``int(interval(a, b))`` every whole one, both ends included.
    ``range(a, b, step)`` is the numbers that it is in any sweep, without b, in their order. ``tag(log, ...)`` searches
    orders of magnitude alike. Anything else (``a,b``, ``choice(...)``, ``glob(...)``) is a choice without an order.
    """
    sweep: Any = override.value()
    if isinstance(sweep, ChoiceSweep | RangeSweep) and sweep.shuffle:
        raise _wrong(override, "a search has no order that could be shuffled: leave shuffle out")
    tags: set[str] = sweep.tags if isinstance(sweep, Sweep) else set()  # a glob has none
    if tags - {"log"}:
        raise _wrong(override, f"there is no tag {', '.join(sorted(tags - {'log'}))}; the one that is known is log")
    log = "log" in tags
    if isinstance(sweep, IntervalSweep):
        return _interval(override, sweep, log)
    if isinstance(sweep, RangeSweep):
        return _range(override, sweep, log)
    if log:
        raise _wrong(override, "a choice has no order: log is for an interval or a range")
    return _choice(override, sweep)


def _interval(override: Override, sweep: IntervalSweep, log: bool) -> BaseDistribution:
    assert sweep.start is not None  # Hydra's parser sets both
    assert sweep.end is not None
    low, high = sweep.start, sweep.end
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise _wrong(override, "must go from a number to a larger one")
    if log and low <= 0:
        raise _wrong(override, "has no logarithm: with log it must begin above 0")
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(low, high, log=log)


def _range(override: Override, sweep: RangeSweep, log: bool) -> BaseDistribution:
    start, stop, step = (Decimal(str(value)) for value in (sweep.start, sweep.stop, sweep.step))
    count = math.ceil((stop - start) / step) if step else 0
    if count <= 0:
        raise _wrong(override, "a sweep over nothing has no runs")
    low, high = sorted((start, start + (count - 1) * step))
    if log and (abs(step) != 1 or low <= 0):
        raise _wrong(override, "with log it must begin above 0 and go in steps of 1; an interval needs no steps")
    if all(isinstance(value, int) for value in (sweep.start, sweep.stop, sweep.step)):
        return IntDistribution(int(low), int(high), log=log, step=int(abs(step)))
    return FloatDistribution(float(low), float(high), step=float(abs(step)))


def _choice(override: Override, sweep: Any) -> BaseDistribution:
    given = sweep.list if isinstance(sweep, ChoiceSweep) else override.sweep_iterator()
    texts = tuple(dict.fromkeys(Override._get_value_element_as_str(item) for item in given))
    if not texts:
        raise _wrong(override, "no option matches; a sweep over nothing has no runs")
    return CategoricalDistribution(texts)


def suggested(value: Value, found: BaseDistribution) -> Value:
    """Return a suggested value as the range's own: the third step of 0.1 is 0.3, not 0.30000000000000004."""
    if not isinstance(found, FloatDistribution) or found.step is None:
        return value
    low, step = Decimal(str(found.low)), Decimal(str(found.step))
    return float(low + round((Decimal(value) - low) / step) * step)


def grid_values(key: str, found: BaseDistribution) -> list[Value]:
    """Return every value of a distribution. Raises ConfigError where they can't be counted."""
    if isinstance(found, CategoricalDistribution):
        return [str(choice) for choice in found.choices]
    if isinstance(found, IntDistribution):
        return [*range(found.low, found.high + 1, found.step)]
    assert isinstance(found, FloatDistribution)  # there are these three
    if found.step is None:
        text = "an interval has no grid: give a range, or values; or choose another hydra.sweeper.sampler"
        raise ConfigError([Problem(key, text)])
    steps = round((Decimal(str(found.high)) - Decimal(str(found.low))) / Decimal(str(found.step)))
    return [suggested(found.low + step * found.step, found) for step in range(steps + 1)]


def written(value: Value) -> str:
    """Return a suggested value as an override has it, every bit of a float included; a choice is an override's text."""
    return repr(value) if isinstance(value, float) else str(value)


def natural(value: Value) -> Any:
    """Return a suggested value as YAML has it: the choice ``8`` is a number, ``[16,16]`` a list."""
    return OverridesParser.create().parse_override(f"key={value}").value() if isinstance(value, str) else value


def _wrong(override: Override, text: str) -> ConfigError:
    given = (override.input_line or "").partition("=")[2]
    return ConfigError([Problem(override.get_key_element(), f"given {given}; {text}")])
