"""Cases: a model, a file to load it from, and the request that does so."""

from __future__ import annotations

import copy
import random
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from parity import edits, models

COUNT = 400


@dataclass
class Case:
    """One comparison with PyTorch."""

    name: str
    edits: list[str]  # what was done to the state_dict
    container: str  # how the file holds it
    model: nn.Module  # the target; each entry is filled with its constant
    constants: dict[str, float]
    request: edits.Request
    file: Path
    load: Callable[[], Mapping]  # reads the state_dict from the file, in Python


# Files.


def _zip(state: edits.State, rng: random.Random, path: Path):
    torch.save(state, path, pickle_protocol=rng.choice([2, 2, 3, 4]))
    return lambda: _torch_load(path)


def _legacy(state: edits.State, rng: random.Random, path: Path):
    if any(tensor.dtype == torch.float8_e4m3fn for tensor in state.values()):
        # torch.load cannot read what torch.save writes for these.
        return _zip(state, rng, path)
    torch.save(state, path, _use_new_zipfile_serialization=False)
    return lambda: _torch_load(path)


def _dict(state: edits.State, rng: random.Random, path: Path):
    torch.save(dict(state), path)
    return lambda: _torch_load(path)


def _safetensors(state: edits.State, rng: random.Random, path: Path):
    tensors = {
        key: tensor.detach().clone(memory_format=torch.contiguous_format)
        for key, tensor in state.items()
    }
    safetensors.torch.save_file(tensors, path)
    return lambda: safetensors.torch.load_file(path)


def _nested(name: str):
    """One of the places where people keep the state_dict; the server finds it."""

    def write(state: edits.State, rng: random.Random, path: Path):
        optimizer = {"state": {0: {"exp_avg": torch.ones(3), "step": 7}}}
        torch.save({"epoch": 3, name: state, "optimizer_state": optimizer}, path)
        return lambda: _torch_load(path)[name]

    return write


def _torch_load(path: Path):
    # The test wrote the file itself.
    return torch.load(path, weights_only=False)


CONTAINERS = {
    "zip": _zip,
    "legacy": _legacy,
    "dict": _dict,
    "safetensors": _safetensors,
    "state_dict": _nested("state_dict"),
    "model_state": _nested("model_state"),
    "subtree": _nested("trainer_net"),
}


def make_case(index: int, folder: Path) -> Case:
    """The case with this number; the same number always gives the same case."""
    rng = random.Random(index)
    name = f"Net{index}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # complex modules, empty initializations
        model = models.random_model(rng, name)
        draft, applied = _edited(index, rng, model)
    constants = models.fill_with_constants(model, rng)

    container = list(CONTAINERS)[index % len(CONTAINERS)]
    path = folder / f"{name}.pt"
    load = CONTAINERS[container](draft.state, rng, path)
    if container == "subtree":
        draft.request.options["subtree"] = "trainer_net"
    return Case(name, applied, container, model, constants, draft.request, path, load)


def _edited(
    index: int, rng: random.Random, model: nn.Module
) -> tuple[edits.Draft, list[str]]:
    """The state_dict of a trained copy of the model, edited, and the edits."""
    generator = torch.Generator().manual_seed(index)
    trained = copy.deepcopy(model)
    models.fill_randomly(trained, generator)
    draft = edits.Draft(rng, generator, model, trained.state_dict())
    # Each edit gets its turn as the first, so that each is there often enough.
    chosen = [edits.EDITS[index % len(edits.EDITS)]]
    chosen += rng.sample(edits.EDITS, rng.randint(0, 2))
    if rng.random() < 0.5:
        chosen += rng.choice(edits.RENAMINGS)
    if edits.keep_dtypes in chosen:  # and no integers where a gradient is needed
        chosen = [edit for edit in chosen if edit != edits.change_dtypes]
    for edit in chosen:
        edit(draft)
        if not draft.state:
            draft.state["extra"] = draft.tensor(2)  # a file needs a tensor
    return draft, [edit.__name__ for edit in chosen]
