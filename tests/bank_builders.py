"""Builders of banks, for worker processes: few imports, so that workers start fast."""

from pgexp.envs.bank import Bank, GymnasiumBank
from pgexp.envs.spec import EnvSpec


class Build:
    """Builds a bank of a spec's environments, in this process or in a worker."""

    def __init__(self, spec: EnvSpec) -> None:
        self.spec = spec

    def __call__(self) -> Bank:
        return GymnasiumBank(self.spec.make, self.spec.spaces, masked=self.spec.masked)


class Unbuildable(Build):
    """Builds no bank."""

    def __call__(self) -> Bank:
        raise ValueError("no bank")
