"""Watches a model's constructor, to know how it initializes what it makes.

Every operation on a tensor passes a `Recorder`, which keeps for each memory what its
values are: the distribution that was drawn last, scaled and shifted since, or that
nobody can tell. Which function of which library called it does not matter: ResNet's
kaiming_normal_, transformers' normal_ and timm's trunc_normal_tf_ are seen as the
draws that they come to. Works on the meta device as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from warmstart.values import (
    UNKNOWN,
    UNSET,
    Constant,
    Eye,
    InverseErf,
    Normal,
    Uniform,
    Values,
)


class Recorder(TorchDispatchMode):
    """Records what happens to tensors in a `with` block, on this thread."""

    def __init__(self) -> None:
        """Knows nothing."""
        super().__init__()
        self._values: dict[int, Values] = {}
        # While there are these, no later memory is mistaken for one that is gone.
        self._memories: dict[int, StorageWeakRef] = {}

    def values(self, tensor: torch.Tensor) -> Values | None:
        """What a tensor's values are; None where nothing was seen of it."""
        known = self._values.get(_memory(tensor))
        return known if known is None or _is_whole(tensor) else UNKNOWN

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Runs an operation, and takes note of it."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        written = list(_written(func, args, kwargs))
        name = func._schema.name.removeprefix("aten::")
        if written:
            for tensor in written:
                self._write(tensor, name, args, kwargs)
        else:
            inputs = {_memory(tensor) for tensor in _tensors((args, kwargs))}
            for tensor in _tensors(result):
                if name == "lift_fresh":
                    self._set(tensor, _given(tensor))
                elif _memory(tensor) not in inputs:
                    self._set(tensor, self._result(tensor, name, args, kwargs))
        return result

    def _write(self, tensor: torch.Tensor, name: str, args, kwargs) -> None:
        """An operation in place, or with out=."""
        values = self._result(tensor, name, args, kwargs)
        if not _is_whole(tensor):
            values = self._with_part(tensor, values)
        self._set(tensor, values)

    def _with_part(self, part: torch.Tensor, values: Values) -> Values:
        """What a memory's values are, once a part of them is `values`."""
        known = self._values.get(_memory(part), UNKNOWN)
        if isinstance(known, Constant) and values == known:
            return known
        rest_is_normal = isinstance(known, Normal) and known.zeros is None
        if rest_is_normal and values == Constant(0) and part.is_contiguous():
            return replace(known, zeros=(part.storage_offset(), part.numel()))
        return UNKNOWN

    def _result(self, out: torch.Tensor, name: str, args, kwargs) -> Values:
        """What an operation makes of what its arguments were."""
        try:
            if name in _MAKERS:
                return _MAKERS[name](*args, **_without_tensor_options(kwargs))
            if name in _COPIES:
                return self._copied(out, args[_COPIES[name]])
            operation = _ARITHMETIC.get(name.removesuffix("_"))
            if operation is not None:
                before = self._copied(out, args[0])
                return operation(before, *map(_number_or_none, args[1:]), **kwargs)
        except TypeError:  # an overload that takes other things
            pass
        return UNKNOWN

    def _copied(self, out: torch.Tensor, source: torch.Tensor) -> Values:
        """What `source` has, where `out` has as many elements or all are one."""
        values = self._values.get(_memory(source), UNKNOWN)
        if isinstance(values, Constant):
            return values
        if isinstance(values, Eye) or getattr(values, "zeros", None) is not None:
            # Where the elements stand matters.
            same = source.shape == out.shape and source.stride() == out.stride()
            return values if same and _is_whole(source) else UNKNOWN
        return values if source.numel() == out.numel() else UNKNOWN

    def _set(self, tensor: torch.Tensor, values: Values) -> None:
        memory = _memory(tensor)
        if memory not in self._memories:
            self._memories[memory] = StorageWeakRef(tensor.untyped_storage())
        self._values[memory] = values


def _memory(tensor: torch.Tensor) -> int:
    """What tensors have in common that share their memory, on the meta device too."""
    return tensor.untyped_storage()._cdata


def _is_whole(tensor: torch.Tensor) -> bool:
    """Whether a tensor is all of its memory."""
    return tensor.numel() * tensor.element_size() == tensor.untyped_storage().nbytes()


def _tensors(nested: object) -> Iterator[torch.Tensor]:
    """The tensors in arguments or results; sparse ones have no memory to speak of."""
    if isinstance(nested, torch.Tensor):
        if nested.layout == torch.strided:
            yield nested
    elif isinstance(nested, (list, tuple)):
        for one in nested:
            yield from _tensors(one)
    elif isinstance(nested, dict):
        yield from _tensors(list(nested.values()))


def _written(func, args, kwargs) -> Iterator[torch.Tensor]:
    """The arguments that an operation writes to, as its schema says."""
    for index, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            given = args[index] if index < len(args) else kwargs.get(argument.name)
            yield from _tensors(given)


def _given(tensor: torch.Tensor) -> Values:
    """What torch.tensor(value) has."""
    if tensor.numel() != 1 or tensor.is_meta or tensor.is_complex():
        return UNKNOWN
    return Constant(float(tensor.item()))


def _number(given: object) -> float:
    """A number, also where it is a tensor of one; raises TypeError else."""
    if isinstance(given, torch.Tensor):
        if given.numel() != 1 or given.is_meta:
            raise TypeError("no number is known")
        given = given.item()
    if not isinstance(given, (bool, int, float)):
        raise TypeError(f"{given!r} is no real number")
    return float(given)


def _number_or_none(given: object) -> float | None:
    return None if given is None else _number(given)


_OPTIONS = frozenset(
    ["dtype", "layout", "device", "pin_memory", "generator", "memory_format", "out"]
)


def _without_tensor_options(kwargs: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in kwargs.items() if name not in _OPTIONS}


def _filled(_, value: object) -> Values:
    return Constant(_number(value))


def _uniform(_, low: object = 0.0, high: object = 1.0, **named: object) -> Values:
    # "from" is no name that Python's parameters can have.
    return Uniform(_number(named.get("from", low)), _number(named.get("to", high)))


def _normal(_, mean: object = 0.0, std: object = 1.0) -> Values:
    return Normal(_number(mean), _number(std))


# What makes values from nothing, by the operation's name. A size, or the tensor that
# is filled, comes first.
_MAKERS: dict[str, Callable[..., Values]] = {
    **dict.fromkeys(["empty", "empty_like"], lambda _: UNSET),
    **dict.fromkeys(
        ["empty_strided", "new_empty", "new_empty_strided"], lambda *_: UNSET
    ),
    **dict.fromkeys(["zeros", "zeros_like", "zero_"], lambda _: Constant(0)),
    "new_zeros": lambda *_: Constant(0),
    **dict.fromkeys(["ones", "ones_like"], lambda _: Constant(1)),
    "new_ones": lambda *_: Constant(1),
    **dict.fromkeys(["full", "full_like", "fill_"], _filled),
    "new_full": lambda _, size, value: _filled(size, value),
    "scalar_tensor": lambda value: _filled(None, value),
    **dict.fromkeys(["randn", "randn_like"], lambda _: Normal(0, 1)),
    **dict.fromkeys(["rand", "rand_like"], lambda _: Uniform(0, 1)),
    "uniform_": _uniform,
    "normal_": _normal,
    "eye": lambda *_: Eye(),
}

# What copies one of its arguments, and which.
_COPIES = {"clone": 0, "_to_copy": 0, "copy_": 1}


def _erfinv(before: Values) -> Values:
    if not isinstance(before, Uniform):
        return UNKNOWN
    return InverseErf(before.low, before.high)


def _clamp(before: Values, *bounds: float | None, **named: float | None) -> Values:
    low, high = (*bounds, None, None)[:2]
    low, high = named.get("min", low), named.get("max", high)
    return before.clamped(
        -math.inf if low is None else low, math.inf if high is None else high
    )


def _divide(before: Values, divisor: float) -> Values:
    return before.times(1 / divisor) if divisor else UNKNOWN


# By the operation's name, without the "_" of those in place.
_ARITHMETIC: dict[str, Callable[..., Values]] = {
    "mul": lambda before, factor: before.times(factor),
    "div": _divide,
    "neg": lambda before: before.times(-1),
    "add": lambda before, term, alpha=1: before.plus(alpha * term),
    "sub": lambda before, term, alpha=1: before.plus(-alpha * term),
    "erfinv": _erfinv,
    "clamp": _clamp,
}
