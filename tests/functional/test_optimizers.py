"""Steps of optimizers: equal to torch's own, without what a process that compiles nothing has no use for."""

import subprocess
import sys
from typing import Any

import pytest
import torch

from pgexp.functional.optimizers import step

OPTIMIZERS: tuple[tuple[type[torch.optim.Optimizer], dict[str, Any]], ...] = (
    (torch.optim.Adam, {"fused": True}),
    (torch.optim.Adam, {"amsgrad": True}),
    (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    (torch.optim.RMSprop, {"centered": True}),
    (torch.optim.NAdam, {}),
    (torch.optim.Rprop, {}),
)


def trained(kind: type[torch.optim.Optimizer], arguments: dict[str, Any], ours: bool) -> torch.Tensor:
    parameter = torch.nn.Parameter(torch.linspace(-1, 1, 7, dtype=torch.float64))
    optimizer = kind([parameter], lr=0.01, **arguments)  # type: ignore[call-arg]
    for _ in range(5):
        parameter.grad = (3 * parameter - 1).detach().pow(3)
        step(optimizer) if ours else optimizer.step()
    return parameter.detach()


@pytest.mark.parametrize(("kind", "arguments"), OPTIMIZERS)
def test_a_step_is_torchs_step(kind: type[torch.optim.Optimizer], arguments: dict[str, Any]) -> None:
    expected = trained(kind, arguments, ours=False)
    torch.testing.assert_close(trained(kind, arguments, ours=True), expected, rtol=1e-12, atol=1e-15)


class Halving(torch.optim.SGD):
    """A user's optimizer, whose step is wrapped by one of their own."""

    @staticmethod
    def _halved(function: Any) -> Any:
        def wrapper(self: "Halving") -> None:
            for group in self.param_groups:
                for tensor in group["params"]:
                    tensor.grad = tensor.grad / 2
            function(self)

        wrapper.__wrapped__ = function  # type: ignore[attr-defined]
        return wrapper

    step = _halved(torch.optim.SGD.step)


def test_a_users_wrapper_of_a_step_is_called() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = Halving([parameter], lr=1.0)
    parameter.grad = torch.ones(1)
    step(optimizer)
    assert parameter.item() == -0.5


def test_fused_steps_do_not_load_what_compiles_graphs() -> None:
    program = """
import sys, torch
from pgexp.functional.optimizers import spare_dynamo, step
spare_dynamo()
parameter = torch.nn.Parameter(torch.zeros(2))
for kind in (torch.optim.Adam, torch.optim.SGD):
    optimizer = kind([parameter], lr=0.1, fused=True)
    parameter.grad = torch.ones(2)
    step(optimizer)
    optimizer.zero_grad()
    optimizer.load_state_dict(optimizer.state_dict())
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
