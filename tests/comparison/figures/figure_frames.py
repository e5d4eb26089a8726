"""Small frames for figures."""

from collections.abc import Sequence

import pandas as pd

from pgexp.comparison import baseline_study, sensitivity
from pgexp.comparison.curves import CURVE_COLUMNS
from pgexp.comparison.summary import performance_profiles
from pgexp.schema.names import FINAL_RETURN

NAMES = ("baseline=none", "baseline=value")


def curve(
    names: Sequence[str] = NAMES, environment: str = "CartPole-v1", threshold: float = 475, scale: float = 1
) -> pd.DataFrame:
    """Return curves of three points, each higher than the last."""
    rows = [
        (environment, name, steps, 5, scale * (steps / 100 + place), scale * steps / 110, scale * steps / 80, threshold)
        for place, name in enumerate(names)
        for steps in (0, 25_000, 50_000)
    ]
    return pd.DataFrame(rows, columns=list(CURVE_COLUMNS))


def runs(scores: dict[str, Sequence[float]], environment: str = "CartPole-v1") -> pd.DataFrame:
    """Return finished runs with one score per seed, by configuration name."""
    rows = [
        {
            "environment": environment,
            "configuration_name": name,
            "configuration": f"{environment} {name}",
            "run_id": f"{environment} {name} {seed}",
            "seed": seed,
            "status": "FINISHED",
            "start": pd.Timestamp(0),
            FINAL_RETURN: score,
        }
        for name, own in scores.items()
        for seed, score in enumerate(own)
    ]
    return pd.DataFrame(rows)


def summary(names: Sequence[str] = NAMES, environment: str = "CartPole-v1", scale: float = 1) -> pd.DataFrame:
    """Return a row per configuration, each ten above the last."""
    rows = []
    for place, name in enumerate(names):
        iqm, mean = ({"": value, "_low": value - 5, "_high": value + 7} for value in (10.0 * place, 10.0 * place - 2))
        estimates = {f"iqm{end}": scale * value for end, value in iqm.items()}
        estimates |= {f"mean{end}": scale * value for end, value in mean.items()}
        methods = {"iqm_method": "trimmed t", "mean_method": "t"}
        rows.append({"environment": environment, "configuration_name": name, "n": 5, **estimates, **methods})
    return pd.DataFrame(rows)


def differences(names: Sequence[str] = NAMES, environment: str = "CartPole-v1") -> pd.DataFrame:
    """Return the differences 10, 20, ... from the first configuration, -+ 4, with p of .01, .02, ..."""
    heading = {"environment": environment, "reference": names[0], "n": 5, "n_reference": 5, "paired": True}
    return pd.DataFrame(
        {
            **heading,
            "configuration_name": name,
            "estimate": "mean",
            "difference": 10.0 * place,
            "low": 10.0 * place - 4,
            "high": 10.0 * place + 4,
            "p_holm": place / 100,
        }
        for place, name in enumerate(names[1:], start=1)
    )


def profile() -> pd.DataFrame:
    """Return two profiles, of four runs and of two."""
    return performance_profiles(runs({"baseline=none": [1, 2, 2, 5], "baseline=value": [3, 9]}))


def sensitivities(values: Sequence[object] = (1e-4, 1e-3, 1e-2), factor: str = "optimizer.lr") -> pd.DataFrame:
    """Return marginal scores of 100, 101, ... at a factor's values, and best ones 20 higher, each -+ 5."""
    rows = [
        ("CartPole-v1", factor, value, 4, 5, 0, 100 + place + more, 95 + place + more, 105 + place + more, kind)
        for place, value in enumerate(values)
        for kind, more in (("marginal", 0), ("best", 20))
    ]
    return pd.DataFrame(rows, columns=list(sensitivity.COLUMNS))


def interactions() -> pd.DataFrame:
    """Return scores 10 x + y for three learning rates and two baselines; the cell (0.01, value) is missing."""
    rows = [
        ("CartPole-v1", "optimizer.lr", x, "baseline", y, 1, 5, 0, 10.0 * column + line)
        for column, x in enumerate((1e-4, 1e-3, 1e-2))
        for line, y in enumerate(("none", "value"))
        if (x, y) != (1e-2, "value")
    ]
    return pd.DataFrame(rows, columns=list(sensitivity.INTERACTION_COLUMNS))


def study(names: Sequence[str] = NAMES, environment: str = "CartPole-v1") -> pd.DataFrame:
    """Return four quantities of three points; the first configuration has no bias."""
    rows = [
        (environment, name, quantity, steps, 5, value, 0.5 * value, 2 * value)
        for place, name in enumerate(names)
        for quantity in ("return", "variance", "signal_to_noise", "bias")
        for steps, value in zip((100, 200, 300), (place + 1, place + 30, place + 1000), strict=True)
        if (place, quantity) != (0, "bias")
    ]
    return pd.DataFrame(rows, columns=list(baseline_study.COLUMNS))
