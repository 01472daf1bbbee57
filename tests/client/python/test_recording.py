"""What is known of a constructor that was watched."""

from __future__ import annotations

import math

import pytest
import torch
import warmstart
from torch import nn
from warmstart import layers, schema
from warmstart.v1.architectures_pb2 import Initializer

STORED = Initializer(stored=Initializer.Stored())


def trunc_normal(mean: float, std: float, a: float, b: float) -> Initializer:
    message = Initializer.TruncNormal(mean=mean, std=std, a=a, b=b)
    return Initializer(trunc_normal=message)


def made_by(make, *, dtype=None, **options) -> Initializer:
    """The initializer of a parameter that `make` makes."""

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.own = nn.Parameter(make(), requires_grad=False)
            if dtype is not None:
                self.to(dtype)

    [entry] = warmstart.architecture_of("Model", Model, **options).entries
    return entry.initializer


def filled(fill):
    """Makes a tensor and fills it in place."""

    def make():
        tensor = torch.empty(6, 4)
        fill(tensor)
        return tensor

    return make


SEEN = {
    "zeros": (lambda: torch.zeros(6, 4), layers.constant(0)),
    "ones": (lambda: torch.ones(6, 4), layers.constant(1)),
    "full": (lambda: torch.full((6, 4), 0.3), layers.constant(0.3)),
    "like": (lambda: torch.full_like(torch.empty(6, 4), 2), layers.constant(2)),
    "scaled ones": (lambda: 1e-5 * torch.ones(6, 4), layers.constant(1e-5)),
    "randn": (lambda: torch.randn(6, 4), layers.normal(0, 1)),
    "scaled randn": (lambda: torch.randn(6, 4) * 0.5 + 1, layers.normal(1, 0.5)),
    "divided": (lambda: torch.randn(6, 4).div_(2), layers.normal(0, 0.5)),
    "negated": (lambda: -torch.rand(6, 4), layers.uniform(-1, 0)),
    "rand": (lambda: torch.rand(6, 4) * 2 - 1, layers.uniform(-1, 1)),
    "uniform_": (filled(lambda t: t.uniform_(-2, 3)), layers.uniform(-2, 3)),
    "data": (filled(lambda t: t.data.normal_(0.5, 0.25)), layers.normal(0.5, 0.25)),
    "flat view": (filled(lambda t: t.view(-1).normal_()), layers.normal(0, 1)),
    "copy": (filled(lambda t: t.copy_(torch.ones(6, 4))), layers.constant(1)),
    "clone": (lambda: torch.randn(6, 4).clone(), layers.normal(0, 1)),
    "the last counts": (
        filled(lambda t: t.normal_().zero_().uniform_()),
        layers.uniform(0, 1),
    ),
    "a zeroed row": (
        filled(lambda t: (t.normal_(0, 0.02), t[2].zero_())),
        layers.normal(0, 0.02, zero_row=2),
    ),
    "xavier_normal_": (
        filled(nn.init.xavier_normal_),
        layers.normal(0, math.sqrt(2 / (6 + 4))),
    ),
    "trunc_normal_": (
        filled(lambda t: nn.init.trunc_normal_(t, std=0.02)),
        trunc_normal(0, 0.02, -2, 2),
    ),
    "trunc_normal_ with bounds": (
        filled(lambda t: nn.init.trunc_normal_(t, 0.1, 0.3, -0.5, 0.7)),
        trunc_normal(0.1, 0.3, -0.5, 0.7),
    ),
    "timm's trunc_normal_tf_": (
        filled(lambda t: nn.init.trunc_normal_(t).mul_(0.02).add_(1)),
        trunc_normal(1, 0.02, 0.96, 1.04),
    ),
    "eye_": (filled(nn.init.eye_), Initializer(eye=Initializer.Eye())),
}


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("name", SEEN)
def test_what_a_constructor_draws_is_known(name, device):
    make, expected = SEEN[name]
    assert made_by(make, device=device) == expected


UNSEEN = {
    "an orthogonal matrix": filled(nn.init.orthogonal_),
    "a distribution of no name": lambda: torch.randn(6, 4) ** 2,
    "a sum of two": lambda: torch.randn(6, 4) + torch.randn(6, 4),
    "a part that is another": filled(lambda t: (t.normal_(), t[1:3].fill_(1))),
    "two zeroed rows": filled(lambda t: (t.normal_(), t[1:3].zero_())),
    "a zeroed column": filled(lambda t: (t.normal_(), t[:, 1].zero_())),
    "repeated rows": lambda: torch.randn(1, 4).repeat(6, 1),
    "a clamped normal": lambda: torch.randn(6, 4).clamp_(-1, 1),
    "a clamp that is not trunc_normal_'s": filled(
        lambda t: t.uniform_(-0.5, 0.5).erfinv_().mul_(2).clamp_(-9, 9)
    ),
    "half of trunc_normal_": filled(lambda t: t.uniform_(-0.5, 0.5).erfinv_()),
    "rounded": lambda: torch.div(torch.randn(6, 4), 0.1, rounding_mode="floor"),
    "numbers": lambda: torch.linspace(0, 1, 24).reshape(6, 4),
    "given": lambda: torch.tensor([[1.0, 2.0]]),
    "an average": lambda: torch.randn(6, 4).lerp(torch.zeros(6, 4), 0.5),
}


@pytest.mark.parametrize("name", UNSEEN)
def test_what_is_no_known_sequence_is_stored(name):
    assert made_by(UNSEEN[name]) == STORED


def test_a_part_of_a_larger_memory_is_stored():
    def make():
        return torch.randn(12, 4)[:6]

    assert made_by(make) == STORED


def test_another_dtype_is_the_same_distribution():
    made = made_by(lambda: torch.randn(6, 4) * 0.02, dtype=torch.bfloat16)
    assert made == layers.normal(0, 0.02)


def test_memory_that_was_used_before_is_not_mistaken():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            for index in range(50):
                torch.randn(64, 64)  # its memory is free again
                setattr(self, f"own{index}", nn.Parameter(torch.arange(4096.0)))

    entries = warmstart.architecture_of("Model", Model).entries
    assert all(entry.initializer == STORED for entry in entries)


def test_layers_are_described_in_their_words():
    entries = warmstart.architecture_of("Linear", lambda: nn.Linear(3, 2)).entries
    found = [entry.initializer.WhichOneof("kind") for entry in entries]
    assert found == ["kaiming_uniform", "fan_in_uniform"]


def test_what_a_constructor_does_to_layers_is_seen():
    def make():
        model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
        nn.init.normal_(model[0].weight, std=0.02)
        nn.init.zeros_(model[0].bias)
        nn.init.zeros_(model[1].weight)
        return model

    entries = warmstart.architecture_of("Model", make).entries
    assert [entry.initializer for entry in entries] == [
        layers.normal(0, 0.02),
        *[layers.constant(0)] * 3,
    ]


def test_stored_values_of_a_factory_are_the_same_each_time():
    def make():
        model = nn.Module()
        model.own = nn.Parameter(torch.randn(5) ** 2)
        return model

    first, second = (schema.describe("Model", make).stored["own"] for _ in range(2))
    assert torch.equal(first, second)


# The table of layers against what their constructors do.
LAYERS = {
    "Linear": lambda: nn.Linear(3, 5),
    "Bilinear": lambda: nn.Bilinear(3, 4, 5),
    "Conv1d": lambda: nn.Conv1d(4, 6, 3, groups=2),
    "Conv2d": lambda: nn.Conv2d(3, 5, (2, 3)),
    "Conv3d": lambda: nn.Conv3d(3, 5, 2, bias=False),
    "ConvTranspose2d": lambda: nn.ConvTranspose2d(4, 6, 3, groups=2),
    "Embedding": lambda: nn.Embedding(7, 3),
    "Embedding with padding": lambda: nn.Embedding(7, 3, padding_idx=-2),
    "EmbeddingBag": lambda: nn.EmbeddingBag(7, 3, padding_idx=1),
    "BatchNorm": lambda: nn.BatchNorm2d(3),
    "InstanceNorm": lambda: nn.InstanceNorm1d(3, affine=True, track_running_stats=True),
    "LayerNorm": lambda: nn.LayerNorm(4),
    "GroupNorm": lambda: nn.GroupNorm(2, 4),
    "RMSNorm": lambda: nn.RMSNorm(4),
    "PReLU": lambda: nn.PReLU(3, init=0.1),
    "RNN": lambda: nn.RNN(3, 4, num_layers=2),
    "LSTM": lambda: nn.LSTM(3, 4, bidirectional=True, proj_size=2),
    "GRU": lambda: nn.GRU(3, 4),
    "LSTMCell": lambda: nn.LSTMCell(3, 4),
    "MultiheadAttention": lambda: nn.MultiheadAttention(4, 2, add_bias_kv=True),
    "MultiheadAttention of sizes": lambda: nn.MultiheadAttention(4, 2, kdim=3, vdim=5),
    "MultiheadAttention, no bias": lambda: nn.MultiheadAttention(4, 2, bias=False),
    "TransformerEncoderLayer": lambda: nn.TransformerEncoderLayer(4, 2, 8),
    "TransformerDecoderLayer": lambda: nn.TransformerDecoderLayer(4, 2, 8),
    "Transformer": lambda: nn.Transformer(4, 2, 1, 1, 8),
    "AdaptiveLogSoftmax": lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 10, [4]),
    "half precision": lambda: nn.Linear(3, 5, dtype=torch.float16),
}


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("name", LAYERS)
def test_a_layers_default_is_what_its_constructor_does(name):
    make = LAYERS[name]
    by_table = warmstart.architecture_of("Model", make())
    by_recording = warmstart.architecture_of("Model", make)
    assert by_table == by_recording
    for entry in by_table.entries:
        kind = entry.initializer.WhichOneof("kind")
        assert kind != "stored"
        if len(entry.shape) > 1:
            assert kind not in ("zeros", "ones"), entry.key


class OwnReset(nn.Linear):
    """A layer with an initialization of its own."""

    def reset_parameters(self):
        nn.init.zeros_(self.weight)
        nn.init.constant_(self.bias, 0.5)


class OwnForward(nn.Linear):
    """A layer that only computes otherwise."""

    def forward(self, x):
        return 2 * super().forward(x)


def test_a_subclass_is_known_unless_it_initializes_itself():
    entries = warmstart.architecture_of("Own", OwnReset(2, 2)).entries
    assert [e.initializer for e in entries] == [
        layers.constant(0),
        layers.constant(0.5),
    ]
    entries = warmstart.architecture_of("Own", OwnForward(2, 2)).entries
    assert entries[0].initializer.WhichOneof("kind") == "kaiming_uniform"


def test_parametrized_weights_are_stored():
    model = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    entries = warmstart.architecture_of("Model", model).entries
    found = {e.key: e.initializer.WhichOneof("kind") for e in entries}
    assert found["parametrizations.weight.original1"] == "stored"
    assert found["bias"] == "fan_in_uniform"
