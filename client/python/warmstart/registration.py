"""Registers models, with the values that they start from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from warmstart.errors import WarmstartError
from warmstart.schema import Description
from warmstart.v1.architectures_pb2 import Architecture

if TYPE_CHECKING:
    import torch

    from warmstart.client import Client

# Names the architecture whose initial values a checkpoint keeps.
INITIAL_VALUES_LABEL = "warmstart.dev/initial-values"


def register(
    client: Client,
    description: Description,
    *,
    labels: Mapping[str, str],
    validate_only: bool,
) -> Architecture:
    """Registers an architecture, having saved its initial values.

    Values that were saved for this name before are not saved again. No checkpoint stays
    that no architecture needs, as where registration fails.

    Args:
        client: Of the server.
        description: The architecture and its stored values.
        labels: More labels of a checkpoint of initial values.
        validate_only: Leaves nothing on the server.
    """
    architecture = Architecture()
    architecture.CopyFrom(description.architecture)

    def send() -> Architecture:
        return client.register_architecture(architecture, validate_only=validate_only)

    if not description.stored:
        return send()
    values = {key: _for_file(tensor) for key, tensor in description.stored.items()}
    label = {INITIAL_VALUES_LABEL: architecture.name}
    architecture.initial_values = _find_saved(client, label, values)
    if architecture.initial_values:
        return send()
    saved = client.save(values, labels={**labels, **label}).checkpoint.name
    architecture.initial_values = saved
    try:
        registered = send()
    except BaseException:
        # What failed first is what is to be told.
        with suppress(WarmstartError):
            client.delete(saved)
        raise
    if validate_only or registered.initial_values != saved:
        client.delete(saved)
    return registered


def _find_saved(
    client: Client, label: Mapping[str, str], values: Mapping[str, torch.Tensor]
) -> str:
    """A checkpoint with this label and of exactly these values; "" if there is none."""
    digests: dict[str, tuple] = {}
    for checkpoint in client.list(labels=label):
        digests = digests or {key: _identity(one) for key, one in values.items()}
        saved = {
            entry.key: (entry.dtype, tuple(entry.shape), entry.digest)
            for entry in client.manifest(checkpoint.name)
        }
        if saved == digests:
            return checkpoint.name
    return ""


def _identity(tensor: torch.Tensor) -> tuple:
    """A tensor as a manifest tells it."""
    dtype = str(tensor.dtype).removeprefix("torch.")
    return dtype, tuple(tensor.shape), hashlib.sha256(_bytes(tensor)).hexdigest()


def _bytes(tensor: torch.Tensor) -> memoryview:
    """The values, as they are hashed."""
    import torch  # noqa: PLC0415  needed only here

    return memoryview(tensor.reshape(-1).view(torch.uint8).numpy())


def _for_file(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor, contiguous, of which torch.save writes no more than its values."""
    tensor = tensor.detach().cpu()
    whole = tensor.numel() * tensor.element_size() == tensor.untyped_storage().nbytes()
    return tensor.contiguous() if whole else tensor.contiguous().clone()
