"""How the layers of torch.nn initialize their parameters and buffers.

By the class of the layer, where its own reset_parameters is what ran: a subclass that
has another is no layer that we know.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from warmstart.v1.architectures_pb2 import Initializer

# By the entry's key, seen from the layer.
Named = Iterator[tuple[str, Initializer]]


def constant(value: float) -> Initializer:
    """All one value."""
    if value == 0 and math.copysign(1, value) > 0:
        return Initializer(zeros=Initializer.Zeros())
    if value == 1:
        return Initializer(ones=Initializer.Ones())
    return Initializer(constant=Initializer.Constant(value=value))


def normal(mean: float, std: float, zero_row: int | None = None) -> Initializer:
    """A normal distribution; what is a default is left out."""
    message = Initializer.Normal(mean=mean, zero_row=zero_row)
    if std != 1:
        message.std = std
    return Initializer(normal=message)


def uniform(low: float, high: float) -> Initializer:
    """A uniform distribution."""
    return Initializer(uniform=Initializer.Uniform(low=low, high=high))


def model_initializers(model: nn.Module) -> dict[str, Initializer]:
    """By key, for every entry whose layer is known."""
    found: dict[str, Initializer] = {}
    # A module comes before those in it, which are made, and initialized, before it.
    for path, module in reversed(list(model.named_modules(remove_duplicate=False))):
        prefix = f"{path}." if path else ""
        for name, initializer in _layer_initializers(module):
            found[prefix + name] = initializer
    return found


def as_drawn(initializer: Initializer, shape: tuple[int, ...]) -> Initializer:
    """What a layer's default comes to: the call of Tensor.uniform_ or normal_.

    In the arithmetic of torch.nn.init, so that the numbers are the same.
    """
    kind = initializer.WhichOneof("kind")
    if kind == "kaiming_uniform":
        fan_in = math.prod(shape[1:])
        gain = nn.init.calculate_gain("leaky_relu", math.sqrt(5))
        bound = math.sqrt(3.0) * (gain / math.sqrt(fan_in)) if fan_in else 0.0
    elif kind == "fan_in_uniform":
        fan_in = initializer.fan_in_uniform.fan_in
        bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
    elif kind in ("xavier_uniform", "xavier_normal"):
        fans = sum(shape[:2]) * math.prod(shape[2:])
        std = math.sqrt(2.0 / fans) if fans else 0.0
        if kind == "xavier_normal":
            return normal(0.0, std)
        bound = math.sqrt(3.0) * std
    else:
        return initializer
    return uniform(-bound, bound)


def _layer_initializers(layer: nn.Module) -> Named:
    for kind, reset, initializers in _LAYERS:
        if isinstance(layer, kind):
            if getattr(type(layer), reset) is getattr(kind, reset):
                yield from initializers(layer)
            return


def _fan_in_uniform(fan_in: int) -> Initializer:
    return Initializer(fan_in_uniform=Initializer.FanInUniform(fan_in=fan_in))


def _linear_or_convolution(layer: nn.Linear | _ConvNd) -> Named:
    yield "weight", Initializer(kaiming_uniform=Initializer.KaimingUniform())
    yield "bias", _fan_in_uniform(math.prod(layer.weight.shape[1:]))


def _bilinear(layer: nn.Bilinear) -> Named:
    for name in ("weight", "bias"):
        yield name, _fan_in_uniform(layer.in1_features)


def _embedding(layer: nn.Embedding | nn.EmbeddingBag) -> Named:
    yield "weight", normal(0, 1, zero_row=layer.padding_idx)


def _norm(layer: nn.Module) -> Named:
    yield "weight", constant(1)
    yield "bias", constant(0)


def _norm_with_statistics(layer: _NormBase) -> Named:
    yield from _norm(layer)
    yield "running_mean", constant(0)
    yield "running_var", constant(1)
    yield "num_batches_tracked", constant(0)


def _recurrent(layer: nn.RNNBase | nn.RNNCellBase) -> Named:
    for name, _ in layer.named_parameters(recurse=False):
        yield name, _fan_in_uniform(layer.hidden_size)


def _attention(layer: nn.MultiheadAttention) -> Named:
    xavier = Initializer(xavier_uniform=Initializer.XavierUniform())
    for name in ("in_proj", "q_proj", "k_proj", "v_proj"):
        yield f"{name}_weight", xavier
    yield "in_proj_bias", constant(0)
    # Unless there is a bias, out_proj is left as Linear made it.
    yield "out_proj.bias", constant(0)
    for name in ("bias_k", "bias_v"):
        yield name, Initializer(xavier_normal=Initializer.XavierNormal())


def _transformer(layer: nn.Transformer) -> Named:
    for name, parameter in layer.named_parameters(remove_duplicate=False):
        if parameter.dim() > 1:
            yield name, Initializer(xavier_uniform=Initializer.XavierUniform())


def _prelu(layer: nn.PReLU) -> Named:
    yield "weight", constant(layer.init)


# The first that a layer is an instance of; the name of the method that decides.
_LAYERS: list[tuple[type, str, Callable[..., Named]]] = [
    (nn.Linear, "reset_parameters", _linear_or_convolution),
    (_ConvNd, "reset_parameters", _linear_or_convolution),
    (nn.Bilinear, "reset_parameters", _bilinear),
    (nn.Embedding, "reset_parameters", _embedding),
    (nn.EmbeddingBag, "reset_parameters", _embedding),
    (_NormBase, "reset_parameters", _norm_with_statistics),
    (nn.LayerNorm, "reset_parameters", _norm),
    (nn.GroupNorm, "reset_parameters", _norm),
    (nn.RMSNorm, "reset_parameters", _norm),
    (nn.RNNBase, "reset_parameters", _recurrent),
    (nn.RNNCellBase, "reset_parameters", _recurrent),
    (nn.MultiheadAttention, "_reset_parameters", _attention),
    (nn.Transformer, "_reset_parameters", _transformer),
    (nn.PReLU, "reset_parameters", _prelu),
]
