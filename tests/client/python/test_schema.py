"""How models are described."""

from __future__ import annotations

import math

import torch
import warmstart
from torch import nn


class Model(nn.Module):
    """One layer of each kind that is known, and one that is not."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 2)
        self.conv = nn.Conv2d(3, 5, 2)
        self.norm = nn.BatchNorm1d(2)
        self.emb = nn.Embedding(3, 2)
        self.rnn = nn.LSTM(3, 4)
        self.act = nn.ReLU()
        self.own = nn.Parameter(torch.zeros((), dtype=torch.bfloat16))
        self.register_buffer("cache", torch.zeros(2), persistent=False)


def described() -> dict:
    architecture = warmstart.architecture_of("Model", Model())
    return {entry.key: entry for entry in architecture.entries}


def test_entries_are_those_of_the_state_dict():
    state = Model().state_dict()
    entries = described()
    assert list(entries) == list(state)
    for key, tensor in state.items():
        assert list(entries[key].shape) == list(tensor.shape)
        assert f"torch.{entries[key].dtype}" == str(tensor.dtype)


def test_buffers_are_told_from_parameters():
    buffers = [key for key, entry in described().items() if entry.buffer]
    assert buffers == [
        "norm.running_mean",
        "norm.running_var",
        "norm.num_batches_tracked",
    ]


def test_modules_are_listed_with_their_versions():
    architecture = warmstart.architecture_of("Model", Model())
    assert [(m.path, m.version) for m in architecture.modules] == [
        ("", 1),
        ("linear", 1),
        ("conv", 1),
        ("norm", 2),
        ("emb", 1),
        ("rnn", 1),
        ("act", 1),
    ]


def test_layers_get_the_initializers_that_pytorch_gives_them():
    entries = described()
    kinds = {key: e.initializer.WhichOneof("kind") for key, e in entries.items()}
    assert kinds["linear.weight"] == kinds["conv.weight"] == "kaiming_uniform"
    assert kinds["linear.bias"] == kinds["conv.bias"] == "fan_in_uniform"
    assert entries["linear.bias"].initializer.fan_in_uniform.fan_in == 4
    assert entries["conv.bias"].initializer.fan_in_uniform.fan_in == 3 * 2 * 2
    assert kinds["norm.weight"] == kinds["norm.running_var"] == "ones"
    assert kinds["norm.bias"] is None
    assert kinds["norm.running_mean"] is None
    assert kinds["emb.weight"] == "normal"
    uniform = entries["rnn.weight_hh_l0"].initializer.uniform
    assert (uniform.low, uniform.high) == (-1 / math.sqrt(4), 1 / math.sqrt(4))
    assert kinds["own"] is None


def test_tied_parameters_are_described_under_every_key():
    model = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    model["b"].weight = model["a"].weight
    architecture = warmstart.architecture_of("Tied", model)
    kinds = [entry.initializer.WhichOneof("kind") for entry in architecture.entries]
    assert kinds == ["kaiming_uniform", "fan_in_uniform"] * 2


def test_a_state_dict_is_described_by_its_tensors():
    state = Model().state_dict()
    architecture = warmstart.architecture_of("State", state)
    assert [entry.key for entry in architecture.entries] == list(state)
    assert not any(entry.buffer for entry in architecture.entries)
    assert len(architecture.modules) == 7
    assert not warmstart.architecture_of("Plain", dict(state)).modules


def test_tied_tensors_are_found_on_any_device():
    for device in ("cpu", "meta"):
        model = nn.Module()
        model.embed = nn.Embedding(5, 3, device=device)
        model.head = nn.Linear(3, 5, bias=False, device=device)
        model.other = nn.Linear(3, 5, bias=False, device=device)
        model.head.weight = model.embed.weight
        entries = warmstart.architecture_of("Tied", model).entries
        assert [(e.key, e.tied_to) for e in entries] == [
            ("embed.weight", ""),
            ("head.weight", "embed.weight"),
            ("other.weight", ""),
        ]
