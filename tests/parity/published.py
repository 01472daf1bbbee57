"""Registering and loading models that others wrote, on both sides alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import warmstart
from torch import nn

# Initial values are compared bit for bit, so every dtype must hold them exactly.
_CONSTANTS = [step / 8 for step in range(1, 64)]


def fill(model: nn.Module) -> dict[str, float]:
    """Gives each tensor a constant of its own, in place: its initial value."""
    constants = {}
    with torch.no_grad():
        for index, (key, tensor) in enumerate(model.state_dict().items()):
            constants[key] = _CONSTANTS[index % len(_CONSTANTS)]
            if not tensor.is_floating_point():
                constants[key] = float(index % 2)
            tensor.fill_(constants[key])
    # Tied tensors hold what was written last.
    return {key: tensor.flatten()[0].item() for key, tensor in named(model).items()}


def named(model: nn.Module) -> dict[str, torch.Tensor]:
    """The tensors of a state_dict that have elements."""
    return {k: t for k, t in model.state_dict().items() if t.numel() > 0}


def register(client: warmstart.Client, name: str, model: nn.Module) -> None:
    """Fills a model and registers it; a fresh tensor holds the same on both sides."""
    constants = fill(model)
    architecture = warmstart.architecture_of(name, model)
    for entry in architecture.entries:
        entry.initializer.constant.value = constants.get(entry.key, 0.0)
    # A declared module has its layers' initializers.
    architecture.ClearField("module")
    client.register_architecture(architecture)


def random_state(model: nn.Module, seed: int) -> dict[str, torch.Tensor]:
    """A state_dict of random values, tied tensors the same."""
    generator = torch.Generator().manual_seed(seed)
    done: dict[int, torch.Tensor] = {}
    state = {}
    for key, tensor in model.state_dict().items():
        if tensor.data_ptr() not in done or tensor.numel() == 0:
            value = torch.empty(tensor.shape)
            value.normal_(generator=generator)
            done[tensor.data_ptr()] = value.to(tensor.dtype)
        state[key] = done[tensor.data_ptr()]
    return state


def assert_close_state(
    got: Mapping[str, torch.Tensor],
    wanted: Mapping[str, torch.Tensor],
    *,
    computed: Callable[[str], bool],
    tolerance: float = 1e-6,
) -> None:
    """Bit for bit, but for the keys that are `computed`: relative to the largest."""
    assert list(got) == list(wanted)
    for key, tensor in wanted.items():
        assert (got[key].dtype, got[key].shape) == (tensor.dtype, tensor.shape), key
        if not computed(key):
            assert torch.equal(got[key], tensor), key
            continue
        error = (got[key].double() - tensor.double()).abs().max().item()
        assert error <= tolerance * tensor.abs().max().item(), (key, error)
