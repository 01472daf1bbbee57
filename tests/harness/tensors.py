"""Comparing tensors bit for bit."""

from __future__ import annotations

from collections.abc import Mapping

import torch


def bits(tensor: torch.Tensor) -> bytes:
    """A tensor's values, contiguous, as bytes."""
    # A tensor of one element can have any stride; a new one is made for its bytes.
    flat = torch.empty(tensor.numel(), dtype=tensor.dtype)
    flat.copy_(tensor.detach().reshape(-1))
    return bytes(flat.view(torch.uint8).numpy())


def assert_same_tensor(key: str, got: torch.Tensor, wanted: torch.Tensor) -> None:
    """The same dtype, shape and bits."""
    assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape), key
    assert bits(got) == bits(wanted), f"{key}: {got} is not {wanted}"


def assert_same_state(
    got: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]
) -> None:
    """The same keys in the same order, with the same tensors."""
    assert list(got) == list(wanted)
    for key, tensor in wanted.items():
        assert_same_tensor(key, got[key], tensor)
