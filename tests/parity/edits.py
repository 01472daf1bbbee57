"""Random differences between a model and the checkpoint that it is loaded from.

Each edit changes the state_dict that goes to the file, and, where the server
must be told to undo it, the options of the request and their meaning in Python.
"""

from __future__ import annotations

import fnmatch
import random
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn

from parity import models

State = OrderedDict  # of key to tensor, with _metadata as PyTorch keeps it


@dataclass
class Request:
    """Options of `Client.warm_start`, and what they mean."""

    options: dict = field(default_factory=dict)
    # Each makes the next state_dict of the one before, as a person would in
    # Python before calling load_state_dict.
    steps: list[Callable[[State], State]] = field(default_factory=list)
    assign: bool = False  # of load_state_dict

    def undo(self, step: Callable[[State], State]) -> None:
        """Adds the step that takes back the latest change to the keys."""
        self.steps.insert(0, step)

    def prepare(self, state: State) -> State:
        """The state_dict that a person would pass to load_state_dict."""
        for step in self.steps:
            state = step(state)
        return state


@dataclass
class Draft:
    """A checkpoint in the making."""

    rng: random.Random
    generator: torch.Generator
    model: nn.Module
    state: State
    request: Request = field(default_factory=Request)

    def free_keys(self) -> list[str]:
        """Keys that can be edited: a schema does not know that some are tied."""
        tied = models.tied_keys(self.model)
        return [key for key in self.state if key not in tied]

    def some(self, keys: list[str], most: int = 3) -> list[str]:
        """One to `most` of the keys, as far as there are any."""
        if not keys:
            return []
        count = min(len(keys), self.rng.randint(1, most))
        return self.rng.sample(keys, count)

    def tensor(self, *shape: int) -> torch.Tensor:
        """Random values."""
        return torch.randn(shape, generator=self.generator)


def with_items(state: State, items) -> State:
    """Other items and the same metadata."""
    new = State(items)
    if hasattr(state, "_metadata"):
        new._metadata = state._metadata
    return new


def map_keys(change: Callable[[str], str]) -> Callable[[State], State]:
    """Renames every key, in place and in order."""
    return lambda state: with_items(
        state, [(change(key), value) for key, value in state.items()]
    )


def filter_keys(wanted: Callable[[str], bool]) -> Callable[[State], State]:
    """Leaves keys out."""
    return lambda state: with_items(
        state, [(key, value) for key, value in state.items() if wanted(key)]
    )


# Keys.


def drop_keys(draft: Draft) -> None:
    """Missing keys."""
    for key in draft.some(draft.free_keys(), most=4):
        del draft.state[key]


def drop_module(draft: Draft) -> None:
    """All keys of a module missing, among them num_batches_tracked."""
    free = draft.free_keys()
    modules = sorted({key.rpartition(".")[0] for key in free} - {""})
    for module in draft.some(modules, most=2):
        for key in free:
            if key.startswith(module + "."):
                draft.state.pop(key, None)


def drop_batch_counts(draft: Draft) -> None:
    """num_batches_tracked missing, as in files older than PyTorch 0.4.1."""
    for key in list(draft.state):
        if key.endswith("num_batches_tracked"):
            del draft.state[key]


ODD_NAMES = ['say "hi"', "it's", "ключ", "back\\slash", "both ' and \"", "a b", "🔥"]


def extra_keys(draft: Draft) -> None:
    """Unexpected keys of every kind, anywhere in the order."""
    modules = [name for name, _ in draft.model.named_modules() if name]
    tops = [name for name, _ in draft.model.named_children()]
    kinds = [
        lambda: "extra",
        lambda: "ghost.weight",
        lambda: draft.rng.choice(tops) + "x.weight",
        lambda: draft.rng.choice(modules),
        lambda: draft.rng.choice(modules) + ".extra",
        lambda: draft.rng.choice(modules) + ".ghost.deep.weight",
        lambda: draft.rng.choice(modules) + ".num_batches_tracked",
        lambda: draft.rng.choice(list(draft.model.state_dict())) + ".more",
        lambda: draft.rng.choice(ODD_NAMES),
        lambda: draft.rng.choice(modules) + "." + draft.rng.choice(ODD_NAMES),
    ]
    items = list(draft.state.items())
    for _ in range(draft.rng.randint(1, 6)):
        key = draft.rng.choice(kinds)()
        if key not in dict(items) and key not in draft.model.state_dict():
            items.insert(draft.rng.randint(0, len(items)), (key, draft.tensor(2)))
    draft.state = with_items(draft.state, items)


def shuffle_keys(draft: Draft) -> None:
    """Another order in the file."""
    items = list(draft.state.items())
    draft.rng.shuffle(items)
    draft.state = with_items(draft.state, items)


# Rules.


def rename_exactly(draft: Draft) -> None:
    """Keys under names that exact rules turn back; some rules match nothing."""
    chosen = draft.some(list(draft.state))
    renames = {f"old.{i}.{key}": key for i, key in enumerate(chosen)}
    back = {key: old for old, key in renames.items()}
    draft.state = map_keys(lambda key: back.get(key, key))(draft.state)
    if draft.rng.random() < 0.3:
        renames["never.there"] = "neither.this"
    draft.request.options["rename"] = renames
    draft.request.undo(map_keys(lambda key: renames.get(key, key)))


def feed_another_layer(draft: Draft) -> None:
    """The recipe's case: a key renamed to what the target calls otherwise."""
    fits: dict[tuple, list[str]] = {}
    for key in draft.free_keys():
        fits.setdefault(tuple(draft.state[key].shape), []).append(key)
    pairs = [keys for keys in fits.values() if len(keys) > 1]
    if not pairs:
        return
    source, target = draft.rng.sample(draft.rng.choice(pairs), 2)
    del draft.state[target]
    draft.request.options["rename"] = {source: target}
    draft.request.undo(map_keys(lambda key: target if key == source else key))


def rename_by_regex(draft: Draft) -> None:
    """Keys under names that a regular expression turns back."""
    to_file, pattern, replacement = draft.rng.choice(
        [
            (lambda key: f"blocks.{key}", r"^blocks\.", ""),
            (lambda key: re.sub(r"weight$", "kernel", key), r"kernel$", "weight"),
            (
                lambda key: re.sub(r"\.(\d+)\.", r".layer_\1.", key),
                r"layer_(\d+)",
                r"\1",
            ),
            (
                lambda key: re.sub(r"^([^.]+)\.([^.]+)", r"\2@\1", key),
                r"^([^.@]+)@([^.@]+)",
                r"\2.\1",
            ),
            (lambda key: key.replace(".", "/"), "/", "."),
        ]
    )
    draft.state = map_keys(to_file)(draft.state)
    draft.request.options["rename_regex"] = {pattern: replacement}
    draft.request.undo(map_keys(lambda key: re.sub(pattern, replacement, key)))


def wrap_in_module(draft: Draft) -> None:
    """DataParallel's "module." before every key, or before all but one."""
    spared = draft.rng.choice([None, next(iter(draft.state))])
    draft.state = map_keys(lambda key: key if key == spared else f"module.{key}")(
        draft.state
    )
    draft.request.options["strip_prefix"] = "module."
    draft.request.undo(map_keys(lambda key: key.removeprefix("module.")))


def unwrap_backbone(draft: Draft) -> None:
    """One child's keys without its prefix, which add_prefix puts back."""
    tops = [name for name, _ in draft.model.named_children()]
    full = [
        top for top in tops if any(key.startswith(f"{top}.") for key in draft.state)
    ]
    if not full:
        return
    prefix = draft.rng.choice(full) + "."
    draft.state = map_keys(lambda key: key.removeprefix(prefix))(
        filter_keys(lambda key: key.startswith(prefix))(draft.state)
    )
    draft.request.options["add_prefix"] = prefix
    draft.request.undo(map_keys(lambda key: prefix + key))


def include_and_exclude(draft: Draft) -> None:
    """Globs, which apply before the rules."""
    tops = [name for name, _ in draft.model.named_children()]
    globs = [f"{draft.rng.choice(tops)}.*", "*.weight", "*bias*", "*.?", "[a-m]*"]
    include = draft.some(globs, most=3) if draft.rng.random() < 0.6 else []
    exclude = draft.some(globs, most=2) if draft.rng.random() < 0.6 else []

    def wanted(key: str) -> bool:
        def matches(globs: list[str]) -> bool:
            return any(fnmatch.fnmatchcase(key, glob) for glob in globs)

        return (not include or matches(include)) and not matches(exclude)

    # What is left of tied keys must be all of them or none.
    tied = models.tied_keys(draft.model)
    if len({wanted(key) for key in tied}) > 1:
        return
    draft.request.options |= {"include": include, "exclude": exclude}
    draft.request.undo(filter_keys(wanted))


# Tensors.


def change_dtypes(draft: Draft) -> None:
    """Tensors of other dtypes, which are cast."""
    _change_dtypes(draft, [*models.FLOATS, torch.complex64, *models.INTEGERS[:3]])


def keep_dtypes(draft: Draft) -> None:
    """Tensors of other dtypes, which are kept: assign=True."""
    # A parameter cannot be made of integers.
    _change_dtypes(draft, [*models.FLOATS, torch.complex64])
    draft.request.options["on_dtype_mismatch"] = "keep"
    draft.request.assign = True


def _change_dtypes(draft: Draft, dtypes: list[torch.dtype]) -> None:
    for key in draft.some(draft.free_keys(), most=6):
        draft.state[key] = draft.state[key].real.to(draft.rng.choice(dtypes))


def change_shapes(draft: Draft) -> None:
    """Shapes that do not fit, which is an error even when not strict."""
    for key in draft.some(draft.free_keys()):
        shape = list(draft.state[key].shape)
        choices = [[*shape, 2], [1, *shape], [3, 3, 3]]
        if shape:
            axis = draft.rng.randrange(len(shape))
            choices.append([n + (i == axis) for i, n in enumerate(shape)])
            choices.append([])
        draft.state[key] = draft.tensor(*draft.rng.choice(choices))


def scalars_with_one_dimension(draft: Draft) -> None:
    """Shape [1] where the model has none, as PyTorch before 0.4 wrote it."""
    for key in draft.free_keys():
        if draft.state[key].dim() == 0 and draft.rng.random() < 0.7:
            draft.state[key] = draft.state[key].reshape(1)


def odd_strides(draft: Draft) -> None:
    """Tensors that are not contiguous, or part of a larger storage."""
    for key in draft.some(list(draft.state), most=8):
        tensor = draft.state[key]
        if tensor.dim() >= 2:
            odd = tensor.transpose(0, 1).contiguous().transpose(0, 1)
        else:
            odd = torch.stack([tensor, tensor]).select(0, 1)
        if tensor.dim() == 1:
            odd = draft.rng.choice([odd, tensor.repeat_interleave(2)[::2]])
        draft.state[key] = odd


def expanded_tensors(draft: Draft) -> None:
    """Tensors in which one element stands for many."""
    for key in draft.some([k for k in draft.free_keys() if draft.state[k].numel()]):
        tensor = draft.state[key]
        draft.state[key] = tensor.reshape(-1)[:1].squeeze(0).expand(tensor.shape)


def share_storage(draft: Draft) -> None:
    """Views of one storage under several keys."""
    keys = [key for key in draft.free_keys() if draft.state[key].numel() > 0]
    keys = [key for key in keys if draft.state[key].dtype == torch.float32]
    chosen = draft.some(keys, most=4)
    flat = torch.cat(
        [draft.state[key].reshape(-1) for key in chosen] + [torch.zeros(1)]
    )
    start = 0
    for key in chosen:
        shape = draft.state[key].shape
        draft.state[key] = flat[start : start + shape.numel()].view(shape)
        # Sometimes the next one begins inside this one.
        start += shape.numel() if draft.rng.random() < 0.5 else 0


def parameters(draft: Draft) -> None:
    """torch.nn.Parameter values, with and without a gradient."""
    for key in draft.some(list(draft.state), most=8):
        tensor = draft.state[key]
        if tensor.dtype.is_floating_point and tensor.dtype.itemsize > 1:
            draft.state[key] = nn.Parameter(tensor, draft.rng.random() < 0.5)


# The dict itself.


def plain_dict(draft: Draft) -> None:
    """A dict without metadata."""
    draft.state = State(draft.state)
    draft.state.__dict__.pop("_metadata", None)


def old_versions(draft: Draft) -> None:
    """Metadata of an older PyTorch."""
    for entry in getattr(draft.state, "_metadata", {}).values():
        entry["version"] = 1
    drop_batch_counts(draft)


EDITS = [
    drop_keys,
    drop_module,
    drop_batch_counts,
    extra_keys,
    extra_keys,
    shuffle_keys,
    change_dtypes,
    keep_dtypes,
    change_shapes,
    scalars_with_one_dimension,
    odd_strides,
    expanded_tensors,
    share_storage,
    parameters,
    plain_dict,
    old_versions,
]

# What is done to the keys after that, for the server's rules to undo in the
# opposite order, which is that of the parameters of `Client.warm_start`.
RENAMINGS = [
    [rename_exactly],
    [feed_another_layer],
    [rename_by_regex],
    [wrap_in_module],
    [unwrap_backbone],
    [include_and_exclude],
    [feed_another_layer, wrap_in_module],
    [rename_by_regex, rename_exactly, wrap_in_module],
    [unwrap_backbone, rename_by_regex, wrap_in_module],
]
