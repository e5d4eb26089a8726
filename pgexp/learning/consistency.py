"""Which settings of an estimator contradict each other or the baseline, and which bias the gradient."""

from collections.abc import Iterator

from pgexp.baselines.baseline import Baseline, Predictor
from pgexp.learning.estimator import Estimator


def objections(estimator: Estimator, baseline: Baseline) -> Iterator[str]:
    """Yield a sentence, which begins with a key, for each contradiction; none is the rule."""
    yield from _of_batch(estimator, baseline)
    yield from _of_credit(estimator, baseline)
    if not isinstance(baseline, Predictor):
        yield from _of_prediction(estimator, type(baseline).__name__)


def biases(estimator: Estimator, baseline: Baseline) -> list[str]:
    """Return the biased choices, a few words each; each is a choice that people make, and none is hidden."""
    total = estimator.credit == "total_return"  # which holds the factor gamma^t
    choices = {
        f"baseline {type(baseline).__name__}": baseline.biased,
        f"gae_lambda={estimator.gae_lambda}": estimator.credit == "lambda_return" and estimator.gae_lambda < 1,
        f"n_steps={estimator.n_steps}": estimator.credit == "n_step_return",
        f"reward_clip={estimator.reward_clip}": estimator.reward_clip is not None,
        f"advantage_scale={estimator.advantage_scale}": estimator.advantage_scale != "none",
        "time_limit=bootstrap": estimator.time_limit == "bootstrap",
        "open_tail=drop": estimator.segments and estimator.open_tail == "drop",
        "open_tail=bootstrap": estimator.segments and estimator.open_tail == "bootstrap",
        "discount_states=false": estimator.gamma < 1 and not estimator.discount_states and not total,
    }
    return [choice for choice, holds in choices.items() if holds]


def _of_batch(estimator: Estimator, baseline: Baseline) -> Iterator[str]:
    name, least = type(baseline).__name__, baseline.least_episodes.get(estimator.credit, 1)
    if estimator.episodes is None and baseline.whole_episodes:
        yield f"algorithm.batch.steps makes segments, but {name} needs whole episodes: set algorithm.batch.episodes"
    if estimator.episodes is not None and estimator.episodes < least:
        needs = f"{name} needs at least {least} for {estimator.credit}"
        yield f"algorithm.batch.episodes given {estimator.episodes}; {needs}"


def _of_credit(estimator: Estimator, baseline: Baseline) -> Iterator[str]:
    name, only = type(baseline).__name__, baseline.only_credit
    if only is not None and estimator.credit != only:
        needs = f"{name} is of {only} alone: set algorithm.credit={only}"
        yield f"algorithm.credit given {estimator.credit}; {needs}"
    if estimator.credit == "total_return" and estimator.segments:
        yield "algorithm.credit=total_return needs whole episodes: set algorithm.batch.episodes, not steps"
    if estimator.credit == "total_return" and estimator.time_limit == "bootstrap":
        yield "algorithm.credit=total_return ends at the time limit: set algorithm.time_limit=end"
    changes = {
        "reward_scale": (estimator.reward_scale, 1.0, "1"),
        "reward_clip": (estimator.reward_clip, None, "null"),
        "return_scale": (estimator.return_scale, "none", "none"),
    }
    for key, (given, plain, written) in changes.items():
        if baseline.own_rewards and given != plain:
            reach = f"doesn't reach the rewards that {name} collects itself: set algorithm.{key}={written}"
            yield f"algorithm.{key} given {given}; it {reach}"


def _of_prediction(estimator: Estimator, name: str) -> Iterator[str]:
    open_tail = estimator.segments and estimator.open_tail == "bootstrap"
    needs = {
        ("algorithm.time_limit=bootstrap", "algorithm.time_limit=end"): estimator.time_limit == "bootstrap",
        ("algorithm.open_tail=bootstrap", "algorithm.open_tail=drop"): open_tail,
        (f"algorithm.credit={estimator.credit}", "algorithm.credit=reward_to_go"): estimator.predicted,
    }
    for (choice, fix), holds in needs.items():
        if holds:
            unseen = f"an unseen observation's return, which {name} can't"
            yield f"{choice} needs a baseline that predicts {unseen}: set {fix}"
