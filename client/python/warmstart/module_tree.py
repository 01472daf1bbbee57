"""Declares a Sequential of torch.nn's layers, so that a server can run it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

import torch
from torch import nn
from torch.nn import functional

from warmstart.v1.architectures_pb2 import ModuleDeclaration

Options = dict[str, object]

# The server refuses more.
_MAX_DEPTH = 64
_MAX_CHILDREN = 65536


def declaration_of(model: nn.Module) -> ModuleDeclaration | None:
    """The declaration of a Sequential; None where it holds what a server cannot run."""
    if type(model) is not nn.Sequential or _is_hooked(model):
        return None
    if sum(1 for _ in model.modules()) > _MAX_CHILDREN:
        return None
    try:
        return _declare(model, depth=1)
    except _NotDeclarableError:
        return None


class _NotDeclarableError(Exception):
    """A module is none that a server runs."""


def _is_hooked(model: nn.Module) -> bool:
    """Whether more runs than the layers' forward."""
    return any(
        module._forward_hooks or module._forward_pre_hooks for module in model.modules()
    )


def _declare(module: nn.Module, depth: int) -> ModuleDeclaration:
    if depth > _MAX_DEPTH:
        raise _NotDeclarableError
    if type(module) is nn.Sequential:
        declared = ModuleDeclaration(type="Sequential")
        for index, (name, child) in enumerate(module.named_children()):
            child_declared = _declare(child, depth + 1)
            child_declared.name = "" if name == str(index) else name
            declared.children.append(child_declared)
        if len(declared.children) != len(module):  # a module that is there twice
            raise _NotDeclarableError
        return declared
    kind = type(module)
    if _LAYERS.get(kind.__name__) is not kind:
        raise _NotDeclarableError
    options = _SPECIAL.get(kind, _options)(module)
    if not _same_entries(module, _twin(kind, options)):
        raise _NotDeclarableError
    declared = ModuleDeclaration(type=kind.__name__)
    if options:
        declared.options.update(options)
    return declared


def _twin(kind: type[nn.Module], options: Options) -> nn.Module:
    """The module that the options alone make."""
    options = dict(options)
    if "dtype" in options:
        options["dtype"] = getattr(torch, options["dtype"])
    try:
        with torch.device("meta"):
            return kind(**options)
    except (TypeError, ValueError, RuntimeError) as error:
        raise _NotDeclarableError from error


def _same_entries(one: nn.Module, other: nn.Module) -> bool:
    """Whether two modules have the same parameters and buffers, values aside."""

    def described(module: nn.Module) -> list[tuple]:
        parameters = {name for name, _ in module.named_parameters()}
        return [
            (key, tensor.shape, tensor.dtype, key in parameters)
            for key, tensor in module.state_dict().items()
        ]

    return described(one) == described(other)


def _options(layer: nn.Module) -> Options:
    """The constructor's arguments, as the layer keeps them, without the defaults."""
    given = {}
    for name, parameter in inspect.signature(type(layer)).parameters.items():
        if name.startswith("_") or name in ("device", "dtype"):
            continue
        # Layers without options have nn.Module's constructor.
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if name == "bias":
            given[name] = layer.bias is not None
        elif hasattr(layer, name):
            given[name] = getattr(layer, name)
        elif parameter.default is not None:
            raise _NotDeclarableError
        if name in given and _is(given[name], parameter.default):
            del given[name]
    return _with_dtype(layer, given)


def _is(value: object, default: object) -> bool:
    """Whether a value is the default; of a size, in each dimension."""
    if isinstance(value, tuple) and not isinstance(default, tuple):
        return all(one == default for one in value)
    return value == default


def _recurrent(layer: nn.RNNBase) -> Options:
    given: Options = {
        "input_size": layer.input_size,
        "hidden_size": layer.hidden_size,
    }
    defaults: Options = {
        "num_layers": 1,
        "bias": True,
        "batch_first": False,
        "dropout": 0.0,
        "bidirectional": False,
        "proj_size": 0,
    }
    if type(layer) is nn.RNN:
        defaults["nonlinearity"] = "tanh"
    return _with_dtype(layer, given | _changed(layer, defaults))


def _attention(layer: nn.MultiheadAttention) -> Options:
    given: Options = {"embed_dim": layer.embed_dim, "num_heads": layer.num_heads}
    defaults: Options = {"dropout": 0.0, "add_zero_attn": False, "batch_first": False}
    given |= _changed(layer, defaults)
    if layer.in_proj_bias is None:
        given["bias"] = False
    if layer.bias_k is not None:
        given["add_bias_kv"] = True
    given |= _changed(layer, {"kdim": layer.embed_dim, "vdim": layer.embed_dim})
    return _with_dtype(layer, given)


def _encoder_layer(layer: nn.TransformerEncoderLayer) -> Options:
    names = {functional.relu: "relu", functional.gelu: "gelu"}
    if layer.activation not in names or not _is_uniform_encoder_layer(layer):
        raise _NotDeclarableError
    given: Options = {
        "d_model": layer.self_attn.embed_dim,
        "nhead": layer.self_attn.num_heads,
    }
    values: dict[str, tuple[object, object]] = {
        "dim_feedforward": (layer.linear1.out_features, 2048),
        "dropout": (layer.dropout.p, 0.1),
        "activation": (names[layer.activation], "relu"),
        "layer_norm_eps": (layer.norm1.eps, 1e-5),
        "batch_first": (layer.self_attn.batch_first, False),
        "norm_first": (layer.norm_first, False),
        "bias": (layer.linear1.bias is not None, True),
    }
    given |= {
        name: value for name, (value, default) in values.items() if value != default
    }
    return _with_dtype(layer, given)


def _is_uniform_encoder_layer(layer: nn.TransformerEncoderLayer) -> bool:
    """Whether nobody changed a part of it since it was made."""
    same_dropout = (
        layer.dropout.p
        == layer.dropout1.p
        == layer.dropout2.p
        == layer.self_attn.dropout
    )
    return same_dropout and layer.norm1.eps == layer.norm2.eps


def _changed(layer: nn.Module, defaults: Mapping[str, object]) -> Options:
    """The attributes that are not the defaults."""
    return {
        name: getattr(layer, name)
        for name, default in defaults.items()
        if getattr(layer, name) != default
    }


def _with_dtype(layer: nn.Module, given: Options) -> Options:
    """Options as JSON has them, and the parameters' dtype where it matters."""
    options = {name: _plain(value) for name, value in given.items()}
    dtypes = {parameter.dtype for parameter in layer.parameters()}
    if dtypes - {torch.float32}:
        options["dtype"] = str(dtypes.pop()).removeprefix("torch.")
    return options


def _plain(value: object) -> object:
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise _NotDeclarableError


_SPECIAL: dict[type, Callable[..., Options]] = {
    nn.RNN: _recurrent,
    nn.LSTM: _recurrent,
    nn.GRU: _recurrent,
    nn.MultiheadAttention: _attention,
    nn.TransformerEncoderLayer: _encoder_layer,
}

# What a server runs: see docs/modules.md.
_DIMENSIONS = ("1d", "2d", "3d")
_LAYERS: dict[str, type[nn.Module]] = {
    name: getattr(nn, name)
    for name in [
        "Identity",
        "Linear",
        *(f"Conv{n}" for n in _DIMENSIONS),
        *(f"ConvTranspose{n}" for n in _DIMENSIONS),
        "Embedding",
        "LayerNorm",
        "GroupNorm",
        "RMSNorm",
        *(f"BatchNorm{n}" for n in _DIMENSIONS),
        *(f"InstanceNorm{n}" for n in _DIMENSIONS),
        "MultiheadAttention",
        "TransformerEncoderLayer",
        "RNN",
        "LSTM",
        "GRU",
        "ReLU",
        "ReLU6",
        "LeakyReLU",
        "ELU",
        "SELU",
        "CELU",
        "GELU",
        "SiLU",
        "Mish",
        "Hardswish",
        "Hardtanh",
        "Hardsigmoid",
        "Sigmoid",
        "Tanh",
        "Softplus",
        "Softsign",
        "Softshrink",
        "Hardshrink",
        "Tanhshrink",
        "LogSigmoid",
        "Softmax",
        "Softmin",
        "LogSoftmax",
        "PReLU",
        "GLU",
        "Threshold",
        *(f"MaxPool{n}" for n in _DIMENSIONS),
        *(f"AvgPool{n}" for n in _DIMENSIONS),
        *(f"AdaptiveAvgPool{n}" for n in _DIMENSIONS),
        *(f"AdaptiveMaxPool{n}" for n in _DIMENSIONS),
        "Flatten",
        "Unflatten",
        "Upsample",
        "PixelShuffle",
        "Dropout",
        *(f"Dropout{n}" for n in _DIMENSIONS),
        "AlphaDropout",
    ]
}
