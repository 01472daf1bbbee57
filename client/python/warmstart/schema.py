"""Describes PyTorch models as architectures that a server can register."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Union

from warmstart.v1.architectures_pb2 import (
    Architecture,
    ArchitectureEntry,
    Initializer,
    Module,
)

if TYPE_CHECKING:
    import torch

ModelOrState = Union["torch.nn.Module", Mapping[str, "torch.Tensor"]]


def architecture_of(name: str, model: ModelOrState) -> Architecture:
    """Describes a model, to be registered with `Client.register_architecture`.

    Args:
        name: The architecture's name, best the model's class name: it stands in
            PyTorch's messages.
        model: A module; or a state_dict, from which buffers and initializers
            cannot be told: all entries are parameters that start as zeros.

    Of a module's layers, Linear, Conv, Embedding, the norms and the recurrent
    ones get the initializer that PyTorch gives them; entries of others start as
    zeros. Change `entries[i].initializer` where that is not what you want.
    """
    if isinstance(model, Mapping):
        state: Mapping[str, torch.Tensor] = model
        buffers: frozenset[str] = frozenset()
        initializers: dict[str, Initializer] = {}
    else:
        state = model.state_dict()
        buffers = frozenset(key for key, _ in _named_buffers(model))
        initializers = dict(_initializers(model))
    ties = _ties(state)
    return Architecture(
        name=name,
        entries=[
            ArchitectureEntry(
                key=key,
                shape=list(tensor.shape),
                dtype=str(tensor.dtype).removeprefix("torch."),
                buffer=key in buffers,
                initializer=initializers.get(key),
                tied_to=ties.get(key),
            )
            for key, tensor in state.items()
        ],
        modules=[
            Module(path=path, version=entry.get("version", 1))
            for path, entry in getattr(state, "_metadata", {}).items()
        ],
    )


def _ties(state: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """Keys whose tensor stands under an earlier key already, by that key.

    The same memory, read in the same way: a state_dict holds detached tensors, so
    that they are not the same objects. Tensors on the meta device have no memory,
    but their storage is an object.
    """
    first: dict[object, str] = {}
    ties = {}
    for key, tensor in state.items():
        if tensor.numel() == 0:
            continue
        view = (
            tensor.untyped_storage()._cdata,
            tensor.storage_offset(),
            tensor.dtype,
            tuple(tensor.shape),
            tuple(tensor.stride()),
        )
        if view in first:
            ties[key] = first[view]
        else:
            first[view] = key
    return ties


def _named_buffers(module: torch.nn.Module):
    """Buffers under every name that they have, as in a state_dict."""
    return module.named_buffers(remove_duplicate=False)


def _initializers(model: torch.nn.Module) -> Iterator[tuple[str, Initializer]]:
    """The initializer of each entry of the layers that are known."""
    for path, module in model.named_modules(remove_duplicate=False):
        prefix = f"{path}." if path else ""
        for name, initializer in _layer_initializers(module):
            yield prefix + name, initializer


def _layer_initializers(
    layer: torch.nn.Module,
) -> Iterator[tuple[str, Initializer]]:
    """What PyTorch's reset_parameters of `layer` does, by entry."""
    from torch import nn  # noqa: PLC0415  torch is needed only here
    from torch.nn.modules.batchnorm import _NormBase  # noqa: PLC0415
    from torch.nn.modules.conv import _ConvNd  # noqa: PLC0415

    if isinstance(layer, (nn.Linear, _ConvNd)):
        yield "weight", Initializer(kaiming_uniform=Initializer.KaimingUniform())
        fan_in = math.prod(layer.weight.shape[1:])
        yield (
            "bias",
            Initializer(fan_in_uniform=Initializer.FanInUniform(fan_in=fan_in)),
        )
    elif isinstance(layer, (_NormBase, nn.LayerNorm, nn.GroupNorm)):
        yield "weight", Initializer(ones=Initializer.Ones())
        yield "running_var", Initializer(ones=Initializer.Ones())
    elif isinstance(layer, nn.Embedding):
        yield "weight", Initializer(normal=Initializer.Normal())
    elif isinstance(layer, nn.RNNBase):
        bound = 1 / math.sqrt(layer.hidden_size) if layer.hidden_size else 0.0
        for name, _ in layer.named_parameters(recurse=False):
            yield name, Initializer(uniform=Initializer.Uniform(low=-bound, high=bound))
