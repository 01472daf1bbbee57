"""Architectures of real model code: derived, registered, saved and warm-started.

What a server initializes is compared with what the model's own constructor makes:
the same numbers where nothing is random, else the same distribution.
"""

from __future__ import annotations

import math

import pytest
import torch
import warmstart
from harness.tensors import assert_same_state, assert_same_tensor
from torch import nn

from parity import real_models

# Their own use of deprecated functions.
pytestmark = pytest.mark.filterwarnings("ignore")

MATCHED = "<All keys matched successfully>"
LEAST_ARCHITECTURES = 40

# Tables of positions and the like; of a small Whisper, two fifths.
MOST_STORED = 0.5

# How many standard errors two samples of one distribution may be apart. With some
# 10000 comparisons of two tails, six are met once in 50000 runs; the seeds are fixed.
SIGMAS = 6


@pytest.mark.parametrize("name", real_models.ALL)
def test_a_real_architecture_is_as_good_as_a_built_in_one(client, name):
    make = real_models.ALL[name]
    torch.manual_seed(1)
    model = make()
    registered = client.register(name, make)
    state = model.state_dict()
    assert [entry.key for entry in registered.entries] == list(state)
    parameters = dict(model.named_parameters(remove_duplicate=False))
    for entry in registered.entries:
        assert entry.buffer == (entry.key not in parameters), entry.key
    assert stored_fraction(registered) <= MOST_STORED

    saved = client.save(state, architecture=name)
    assert saved.report.summary == MATCHED
    started = client.warm_start(name, saved.checkpoint.name, strict=True)
    assert started.report.summary == MATCHED
    got = client.state_dict(started.checkpoint.name)
    assert_same_state(got, state)
    assert got._metadata == {
        path: {"version": entry.get("version", 1)}
        for path, entry in state._metadata.items()
    }
    model.load_state_dict(got)

    fresh = client.save_fresh(name, seed=7).checkpoint.name
    assert_initialized_alike(registered, client.state_dict(fresh), state)


def stored_fraction(architecture) -> float:
    """How much of a model no initializer makes."""
    sizes = {entry.key: math.prod(entry.shape) for entry in architecture.entries}
    stored = sum(
        sizes[entry.key]
        for entry in architecture.entries
        if entry.initializer.WhichOneof("kind") == "stored"
    )
    return stored / sum(sizes.values())


def assert_initialized_alike(architecture, fresh, made) -> None:
    """A fresh model of the server beside one of Python."""
    assert list(fresh) == list(made)
    for entry in architecture.entries:
        key, kind = entry.key, entry.initializer.WhichOneof("kind")
        got, wanted = fresh[key], made[key]
        assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape), key
        # Stored fractions may be draws, too, of another seed than `made` has.
        is_table = kind == "stored" and not wanted.is_floating_point()
        if is_table or kind in ("zeros", "ones", "constant"):
            assert_same_tensor(key, got, wanted)
        else:
            assert_same_distribution(key, got.double(), wanted.double())


def assert_same_distribution(key: str, one: torch.Tensor, other: torch.Tensor) -> None:
    """Means and deviations are as far apart as chance has it."""
    count = one.numel()
    if count < 2:
        return
    one, other = without_extremes(one), without_extremes(other)
    deviation = math.sqrt((one.var() + other.var()).item() / 2)
    error = SIGMAS * deviation * math.sqrt(2 / count)
    assert abs((one.mean() - other.mean()).item()) <= error, f"{key}: means"
    # The deviation's own error is less than the mean's for the kurtosis that normal
    # and uniform values have.
    assert abs((one.std() - other.std()).item()) <= error, f"{key}: deviations"


def without_extremes(values: torch.Tensor) -> torch.Tensor:
    """Some of the least and the greatest left out.

    PyTorch's trunc_normal_ gives, once in a while, a value at its bound, which may be
    100 deviations away.
    """
    count = values.numel()
    dropped = count // 1000
    return values.flatten().sort().values[dropped : count - dropped]


def test_there_are_enough():
    assert len(real_models.ALL) >= LEAST_ARCHITECTURES


@pytest.mark.parametrize("name", ["torchvision_resnet", "transformers_llama"])
def test_a_registration_is_repeated_without_a_trace(server, name):
    make = real_models.ALL[name]
    with server.client() as client:
        first = client.register(name, make)
        stored = server.stored()
        assert client.register(name, make) == first
        assert server.stored() == stored


@pytest.mark.parametrize(
    "name", ["timm_vit_tiny_patch16_224", "transformers_bert", "transformers_gpt2"]
)
def test_the_meta_device_tells_the_same(name):
    make = real_models.ALL[name]
    on_cpu = warmstart.architecture_of(name, make)
    assert warmstart.architecture_of(name, make, device="meta") == on_cpu


# What a model's code says of its initialization, and what is seen of it.
STATED = {
    "torchvision_resnet": ("layer1.0.conv1.weight", "normal", "std", math.sqrt(2 / 64)),
    "torchvision_convnext": ("features.1.0.layer_scale", "constant", "value", 1e-6),
    "torchvision_vit": ("encoder.pos_embedding", "normal", "std", 0.02),
    "timm_vit_tiny_patch16_224": ("pos_embed", "trunc_normal", "std", 0.02),
    "timm_beit_base_patch16_224": (
        "blocks.1.mlp.fc2.weight",
        "trunc_normal",
        "std",
        0.02 / math.sqrt(2 * 2),
    ),
    "transformers_bert": ("pooler.dense.weight", "normal", "std", 0.02),
    "transformers_gpt2": (
        "transformer.h.1.mlp.c_proj.weight",
        "normal",
        "std",
        0.02 / math.sqrt(2 * 2),
    ),
    "transformers_llama": ("model.layers.0.mlp.up_proj.weight", "normal", "std", 0.02),
    "transformers_whisper": (
        "model.decoder.layers.0.fc1.weight",
        "normal",
        "std",
        0.02,
    ),
}


@pytest.mark.parametrize("name", STATED)
def test_an_initializer_is_what_the_models_code_says(name):
    key, kind, parameter, value = STATED[name]
    architecture = warmstart.architecture_of(name, real_models.ALL[name])
    [entry] = [entry for entry in architecture.entries if entry.key == key]
    assert entry.initializer.WhichOneof("kind") == kind
    stated = getattr(getattr(entry.initializer, kind), parameter)
    assert stated == pytest.approx(value, rel=1e-6)


def test_a_module_instance_is_initialized_as_its_layers_are(client):
    """Of an instance, nobody saw what its constructor did."""
    model = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64))
    nn.init.zeros_(model[0].weight)
    registered = client.register("parity_instance", model)
    kinds = [entry.initializer.WhichOneof("kind") for entry in registered.entries]
    assert kinds[:2] == ["kaiming_uniform", "fan_in_uniform"]
