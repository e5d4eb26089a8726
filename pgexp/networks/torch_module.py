"""Networks that are a user's torch modules."""

from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from pgexp.functional.operations import activate, dense
from pgexp.kernels.layout import ActivationName as Activation
from pgexp.kernels.layout import Layer
from pgexp.networks.network import Network, Parameters, Streams, cast, streams

_PREFIX: Final = "network."  # of the parameters' names, so that they differ from those of head and normalizer
_ACTIVATIONS: Final[dict[type[nn.Module], Activation]] = {nn.ReLU: "relu", nn.Tanh: "tanh"}


def network_of(make: Callable[[], nn.Module]) -> Network:
    """Return the network of a module that `make` returns. Raises ValueError if the module cannot be used.

    A `torch.nn.Sequential` of Linear, ReLU and Tanh acts as compiled code; any other module acts in torch.
    """
    with torch.random.fork_rng(devices=[]):
        module = make()
    _check(module)
    if isinstance(module, nn.Sequential) and _is_plain(module):
        return SequentialNetwork(make, module)
    return ModuleNetwork(make, module)


def require_shapes(network: Network, inputs: int, outputs: int) -> None:
    """Raise ValueError if the network does not map observations [B, inputs] to outputs [B, outputs]."""
    parameters = cast(network.initial(streams(0)), torch.float32)
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            found = network(parameters, torch.zeros(2, inputs))
    except Exception as error:  # a module may raise anything
        raise ValueError(f"it fails on 2 observations of {inputs} numbers: {error}") from error
    if not isinstance(found, Tensor) or tuple(found.shape) != (2, outputs):
        shape = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(f"it must return [2, {outputs}] for 2 observations (got {shape})")


def _check(module: nn.Module) -> None:
    if next(module.buffers(), None) is not None:
        raise ValueError("buffers, such as the statistics of a batch normalization, are not supported")
    if any(isinstance(part, nn.modules.dropout._DropoutNd) for part in module.modules()):
        raise ValueError("dropout is not supported, because it draws outside of the run's random streams")
    trainable = [parameter.requires_grad for parameter in module.parameters()]
    if not all(trainable):
        raise ValueError("all its parameters must require a gradient, because an optimizer changes all of them")
    if not trainable:
        raise ValueError("it must have parameters")


def _is_plain(module: nn.Sequential) -> bool:
    """Whether a Sequential consists of Linear, ReLU and Tanh, and no two layers share a parameter."""
    if type(module).forward is not nn.Sequential.forward:
        return False
    shared = len([*module.named_parameters(remove_duplicate=False)]) > len([*module.parameters()])
    return not shared and all(type(child) in (nn.Linear, *_ACTIVATIONS) for child in module)


def _drawn(make: Callable[[], nn.Module], stream: Streams) -> nn.Module:
    """Return the module with parameters drawn from torch's global generator, seeded by the stream "module"."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(stream("module").integers(2**31)))
        return make()


class ModuleNetwork(Network):
    """Any module that maps observations [B, inputs] to outputs [B, outputs]. The module initializes its parameters."""

    def __init__(self, make: Callable[[], nn.Module], module: nn.Module) -> None:
        self._make, self._module = make, module

    def initial(self, streams: Streams) -> Parameters:
        """Return the module's initial parameters by their names."""
        drawn = _drawn(self._make, streams).named_parameters()
        return {_PREFIX + name: tensor.detach().double() for name, tensor in drawn}

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the module's outputs. x: [B, inputs]; the result: [B, outputs]."""
        own = {name: parameters[_PREFIX + name] for name, _ in self._module.named_parameters()}
        result: Tensor = torch.func.functional_call(self._module, own, (x,))
        return result


class SequentialNetwork(Network):
    """A `torch.nn.Sequential` of Linear, ReLU and Tanh.

    Weights are stored as [inputs, outputs], the transpose of torch's.
    """

    def __init__(self, make: Callable[[], nn.Module], module: nn.Sequential) -> None:
        self._make = make
        # An activation may be in the module several times, so duplicates stay; the first item is the module itself.
        self._children = [(_PREFIX + name, child) for name, child in module.named_modules(remove_duplicate=False)][1:]

    def initial(self, streams: Streams) -> Parameters:
        """Return the module's initial weights, transposed, and biases by their names."""
        drawn = _drawn(self._make, streams).named_parameters()
        doubles = {_PREFIX + name: tensor.detach().double() for name, tensor in drawn}
        return {name: tensor.T.contiguous() if tensor.ndim == 2 else tensor for name, tensor in doubles.items()}

    def __call__(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return the outputs. x: [B, inputs]; the result: [B, outputs]."""
        for name, child in self._children:
            if isinstance(child, nn.Linear):
                x = dense(x, parameters[f"{name}.weight"], parameters.get(f"{name}.bias"))
            else:
                x = activate(x, _ACTIVATIONS[type(child)])
        return x

    def layers(self) -> Sequence[Layer] | None:
        """Return the layers for compiled kernels; an activation belongs to the layer before it."""
        found: list[Layer] = []
        for name, child in self._children:
            if isinstance(child, nn.Linear):
                bias = None if child.bias is None else f"{name}.bias"
                found.append(Layer("dense", child.in_features, child.out_features, f"{name}.weight", bias))
            elif found and found[-1].activation == "none":
                last = found.pop()
                found.append(
                    Layer("dense", last.inputs, last.outputs, last.first, last.second, _ACTIVATIONS[type(child)])
                )
            else:
                return None  # an activation of the observation itself, or of an activation
        return found
