"""Which models are declared as modules, and how."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
import warmstart
from google.protobuf import json_format
from torch import nn


def declared(model) -> dict | None:
    """The declaration, as JSON."""
    architecture = warmstart.architecture_of("Net", model)
    if not architecture.HasField("module"):
        return None
    return json_format.MessageToDict(architecture.module)


def layer(module: nn.Module) -> dict | None:
    """The declaration of the only layer of a Sequential."""
    tree = declared(nn.Sequential(module))
    return None if tree is None else tree["children"][0]


def test_a_sequential_is_declared_with_its_nested_children():
    model = nn.Sequential(
        OrderedDict(
            body=nn.Sequential(nn.Conv2d(3, 6, 5), nn.ReLU()),
            flat=nn.Flatten(),
            head=nn.Linear(6, 2, bias=False),
        )
    )
    assert declared(model) == {
        "type": "Sequential",
        "children": [
            {
                "type": "Sequential",
                "name": "body",
                "children": [
                    {
                        "type": "Conv2d",
                        "options": {
                            "in_channels": 3,
                            "out_channels": 6,
                            "kernel_size": [5, 5],
                        },
                    },
                    {"type": "ReLU"},
                ],
            },
            {"type": "Flatten", "name": "flat"},
            {
                "type": "Linear",
                "name": "head",
                "options": {"in_features": 6, "out_features": 2, "bias": False},
            },
        ],
    }


def test_a_factory_is_declared_like_its_module():
    def make():
        return nn.Sequential(nn.Linear(3, 2), nn.MultiheadAttention(4, 2))

    assert declared(make) == declared(make()) is not None


LAYERS = [
    nn.Linear(3, 2),
    nn.Conv1d(4, 4, 3, padding="same", groups=2, padding_mode="circular"),
    nn.ConvTranspose2d(3, 2, 3, stride=2, output_padding=1),
    nn.Embedding(5, 3, padding_idx=1),
    nn.LayerNorm((3, 4), eps=1e-6, bias=False),
    nn.LayerNorm(3, elementwise_affine=False),
    nn.GroupNorm(2, 4, affine=False),
    nn.BatchNorm1d(3, momentum=None),
    nn.InstanceNorm2d(3, affine=True, track_running_stats=True),
    nn.RMSNorm(4),
    nn.MultiheadAttention(4, 2, kdim=3, add_bias_kv=True, batch_first=True),
    nn.MultiheadAttention(4, 2, dropout=0.5, bias=False, add_zero_attn=True),
    nn.TransformerEncoderLayer(
        4, 2, 8, 0.2, activation="gelu", norm_first=True, bias=False
    ),
    nn.RNN(3, 4, nonlinearity="relu", bidirectional=True),
    nn.LSTM(3, 4, num_layers=2, proj_size=2, batch_first=True, dropout=0.1),
    nn.GRU(3, 4, bias=False),
    nn.GELU("tanh"),
    nn.Softmax(dim=1),
    nn.PReLU(3, init=0.1),
    nn.Threshold(0.1, 20),
    nn.Hardtanh(-2, 2),
    nn.MaxPool2d(3, stride=2, ceil_mode=True),
    nn.AvgPool2d((3, 2), count_include_pad=False),
    nn.AdaptiveAvgPool2d((1, None)),
    nn.Unflatten(1, (2, 3)),
    nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
    nn.Upsample(size=(4, 6)),
    nn.PixelShuffle(2),
    nn.Softshrink(0.3),
    nn.Dropout(0.3),
]


@pytest.mark.parametrize("module", LAYERS, ids=lambda module: type(module).__name__)
def test_a_declaration_makes_the_same_module_again(module):
    found = layer(module)
    assert found["type"] == type(module).__name__
    options = {name: _as_given(value) for name, value in found["options"].items()}
    again = getattr(nn, found["type"])(**options)
    assert repr(again) == repr(module)
    shapes = {key: tensor.shape for key, tensor in module.state_dict().items()}
    assert {k: t.shape for k, t in again.state_dict().items()} == shapes


def _as_given(value):
    """What JSON has as a list of fractions, as torch.nn takes it."""
    if isinstance(value, list):
        return tuple(map(_as_given, value))
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def test_defaults_are_left_out():
    assert layer(nn.LSTM(3, 4))["options"] == {"input_size": 3, "hidden_size": 4}
    assert layer(nn.PReLU()) == {"type": "PReLU"}


def test_another_dtype_is_an_option():
    module = nn.Linear(3, 2, dtype=torch.float64)
    assert layer(module)["options"]["dtype"] == "float64"


class OwnLinear(nn.Linear):
    """A layer that may compute anything."""


def hooked() -> nn.Module:
    module = nn.Linear(2, 2)
    module.register_forward_hook(lambda module, inputs, output: 2 * output)
    return module


def with_another_parameter() -> nn.Module:
    module = nn.Linear(2, 2)
    module.extra = nn.Parameter(torch.zeros(1))
    return module


def zeroed() -> nn.Module:
    module = nn.Linear(2, 2)
    nn.init.zeros_(module.weight)
    return module


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Linear(2, 2),
        lambda: nn.Sequential(OwnLinear(2, 2)),
        lambda: nn.Sequential(nn.CosineSimilarity()),
        lambda: nn.Sequential(hooked()),
        lambda: nn.Sequential(with_another_parameter()),
        lambda: nn.Sequential(zeroed()),
        lambda: nn.Sequential(*[nn.Linear(2, 2)] * 2),
        lambda: nn.ModuleList([nn.Linear(2, 2)]),
    ],
    ids=[
        "no Sequential",
        "a subclass",
        "no layer of the server",
        "a hook",
        "a parameter more",
        "another initialization",
        "a layer twice",
        "no forward",
    ],
)
def test_what_is_more_than_layers_is_not_declared(make):
    assert declared(make) is None


def test_other_initializers_than_the_layers_leave_only_the_schema():
    model = nn.Sequential(nn.Linear(2, 2))
    chosen = {"0.weight": "zeros"}
    architecture = warmstart.architecture_of("Net", model, initializers=chosen)
    assert not architecture.HasField("module")


@pytest.mark.parametrize(
    "kind",
    [
        nn.Identity,
        nn.Sigmoid,
        nn.Tanh,
        nn.Softsign,
        nn.Tanhshrink,
        nn.LogSigmoid,
        nn.ReLU,
        nn.Mish,
        nn.Flatten,
    ],
)
def test_a_layer_without_options_is_declared_by_its_type(kind):
    net = nn.Sequential(nn.Linear(2, 2), kind())
    module = warmstart.architecture_of("Net", net).module
    assert module.children[1].type == kind.__name__
    assert not module.children[1].options.fields


def test_a_tree_too_deep_is_not_declared():
    model = nn.Sequential(nn.ReLU())
    for _ in range(70):
        model = nn.Sequential(model)
    model = nn.Sequential(nn.Linear(1, 1), model)
    assert declared(model) is None
