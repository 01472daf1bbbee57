"""Describes PyTorch models as architectures that a server can register."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Union

from warmstart import requests
from warmstart.v1.architectures_pb2 import (
    Architecture,
    ArchitectureEntry,
    Initializer,
    Module,
    ModuleDeclaration,
)

if TYPE_CHECKING:
    import torch

    from warmstart.initial_values import InitialValues

State = Mapping[str, "torch.Tensor"]
Model = Union["torch.nn.Module", Callable[[], "torch.nn.Module"], State]
Initializers = Mapping[str, Initializer | requests.Choice]

# In a message.
_SHOWN_KEYS = 8


@dataclass(frozen=True)
class Description:
    """An architecture, and the tensors that it takes its initial values from."""

    architecture: Architecture
    stored: dict[str, torch.Tensor] = field(default_factory=dict)


def architecture_of(
    name: str,
    model: Model,
    *,
    initializers: Initializers | None = None,
    device: str | None = None,
) -> Architecture:
    """Describes a model; `Client.register` does this and registers it.

    Entries are those of the state_dict, in its order: parameters and persistent
    buffers. What is no plain tensor (`_extra_state`) is left out, with a warning.
    Nothing is materialised, so that a model on the meta device can have any size.

    How fresh values of an entry are made, the first of these that can be told:

    1. what `initializers` says;
    2. of a factory, what it did: it is called once, and what is drawn, filled and
       scaled is recorded;
    3. what the layer of torch.nn does that the entry is in;
    4. the value, where all elements have the same;
    5. the values, as `Initializer.Stored`: a server needs them, and `Client.register`
       gives them to it. On the meta device there are none, and the entry starts as
       zeros, with a warning.

    A Sequential of layers that servers know is declared as a module, too, so that it
    can be run, unless its initializers are others than its layers'.

    Args:
        name: The architecture's name, best the model's class name: it stands in
            PyTorch's messages.
        model: A module; a factory, that is a class, a function or a lambda that
            makes the module; or a state_dict, of which buffers and initializers
            cannot be told: all entries are parameters that start as zeros.
        initializers: In place of what would be found, by a glob on keys; the first
            that matches is taken: {"*.gamma": "ones", "head.*": {"normal": {"std":
            0.01}}, "table": "stored"}.
        device: Where a factory is called: "meta" makes no values.
    """
    return describe(name, model, initializers=initializers, device=device).architecture


def describe(
    name: str,
    model: Model,
    *,
    initializers: Initializers | None = None,
    device: str | None = None,
) -> Description:
    """What `architecture_of` gives, with the stored tensors."""
    if isinstance(model, Mapping):
        if device is not None:
            raise ValueError("a device is for a factory; this is a state_dict")
        state = _plain_tensors(name, model)
        return _Describer(name, state, frozenset()).describe(initializers or {})

    from warmstart import initial_values, module_tree  # noqa: PLC0415  need torch

    module, recorder = initial_values.build(model, device)
    initial_values.refuse_lazy(module)
    state = _plain_tensors(name, module.state_dict())
    buffers = frozenset(key for key, _ in module.named_buffers(remove_duplicate=False))
    describer = _Describer(name, state, buffers)
    describer.found = initial_values.find(module, state, recorder)
    declaration = module_tree.declaration_of(module)
    # What is declared is initialized as its layers are.
    if declaration and initial_values.is_default(module, state, describer.found):
        describer.declaration = declaration
    return describer.describe(initializers or {})


class _Describer:
    """Puts together what is known of a model."""

    def __init__(self, name: str, state: State, buffers: frozenset[str]) -> None:
        self.name = name
        self.state = state
        self.buffers = buffers
        self.found: InitialValues | None = None
        self.declaration: ModuleDeclaration | None = None

    def describe(self, given: Initializers) -> Description:
        chosen = _chosen(given, self.state)
        ties = _ties(self.state, self.buffers)
        for key, first in ties.items():
            if key in chosen and first not in chosen:
                raise ValueError(f"{key} is tied to {first}: say how that is made")
        if self.found is not None:
            _warn_of_guesses(self.name, self.found, chosen, ties)
        architecture = Architecture(
            name=self.name,
            entries=[self._entry(key, chosen, ties) for key in self.state],
            modules=[
                Module(path=path, version=entry.get("version", 1))
                for path, entry in getattr(self.state, "_metadata", {}).items()
            ],
        )
        if self.declaration is not None and not chosen and not ties:
            architecture.module.CopyFrom(self.declaration)
        return Description(architecture, self._stored(architecture))

    def _entry(
        self, key: str, chosen: Mapping[str, Initializer], ties: Mapping[str, str]
    ) -> ArchitectureEntry:
        tensor = self.state[key]
        first = ties.get(key, key)
        entry = ArchitectureEntry(
            key=key,
            shape=list(tensor.shape),
            dtype=str(tensor.dtype).removeprefix("torch."),
            buffer=key in self.buffers,
            tied_to=ties.get(key),
        )
        # Tied tensors are one, which was made under its first name.
        if first in chosen:
            entry.initializer.CopyFrom(chosen[first])
        elif self.found is not None:
            entry.initializer.CopyFrom(self.found.initializers[first])
        if entry.initializer.WhichOneof("kind") == "stored" and first != key:
            entry.initializer.stored.key = entry.initializer.stored.key or first
        return entry

    def _stored(self, architecture: Architecture) -> dict[str, torch.Tensor]:
        stored = {}
        for entry in architecture.entries:
            if entry.initializer.WhichOneof("kind") != "stored":
                continue
            key = entry.initializer.stored.key or entry.key
            if key not in self.state:
                raise ValueError(f"{entry.key} takes its values from {key!r}: no entry")
            if self.state[key].is_meta:
                raise ValueError(f"{key} is on the meta device and has no values")
            stored[key] = self.state[key]
        return stored


def _plain_tensors(name: str, state: Mapping[str, object]) -> State:
    """The state without what is no tensor, such as _extra_state, in place."""
    others = [key for key, value in state.items() if not _is_plain(value)]
    if not others:
        return state
    warnings.warn(
        f"{name}: {_listed(others)} left out, being no plain tensors",
        stacklevel=4,
    )
    kept = OrderedDict((k, v) for k, v in state.items() if k not in set(others))
    if hasattr(state, "_metadata"):
        kept._metadata = state._metadata
    return kept


def _is_plain(value: object) -> bool:
    """Whether a value is a tensor with an element for each place."""
    return (
        hasattr(value, "untyped_storage")
        and str(value.layout) == "torch.strided"
        and not value.is_quantized
    )


def _chosen(given: Initializers, state: State) -> dict[str, Initializer]:
    """The initializers that globs choose, by key."""
    chosen: dict[str, Initializer] = {}
    for glob, initializer in given.items():
        keys = [key for key in state if fnmatchcase(key, glob)]
        if not keys:
            raise ValueError(f"no key matches {glob!r}")
        for key in keys:
            chosen.setdefault(key, requests.initializer(initializer))
    return chosen


def _warn_of_guesses(
    name: str,
    found: InitialValues,
    chosen: Mapping[str, Initializer],
    ties: Mapping[str, str],
) -> None:
    """Tells of entries that start as zeros for want of something better."""

    def warn(keys: Sequence[str], why: str) -> None:
        guessed = [key for key in keys if key not in chosen and key not in ties]
        if guessed:
            warnings.warn(
                f"{name}: {_listed(guessed)} start as zeros: {why}", stacklevel=6
            )

    warn(
        found.without_values,
        "how they are initialized cannot be told on the meta device. Say it with "
        "initializers={glob: ...}, describe a factory in place of a module, or have "
        "the values (to_empty() and the model's own initialization)",
    )
    warn(found.never_set, "the factory leaves their memory as it was")


def _listed(keys: Sequence[str]) -> str:
    """Keys, for people."""
    shown = ", ".join(keys[:_SHOWN_KEYS])
    more = len(keys) - _SHOWN_KEYS
    return f"{shown} and {more} more" if more > 0 else shown


def _ties(state: State, buffers: frozenset[str]) -> dict[str, str]:
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
            key in buffers,
        )
        if view in first:
            ties[key] = first[view]
        else:
            first[view] = key
    return ties
