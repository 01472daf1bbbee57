"""Registers models, with the values that they start from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from warmstart.errors import WarmstartError
from warmstart.schema import Description
from warmstart.v1.architectures_pb2 import Architecture

if TYPE_CHECKING:
    import torch

# Names the architecture whose initial values a checkpoint keeps.
INITIAL_VALUES_LABEL = "warmstart.dev/initial-values"


def register(
    description: Description,
    *,
    save: Callable[[Mapping[str, torch.Tensor]], str],
    send: Callable[[Architecture], Architecture],
    delete: Callable[[str], None],
    keep: bool,
) -> Architecture:
    """Registers an architecture, having saved its initial values.

    No checkpoint stays that no architecture needs: not where registration fails, nor
    where the answer is a version that was there before and has the same values.

    Args:
        description: The architecture and its stored values.
        save: Saves a state_dict, and gives the checkpoint's name.
        send: Asks the server to register.
        delete: Deletes a checkpoint.
        keep: Whether `send` registers, and does not only check.
    """
    if not description.stored:
        return send(description.architecture)
    checkpoint = save(
        {key: _for_file(tensor) for key, tensor in description.stored.items()}
    )
    architecture = Architecture()
    architecture.CopyFrom(description.architecture)
    architecture.initial_values = checkpoint
    try:
        registered = send(architecture)
    except BaseException:
        # What failed first is what is to be told.
        with suppress(WarmstartError):
            delete(checkpoint)
        raise
    if not keep or registered.initial_values != checkpoint:
        delete(checkpoint)
    return registered


def _for_file(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor of which torch.save writes no more than its values."""
    tensor = tensor.detach().cpu()
    whole = tensor.numel() * tensor.element_size() == tensor.untyped_storage().nbytes()
    return tensor.contiguous() if whole else tensor.clone()
