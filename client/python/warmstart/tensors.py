"""Tensors to and from the API's messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Union

from warmstart.v1.model_initializer_pb2 import (
    ForwardInput,
    ForwardOutput,
    RandomTensor,
    Tensor,
)

if TYPE_CHECKING:
    import torch

# A tensor (or what torch.as_tensor takes), or one that the server draws.
InputLike = Union["torch.Tensor", RandomTensor]


def inputs(
    positional: Sequence[InputLike], named: Mapping[str, InputLike]
) -> Iterator[ForwardInput]:
    """The inputs of a Forward: all by position, or all by name."""
    if positional and named:
        raise ValueError("give all inputs by position, or all by name")
    for value in positional:
        yield _input("", value)
    for name, value in named.items():
        yield _input(name, value)


def outputs(
    answered: Sequence[ForwardOutput],
) -> torch.Tensor | dict[str, torch.Tensor]:
    """The one tensor that a model gave, or several by name."""
    tensors = {output.name: _from_message(output.tensor) for output in answered}
    if len(tensors) == 1:
        return next(iter(tensors.values()))
    return tensors


def _input(name: str, value: InputLike) -> ForwardInput:
    if isinstance(value, RandomTensor):
        return ForwardInput(name=name, random=value)
    return ForwardInput(name=name, tensor=_to_message(value))


def _to_message(value: object) -> Tensor:
    import torch  # noqa: PLC0415  needed only here

    tensor = torch.as_tensor(value).detach().cpu()
    flat = tensor.contiguous().reshape(-1)
    return Tensor(
        dtype=str(tensor.dtype).removeprefix("torch."),
        shape=tensor.shape,
        data=flat.view(torch.uint8).numpy().tobytes(),
    )


def _from_message(message: Tensor) -> torch.Tensor:
    import torch  # noqa: PLC0415  needed only here

    dtype = getattr(torch, message.dtype)
    if not message.data:
        return torch.empty(tuple(message.shape), dtype=dtype)
    # A copy, for a tensor may be written and a message may not.
    flat = torch.frombuffer(bytearray(message.data), dtype=dtype)
    return flat.reshape(tuple(message.shape))
