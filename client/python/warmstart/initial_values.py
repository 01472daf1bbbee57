"""Finds out how a module's fresh values are made."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from warmstart import layers
from warmstart.recording import Recorder
from warmstart.v1.architectures_pb2 import Initializer
from warmstart.values import Unset

State = Mapping[str, torch.Tensor]

STORED = Initializer(stored=Initializer.Stored())

# Of what a factory draws, so that its values are the same each time.
_SEED = 0


@dataclass
class InitialValues:
    """How the values of each entry are made."""

    initializers: dict[str, Initializer] = field(default_factory=dict)
    # Entries that start as zeros because nothing can be told of them: there are no
    # values on the meta device, or nobody set them.
    without_values: list[str] = field(default_factory=list)
    never_set: list[str] = field(default_factory=list)


def build(
    model: nn.Module | Callable[[], nn.Module], device: str | None
) -> tuple[nn.Module, Recorder | None]:
    """The module; one that a factory makes, and what was recorded of that.

    Draws have a seed of their own here, and the caller's generator is left as it was.
    """
    if isinstance(model, nn.Module):
        if device is not None:
            raise ValueError("a device is for a factory; this is a module already")
        return model, None
    generator = torch.default_generator
    state = generator.get_state()
    generator.manual_seed(_SEED)
    recorder = Recorder()
    try:
        with torch.device(device or "cpu"), recorder:
            module = model()
        if isinstance(module, nn.Module) and device == "meta":
            with recorder:
                _initialize_transformers(module)
    finally:
        generator.set_state(state)
    if not isinstance(module, nn.Module):
        raise TypeError(f"the factory made {type(module).__name__}, which is no Module")
    return module, recorder


def _initialize_transformers(module: nn.Module) -> None:
    """Does what the models of transformers leave out on the meta device."""
    library = sys.modules.get("transformers.modeling_utils")
    if library is None:
        return
    if isinstance(module, library.PreTrainedModel):
        module.initialize_weights()
        return
    for child in module.children():
        _initialize_transformers(child)


def refuse_lazy(module: nn.Module) -> None:
    """Raises ValueError where shapes are not known yet."""
    for name, tensor in _all_tensors(module):
        if nn.parameter.is_lazy(tensor):
            raise ValueError(
                f"{name} is lazy and has no shape yet; run the model on a batch, then "
                "describe it"
            )


def _all_tensors(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def find(module: nn.Module, state: State, recorder: Recorder | None) -> InitialValues:
    """The initializer of each entry of a module's state_dict."""
    defaults = layers.model_initializers(module)
    found = InitialValues()
    for key, tensor in state.items():
        found.initializers[key] = _find(
            key, tensor, _default(defaults.get(key), tensor), recorder, found
        )
    return found


def is_default(module: nn.Module, state: State, found: InitialValues) -> bool:
    """Whether every entry is initialized as its layer of torch.nn does."""
    defaults = layers.model_initializers(module)
    return all(found.initializers[key] == defaults.get(key) for key in state)


def _default(
    initializer: Initializer | None, tensor: torch.Tensor
) -> Initializer | None:
    """What a layer does; fractions for a type that has none are not of its making."""
    fills = ("zeros", "ones", "constant")
    if initializer is None or initializer.WhichOneof("kind") in fills:
        return initializer
    return initializer if tensor.is_floating_point() else None


def _find(
    key: str,
    tensor: torch.Tensor,
    default: Initializer | None,
    recorder: Recorder | None,
    found: InitialValues,
) -> Initializer:
    if tensor.numel() == 0:
        return layers.constant(0)
    values = recorder.values(tensor) if recorder is not None else None
    if values is None and default is not None:
        return default
    if values is not None:
        recorded = values.initializer(tensor.shape)
        if recorded is not None:
            return _as_default(recorded, default, tensor)
        if isinstance(values, Unset):
            found.never_set.append(key)
            return layers.constant(0)
    if tensor.is_meta:
        found.without_values.append(key)
        return layers.constant(0)
    value = _only_value(tensor)
    return STORED if value is None else layers.constant(value)


def _as_default(
    recorded: Initializer, default: Initializer | None, tensor: torch.Tensor
) -> Initializer:
    """What was recorded, in the words of the layer where it comes to the same."""
    if default is None:
        return recorded
    return default if layers.as_drawn(default, tensor.shape) == recorded else recorded


def _only_value(tensor: torch.Tensor) -> float | None:
    """The value that all elements have, if a number says it exactly."""
    if tensor.is_complex():
        return None
    flat = tensor.detach()
    if flat.is_floating_point() and flat.dtype not in (torch.float32, torch.float64):
        flat = flat.float()
    first = flat[(0,) * flat.dim()]
    value = first.item()
    if not math.isfinite(value) or float(value) != value:
        return None
    if not bool((flat == first).all()):
        return None
    # Zeros of both signs are equal.
    if value == 0 and flat.is_floating_point() and bool(flat.signbit().any()):
        return None
    return float(value)
