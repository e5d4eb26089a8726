"""Which configurations a figure shows where there are more than a reader can tell apart."""

from typing import Final, NamedTuple

import pandas as pd

MOST: Final = 10  # lines that a reader can tell apart in one panel


class Chosen(NamedTuple):
    """The rows that are shown, and a sentence on the others (empty if there are none)."""

    frame: pd.DataFrame
    note: str


def best(frame: pd.DataFrame, labels: "pd.Series[str]", scores: "pd.Series[float]", most: int, what: str) -> Chosen:
    """Return the rows of at most so many labels, those with the best scores (one a row; NaN is the worst).

    Of each label and environment the last row's score counts. Over several environments labels are ordered by
    their mean rank. The rows keep their order.
    """
    if labels.nunique() <= most:
        return Chosen(frame, "")
    last = pd.DataFrame({"label": labels, "score": scores, "environment": frame["environment"]})
    last = last.groupby(["environment", "label"], sort=False, observed=True).tail(1)
    last["rank"] = last.groupby("environment", observed=True)["score"].rank(ascending=False, na_option="bottom")
    ranks = last.groupby("label", sort=False)["rank"].mean().sort_values(kind="stable")
    kept = labels.isin(ranks.index[:most])
    return Chosen(frame[kept], f"the {most} of {labels.nunique()} configurations with the best {what}")
