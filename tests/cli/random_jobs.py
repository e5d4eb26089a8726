"""Random jobs of a sweep, with valid and invalid overrides of all kinds."""

import random
from collections.abc import Sequence

from tests.conftest import CONF

OWN_OPTIONS = {"baseline": ["mine"], "env": ["mine"], "network": ["mine"], "experiment": ["mine", "crossed", "told"]}
GROUPS = {
    group: [*sorted(path.stem for path in (CONF / group).glob("*.yaml")), *OWN_OPTIONS.get(group, [])]
    for group in ("env", "network", "head", "optimizer", "schedule", "baseline", "algorithm", "experiment")
}
EXPERIMENTS = {
    "mine": (
        "# @package _global_\ndefaults: [{override /baseline: mine}, {override /env: mine}]\n"
        "seed: 7\ntracking: {experiment: '${env.id} ${seed}'}\nregistry: {name: '${hydra:job.name}'}\n"
    ),
    "crossed": "# @package _global_\ndefaults: [{/optimizer@spare: '${optimizer}'}]\nbudget: {steps: '${seed}'}\n",
    "told": "# @package _global_\nregistry: {name: '${hydra.runtime.choices.baseline}'}\n",
}

# Overrides of a job in addition to its options, one per line.
VALUES = r"""
seed=0
seed=12345
seed=99999999999999999999
seed=null
seed=${budget.steps}
seed=${hydra:job.num}
seed=${hydra.job.num}
seed=[1,2]
seed=???
seed.x=1
++seed=4
+seed=5
~seed
~seed=0
dtype=float64
budget.steps=1_000
budget.steps=null
budget={steps:5}
budget={stepz:5}
~budget.episodes
+budget.steps=4
optimizer.lr=0.001
optimizer.lr=1e-300
optimizer.lr=-.inf
optimizer.lr=${algorithm.gamma}
optimizer.betas=[0.5,0.75]
optimizer.betas[0]=0.5
~optimizer.lr
algorithm.gamma=1
algorithm.gamma=1.0
algorithm.gamma=true
algorithm.gama=1
algorithm.batch.episodes=null
algorithm.batch={episodes:null,steps:64}
evaluation.every=${budget.steps}
evaluation.greedy=yes
network.widths=[]
network.widths=[8,8]
network={widths:[3]}
baseline.network=${network}
baseline.network.widths=[3]
baseline=none
+baseline@extra=mean
env=null
+nothing=here
+env.kwargs.gravity=9.8
+env.kwargs.gravity=null
++env.kwargs.deep.er=[1,{a:null,b:'no'}]
+env.kwargs.on='yes'
+env.kwargs.where=file:///a/b?c=d
+env.kwargs.token=abc
+env.kwargs.url='http://a:b@c/d'
~env.kwargs
env.kwargs={}
env.wrappers=[{_target_:gymnasium.wrappers.FrameStackObservation,stack_size:4}]
env.wrappers.0.stack_size=3
registry.name=plain
registry.name=null
registry.name='null'
registry.name=''
registry.name=' x '
registry.name='1e3'
registry.name='0x10'
registry.name='2024-01-02'
registry.name='a: b # c'
registry.name="it's"
registry.name='say "so"'
registry.name='back\\slash'
registry.name='\${seed}'
registry.name=é日本
registry.name=- x
tracking.experiment=a\,b
tracking.experiment=${oc.env:HOME}
tracking.experiment=${now:%Y}
tracking.experiment='${env.id}-${seed}'
tracking.experiment='long enough to be wrapped by what writes it, since a line of YAML is no longer than eighty signs'
tracking.experiment=${hydra:runtime.choices.network}
tracking.uri=sqlite:///a.db
checkpoint.seconds=0
checkpoint.seconds=.nan
hydra.job.name=mine
diagnostics=off
""".strip().splitlines()


def random_jobs(seed: int, choices: int, each: int) -> list[Sequence[str]]:
    """Return `each` jobs for each of `choices` combinations of options. The jobs differ in their other overrides."""
    draw = random.Random(seed)
    jobs: list[Sequence[str]] = []
    for _ in range(choices):
        groups = draw.sample(sorted(GROUPS), draw.randint(0, 5))
        options = [f"{group}={draw.choice(GROUPS[group])}" for group in groups]
        for _ in range(each):
            lines = [*options, *draw.sample(VALUES, draw.choice((0, 1, 2, 2, 3, 5)))]
            jobs.append(draw.sample(lines, len(lines)))
    return jobs
