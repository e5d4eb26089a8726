"""Networks that are torch modules of a user's own, compared with the modules themselves."""

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pgexp.algorithms.policy import ObservationNormalizer, Policy
from pgexp.networks.heads.discrete import CategoricalHead
from pgexp.networks.network import Network, streams
from pgexp.networks.torch_module import ModuleNetwork, SequentialNetwork, network_of, require_shapes
from tests.episodes import Episode, batch_of
from tests.heads import SPACES
from tests.networks.option_networks import drawn, parameters_of

INPUTS, OUTPUTS, ROWS = 3, 4, 5


class Residual(nn.Module):
    """A module with a forward method of its own, a nested module and a bare parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(INPUTS, INPUTS), nn.GELU())
        self.outer = nn.Linear(INPUTS, OUTPUTS)
        self.scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.outer(x + self.scale * self.inner(x))
        return result


class Doubled(nn.Sequential):
    """A Sequential with a forward method of its own."""

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = 2 * super().forward(x)
        return result


def tied() -> nn.Module:
    """Return a Sequential that uses one Linear twice."""
    layer = nn.Linear(INPUTS, INPUTS)
    return nn.Sequential(layer, nn.Tanh(), layer, nn.Linear(INPUTS, OUTPUTS))


def one_activation() -> nn.Module:
    """Return a Sequential that uses one activation twice."""
    activation = nn.ReLU()
    return nn.Sequential(
        nn.Linear(INPUTS, 6), activation, nn.Linear(6, 5), activation, nn.Linear(5, OUTPUTS, bias=False)
    )


def named() -> nn.Module:
    return nn.Sequential(
        OrderedDict(first=nn.Linear(INPUTS, 6), squash=nn.Tanh(), second=nn.Linear(6, OUTPUTS, bias=False))
    )


def partly_frozen() -> nn.Module:
    return nn.Sequential(nn.Linear(INPUTS, 6).requires_grad_(requires_grad=False), nn.Linear(6, OUTPUTS))


SEQUENTIAL: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Sequential(nn.Linear(INPUTS, OUTPUTS)),
    "mlp": lambda: nn.Sequential(nn.Linear(INPUTS, 6), nn.ReLU(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, OUTPUTS)),
    "one activation": one_activation,
    "named": named,
    "no activation between": lambda: nn.Sequential(nn.Linear(INPUTS, 6), nn.Linear(6, OUTPUTS), nn.Tanh()),
}
IN_TORCH: dict[str, Callable[[], nn.Module]] = {
    "residual": Residual,
    "subclass of Sequential": lambda: Doubled(nn.Linear(INPUTS, OUTPUTS), nn.Tanh()),
    "another activation": lambda: nn.Sequential(nn.Linear(INPUTS, 6), nn.ELU(), nn.Linear(6, OUTPUTS)),
    "nested": lambda: nn.Sequential(nn.Sequential(nn.Linear(INPUTS, 6), nn.Tanh()), nn.Linear(6, OUTPUTS)),
    "one layer twice": tied,
    "a layer": lambda: nn.Linear(INPUTS, OUTPUTS),
}
ALL = SEQUENTIAL | IN_TORCH
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
EACH = pytest.mark.parametrize("make", ALL.values(), ids=ALL)


def module_of(make: Callable[[], nn.Module], network: Network, dtype: torch.dtype) -> nn.Module:
    """Return a module that holds the network's initial parameters."""
    module, own = make().to(dtype), parameters_of(network, dtype)
    with torch.no_grad():
        for name, tensor in module.named_parameters():
            transposed = isinstance(network, SequentialNetwork) and tensor.ndim == 2
            tensor.copy_(own[f"network.{name}"].T if transposed else own[f"network.{name}"])
    return module


@DTYPES
@EACH
def test_outputs_and_gradients_are_the_modules(make: Callable[[], nn.Module], dtype: torch.dtype) -> None:
    network = network_of(make)
    module, x = module_of(make, network, dtype), drawn(ROWS, INPUTS, dtype=dtype)
    own = {name: tensor.requires_grad_() for name, tensor in parameters_of(network, dtype).items()}
    found, expected = network(own, x), module(x)
    assert found.dtype == dtype
    torch.testing.assert_close(found, expected)
    gradients = torch.autograd.grad(found.square().sum(), [*own.values()])
    by_name = dict(zip(own, gradients, strict=True))
    expected.square().sum().backward()
    for name, tensor in module.named_parameters():
        transposed = isinstance(network, SequentialNetwork) and tensor.ndim == 2
        gradient = by_name[f"network.{name}"]
        torch.testing.assert_close(gradient.T if transposed else gradient, tensor.grad)


@pytest.mark.parametrize("make", SEQUENTIAL.values(), ids=SEQUENTIAL)
def test_a_plain_sequential_is_compiled(make: Callable[[], nn.Module]) -> None:
    network = network_of(make)
    assert isinstance(network, SequentialNetwork)
    layers = network.layers()
    assert layers is not None
    linear = [child for child in make() if isinstance(child, nn.Linear)]
    assert [(layer.inputs, layer.outputs) for layer in layers] == [
        (one.in_features, one.out_features) for one in linear
    ]
    assert [layer.second is None for layer in layers] == [one.bias is None for one in linear]


def test_activations_belong_to_the_layer_before_them() -> None:
    layers = network_of(SEQUENTIAL["mlp"]).layers()
    assert layers is not None
    assert [layer.activation for layer in layers] == ["relu", "tanh", "none"]
    again = network_of(one_activation).layers()
    assert again is not None
    assert [layer.activation for layer in again] == ["relu", "relu", "none"]


@pytest.mark.parametrize("make", IN_TORCH.values(), ids=IN_TORCH)
def test_other_modules_act_in_torch(make: Callable[[], nn.Module]) -> None:
    network = network_of(make)
    assert isinstance(network, ModuleNetwork)
    assert network.layers() is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(nn.Tanh(), nn.Linear(INPUTS, OUTPUTS)),
        lambda: nn.Sequential(nn.Linear(INPUTS, OUTPUTS), nn.ReLU(), nn.Tanh()),
    ],
    ids=["of the observation", "of an activation"],
)
def test_an_activation_without_a_layer_before_it_is_not_compiled(make: Callable[[], nn.Module]) -> None:
    network = network_of(make)
    assert network.layers() is None
    x = drawn(ROWS, INPUTS)
    torch.testing.assert_close(network(parameters_of(network), x), module_of(make, network, torch.float64)(x))


@EACH
def test_initial_parameters_depend_on_the_seed_only(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(1)
    first = network_of(make).initial(streams(3, "init"))
    torch.manual_seed(2)
    network = network_of(make)
    torch.rand(7)
    second, other = network.initial(streams(3, "init")), network.initial(streams(4, "init"))
    assert {tensor.dtype for tensor in first.values()} == {torch.float64}
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(not torch.equal(first[name], other[name]) for name in first if name != "network.scale")


@EACH
def test_torchs_global_generator_is_not_disturbed(make: Callable[[], nn.Module]) -> None:
    before = torch.random.get_rng_state()
    network = network_of(make)
    network(parameters_of(network), drawn(ROWS, INPUTS))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_initial_parameters_are_the_modules_own_initialisation() -> None:
    """Linear draws weights and biases within 1 / sqrt(inputs)."""
    own = network_of(lambda: nn.Linear(100, 50)).initial(streams(0))
    for tensor in own.values():
        assert 0.09 < tensor.abs().max() <= 0.1
    constant = network_of(Residual).initial(streams(0))["network.scale"]
    assert constant.item() == 1.5


@EACH
def test_parameters_of_the_module_itself_are_not_used(make: Callable[[], nn.Module]) -> None:
    """The outputs depend on the parameters that are passed, so that one network serves all parameters."""
    network, x = network_of(make), drawn(ROWS, INPUTS)
    zeros = {name: torch.zeros_like(tensor) for name, tensor in parameters_of(network).items()}
    assert not network(zeros, x).any()
    assert network(parameters_of(network), x).abs().max() > 0.01


@EACH
def test_a_policy_acts_and_reads_batches_with_it(make: Callable[[], nn.Module]) -> None:
    network = network_of(make)
    policy = Policy(ObservationNormalizer(torch.float64, None, None), network, CategoricalHead(SPACES["discrete"]))
    parameters, x = policy.initial(0), drawn(ROWS, INPUTS)
    module = module_of(make, network, torch.float64)
    for name, tensor in parameters.items():
        assert torch.equal(tensor, network.initial(streams(0, "init"))[name])
    logits = module(x).detach()
    memory = torch.zeros(ROWS, 0, dtype=torch.float64)
    assert policy.act(parameters, x, memory, None).actions.tolist() == logits.argmax(-1).tolist()
    batch = batch_of(*(Episode([row], [0], [0.0]) for row in x.tolist()))
    torch.testing.assert_close(policy.forward(parameters, batch).parameters, logits)
    assert policy.hidden(parameters, batch) == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Sequential(nn.Linear(INPUTS, 4), nn.BatchNorm1d(4)), "buffers"),
        (nn.ReLU, "must have parameters"),
        (lambda: nn.Linear(INPUTS, OUTPUTS).requires_grad_(requires_grad=False), "must require a gradient"),
        (partly_frozen, "must require a gradient"),
        (lambda: nn.Sequential(nn.Linear(INPUTS, OUTPUTS), nn.Dropout(0.5)), "dropout"),
    ],
    ids=["buffers", "no parameters", "frozen parameters", "a frozen layer", "dropout"],
)
def test_modules_that_cannot_be_used_are_refused(make: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network_of(make)


def test_updates_follow_the_modules_gradient() -> None:
    network = network_of(Residual)
    module, x = module_of(Residual, network, torch.float64), drawn(ROWS, INPUTS)
    own = {name: tensor.requires_grad_() for name, tensor in parameters_of(network).items()}
    ours, theirs = torch.optim.SGD(own.values(), lr=0.1), torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(3):
        for optimizer, loss in ((ours, network(own, x)), (theirs, module(x))):
            optimizer.zero_grad()
            loss.square().mean().backward()
            optimizer.step()
    for name, tensor in module.named_parameters():
        np.testing.assert_allclose(own[f"network.{name}"].detach(), tensor.detach(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Linear(INPUTS, OUTPUTS + 1), "must return"),
        (lambda: nn.Sequential(nn.Linear(INPUTS, 6), nn.Tanh(), nn.Linear(6, OUTPUTS + 2)), "must return"),
        (lambda: nn.Sequential(nn.Linear(INPUTS + 1, OUTPUTS)), "it fails on 2 observations"),
        (lambda: nn.Sequential(nn.Linear(INPUTS, OUTPUTS), nn.Flatten(0)), "must return"),
    ],
    ids=["outputs", "outputs of a Sequential", "inputs", "axes"],
)
def test_modules_of_another_shape_are_refused(make: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        require_shapes(network_of(make), INPUTS, OUTPUTS)


@EACH
def test_modules_that_fit_are_accepted(make: Callable[[], nn.Module]) -> None:
    require_shapes(network_of(make), INPUTS, OUTPUTS)
