"""Models that are registered from Python, and what a server makes of them."""

from __future__ import annotations

import hashlib
import json
import re

import grpc
import pytest
import torch
import warmstart
from harness.server import REPOSITORY
from harness.tensors import assert_same_state, assert_same_tensor
from torch import nn

SEED = 2**40 + 3


class WithTable(nn.Module):
    """A layer, a table that only its values can make, and a tied parameter."""

    def __init__(self, table=None):
        super().__init__()
        self.embed = nn.Embedding(6, 4, padding_idx=1)
        self.head = nn.Linear(4, 6)
        self.head.weight = self.embed.weight
        self.register_buffer("table", torch.arange(12.0) if table is None else table)


LAYERS = {
    "linear": lambda: [nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2, bias=False)],
    "conv": lambda: [
        nn.Conv2d(3, 4, 3, padding="same"),
        nn.BatchNorm2d(4),
        nn.ConvTranspose2d(4, 2, (2, 3), stride=2),
        nn.PReLU(2),
        nn.AdaptiveAvgPool2d((1, None)),
        nn.Flatten(),
    ],
    "norms": lambda: [
        nn.LayerNorm(4),
        nn.GroupNorm(2, 4),
        nn.RMSNorm(4),
        nn.InstanceNorm1d(4, affine=True, track_running_stats=True),
    ],
    "embedding": lambda: [nn.Embedding(9, 4, padding_idx=2), nn.LSTM(4, 3, 2)],
    "recurrent": lambda: [nn.GRU(3, 4, bidirectional=True), nn.RNN(8, 4)],
    "attention": lambda: [
        nn.MultiheadAttention(4, 2, batch_first=True),
        nn.TransformerEncoderLayer(4, 2, 8, activation="gelu", norm_first=True),
    ],
    "attention of other sizes": lambda: [
        nn.MultiheadAttention(4, 2, kdim=3, vdim=5, add_bias_kv=True)
    ],
    "nested": lambda: [nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.2)), nn.Sigmoid()],
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_sequential_is_registered_as_the_module_that_it_is(client, name):
    def make():
        return nn.Sequential(*LAYERS[name]())

    resource = "Sequential-" + name.replace(" ", "-")
    registered = client.register(resource, make)
    described = warmstart.architecture_of(resource, make)
    assert registered.has_forward
    assert registered.module == described.module
    assert [entry.key for entry in registered.entries] == list(make().state_dict())

    # One stream for all, in the order of construction.
    fresh = client.save_fresh(resource, seed=SEED).checkpoint.name
    torch.manual_seed(SEED)
    assert_same_state(client.state_dict(fresh), make().state_dict())


def test_values_of_a_schema_have_a_stream_for_each_key(client):
    """By the formula in docs/architectures.md."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(7, 5)
            self.embed = nn.Embedding(6, 4, padding_idx=1)

    client.register("SchemaStreams", Net)
    fresh = client.save_fresh("SchemaStreams", seed=SEED).checkpoint.name
    got = client.state_dict(fresh)

    def generator(key: str) -> torch.Generator:
        text = SEED.to_bytes(8, "little") + key.encode()
        key_seed = int.from_bytes(hashlib.sha256(text).digest()[:8], "little")
        return torch.Generator().manual_seed(key_seed)

    weight = nn.init.kaiming_uniform_(
        torch.empty(5, 7), a=5**0.5, generator=generator("first.weight")
    )
    assert_same_tensor("first.weight", got["first.weight"], weight)
    weight = torch.empty(6, 4).normal_(generator=generator("embed.weight"))
    weight[1] = 0
    assert_same_tensor("embed.weight", got["embed.weight"], weight)


def test_stored_values_are_the_initialization(server, own_client):
    registered = own_client.register("Net", WithTable)
    assert registered.name == "architectures/Net/versions/1"
    assert list(own_client.state_dict(registered.initial_values)) == ["table"]

    fresh = own_client.save_fresh("Net", seed=1).checkpoint.name
    state = own_client.state_dict(fresh)
    assert_same_tensor("table", state["table"], torch.arange(12.0))
    assert state["head.weight"].data_ptr() == state["embed.weight"].data_ptr()
    assert not state["embed.weight"][1].any()

    source = own_client.save({"head.bias": torch.ones(6)}).checkpoint.name
    started = own_client.warm_start("Net", source, seed=2)
    state = own_client.state_dict(started.checkpoint.name)
    assert_same_tensor("table", state["table"], torch.arange(12.0))
    WithTable().load_state_dict(state)


def test_the_same_again_is_the_same_version_and_leaves_nothing(server, own_client):
    first = own_client.register("Net", WithTable)
    stored = server.stored()
    assert own_client.register("Net", WithTable) == first
    assert own_client.register("Net", WithTable()) == first
    assert server.stored() == stored


def test_other_values_are_another_version(server, own_client):
    first = own_client.register("Net", WithTable)
    second = own_client.register("Net", WithTable(torch.zeros(12).uniform_()))
    assert second.version == first.version + 1
    assert second.initial_values != first.initial_values


def test_initial_values_stay_while_an_architecture_needs_them(server, own_client):
    registered = own_client.register("Net", WithTable)
    with pytest.raises(warmstart.WarmstartError) as caught:
        own_client.delete(registered.initial_values)
    assert caught.value.code == grpc.StatusCode.FAILED_PRECONDITION
    own_client.delete_architecture("Net")
    own_client.delete(registered.initial_values)


def test_validating_leaves_nothing(server, own_client):
    before = server.stored()
    checked = own_client.register("Net", WithTable, validate_only=True)
    assert [entry.key for entry in checked.entries] == list(WithTable().state_dict())
    assert server.stored() == before
    names = [summary.name for summary in own_client.architectures()]
    assert names == ["architectures/NetA", "architectures/NetB"]


def test_what_a_server_refuses_leaves_nothing(server, own_client):
    before = server.stored()
    with pytest.raises(warmstart.WarmstartError) as caught:
        own_client.register("no name", WithTable)
    assert caught.value.code == grpc.StatusCode.INVALID_ARGUMENT
    assert server.stored() == before


def test_a_head_of_other_classes_is_the_next_version(server, own_client):
    def net(classes):
        return lambda: nn.ModuleDict(
            {"body": nn.Linear(3, 8), "head": nn.Linear(8, classes)}
        )

    old = own_client.register("Net", net(1000))
    saved = own_client.save(net(1000)().state_dict(), architecture=old.name)
    new = own_client.register("Net", net(10))
    assert (old.version, new.version) == (1, 2)
    started = own_client.warm_start(new.name, saved.checkpoint.name, exclude="head.*")
    assert list(started.report.missing_keys) == ["head.weight", "head.bias"]
    assert started.checkpoint.architecture == new.name
    state = own_client.state_dict(started.checkpoint.name)
    assert state["head.weight"].shape == (10, 8)


GUIDE = (REPOSITORY / "docs" / "architectures.md").read_text()


@pytest.mark.parametrize(
    "example",
    re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL),
    ids=["schema", "tree"],
)
def test_the_guides_json_can_be_registered(cli, own_client, tmp_path, example):
    file = tmp_path / "architecture.json"
    file.write_text(example)
    cli.done("architectures", "register", str(file))
    name = json.loads(example)["name"]
    registered = own_client.get_architecture(name)
    assert registered.version == 1
    own_client.save_fresh(name, seed=1)
