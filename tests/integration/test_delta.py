"""Saves by manifest: equal to those of files, and as small as what changed."""

from __future__ import annotations

import copy
import hashlib
from collections import OrderedDict

import grpc
import pytest
import torch
import warmstart
from harness.tensors import assert_same_state
from torch import nn
from warmstart import delta, errors
from warmstart.v1 import (
    checkpoints_pb2,
    checkpoints_pb2_grpc,
    model_initializer_pb2,
    model_initializer_pb2_grpc,
    uploads_pb2,
    uploads_pb2_grpc,
)

REQUEST = model_initializer_pb2.SaveModelRequest


def full_manifest(server, handle: str) -> checkpoints_pb2.Manifest:
    with server.channel() as channel:
        return checkpoints_pb2_grpc.CheckpointsStub(channel).GetManifest(
            checkpoints_pb2.GetManifestRequest(name=handle, view="CHECKPOINT_VIEW_FULL")
        )


def download(client, handle: str, path) -> bytes:
    client.download(handle, path)
    return path.read_bytes()


# What a manifest says, and what a file would.


def tied() -> dict:
    weight = torch.randn(6, 4)
    return {"embed": weight, "bias": torch.randn(3), "head": weight}


def views() -> dict:
    flat = torch.arange(24.0)
    grid = flat.view(4, 6)
    return {
        "part": flat[4:9],
        "columns": grid[:, 1:3],
        "transposed": grid.t(),
        "expanded": flat[:3].expand(5, 3),
        "again": flat[4:9],
        "alone": torch.randn(8)[2:5],
        "turned": torch.randn(3, 5).t(),
    }


def dtypes() -> dict:
    state = {
        name: (torch.arange(6).reshape(2, 3) % 2).to(getattr(torch, name))
        for name in sorted(delta._DTYPES)
        if name != "float8_e8m0fnu"
    }
    state["float8_e8m0fnu"] = torch.ones(2, 3).to(torch.float8_e8m0fnu)
    return state


def odd_shapes() -> dict:
    shared = torch.empty(0, 3)
    return {
        "scalar": torch.tensor(2.5),
        "empty": torch.empty(0),
        "shared empty": shared,
        "shared empty again": shared,
        "truth": torch.tensor(True),
        "long": torch.zeros((1,) * 9),
    }


def module() -> OrderedDict:
    made = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.LSTM(4, 2))
    return made.state_dict()


def training() -> dict:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    net(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    return {
        "model": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": 3,
        "history": [1.5, None, "x", True, 1e-7, 1e22, float("nan"), -float("inf")],
        "mixed": [1, torch.ones(2), {"deep": torch.zeros(1)}, {}, []],
        "large": [2**53, 2**53 + 1, -(2**80)],
        "nothing": {},
        "ключ": "значение",
    }


STATES = {
    make.__name__: make for make in (tied, views, dtypes, odd_shapes, module, training)
}


@pytest.mark.filterwarnings("ignore:ComplexHalf")
@pytest.mark.parametrize("make", STATES.values(), ids=STATES)
def test_a_manifest_makes_the_checkpoint_that_a_file_makes(server, tmp_path, make):
    state = make()
    torch.save(state, tmp_path / "state.pt")
    with server.client() as client:
        by_manifest = client.save(state).checkpoint
        by_file = client.save(tmp_path / "state.pt").checkpoint
        assert by_manifest.origin.upload.HasField("delta")
        assert not by_file.origin.upload.HasField("delta")
        ours, theirs = (full_manifest(server, c.name) for c in (by_manifest, by_file))
        assert ours == theirs
        assert download(client, by_manifest.name, tmp_path / "ours.pt") == download(
            client, by_file.name, tmp_path / "theirs.pt"
        )
        assert by_manifest.size_bytes == by_file.size_bytes
    assert server.staged() == []


@pytest.mark.filterwarnings("ignore:ComplexHalf")
@pytest.mark.parametrize("make", STATES.values(), ids=STATES)
def test_it_is_the_same_where_the_file_came_first(server, tmp_path, make):
    state = make()
    torch.save(state, tmp_path / "state.pt")
    with server.client() as client:
        by_file = client.save(tmp_path / "state.pt").checkpoint
        by_manifest = client.save(state).checkpoint
        sent = by_manifest.origin.upload.delta
        assert (sent.tensor_count, sent.size_bytes) == (0, 0)
        assert full_manifest(server, by_manifest.name) == full_manifest(
            server, by_file.name
        )


class Odd:
    """What only a file can express."""


@pytest.mark.parametrize(
    "state",
    [
        {"w": torch.ones(2), "odd": Odd()},
        {"w": torch.ones(2), "sparse": torch.eye(3).to_sparse()},
        {"w": torch.ones(2), 1: torch.zeros(1), "1": 5},
        OrderedDict(w=torch.ones(2), tags={"a", "b"}),
    ],
)
def test_what_a_manifest_cannot_say_goes_as_a_file(client, state):
    saved = client.save(state).checkpoint
    assert saved.origin.upload.files == ["state_dict.pt"]
    assert torch.equal(client.state_dict(saved.name)["w"], torch.ones(2))


# What goes over the wire, and what is kept.


def gpt(layers: int = 4, width: int = 64, vocabulary: int = 500) -> nn.ModuleDict:
    """The shape of GPT-2: embeddings, blocks, and a head tied to the embedding."""
    block = nn.TransformerEncoderLayer(width, 4, 4 * width, batch_first=True)
    net = nn.ModuleDict(
        {
            "wte": nn.Embedding(vocabulary, width),
            "wpe": nn.Embedding(128, width),
            "h": nn.ModuleList(copy.deepcopy(block) for _ in range(layers)),
            "ln_f": nn.LayerNorm(width),
            "lm_head": nn.Linear(width, vocabulary, bias=False),
        }
    )
    for index, layer in enumerate(net["h"]):
        for position, parameter in enumerate(layer.parameters()):
            nn.init.constant_(parameter, 1 + index + 10 * position)
    net["lm_head"].weight = net["wte"].weight
    return net


@pytest.fixture
def sent_bytes(monkeypatch):
    """The sizes of the messages of each SaveModel, as they go over the wire."""
    streams: list[int] = []
    original = delta.upload_stream

    def counted(*arguments):
        streams.append(0)
        for message in original(*arguments):
            streams[-1] += message.ByteSize()
            yield message

    monkeypatch.setattr(delta, "upload_stream", counted)
    return streams


def test_a_fine_tuned_model_sends_the_layer_that_changed(server, sent_bytes):
    net = gpt()
    with server.client() as client:
        whole = client.save(net).checkpoint
        assert whole.origin.upload.delta.size_bytes >= whole.size_bytes
        before = server.packs()
        with torch.no_grad():
            for parameter in net["h"][2].parameters():
                parameter.add_(torch.randn(parameter.shape))
        changed = sum(p.numel() * p.element_size() for p in net["h"][2].parameters())
        tuned = client.save(net, alias="tuned").checkpoint
        sent = tuned.origin.upload.delta
        assert sent.tensor_count == len(list(net["h"][2].parameters()))
        assert sent.size_bytes == changed
        assert sent_bytes[1] < changed + 20_000
        assert sent_bytes[1] < sent_bytes[0] / 2
        new = sum(server.packs().values()) - sum(before.values())
        assert changed <= new < changed + 10_000
        assert_same_state(client.state_dict("aliases/tuned"), net.state_dict())


def test_what_did_not_change_sends_no_file(server, sent_bytes):
    net = gpt()
    with server.client() as client:
        client.save(net)
        stored = server.packs()
        again = client.save(net).checkpoint
        assert again.origin.upload.files == []
        assert server.packs() == stored
    assert sent_bytes[1] < 15_000


def test_tensors_that_vanish_are_sent_after_all(server, monkeypatch):
    state = {"w": torch.randn(1000, 100)}
    with server.client() as client:
        first = client.save(state).checkpoint
        ask, asked = delta.missing, []

        def missing(*arguments):
            found = ask(*arguments)
            asked.append(len(found))
            if len(asked) == 1:
                client.delete(first.name)
            return found

        monkeypatch.setattr(delta, "missing", missing)
        second = client.save(state).checkpoint
        assert asked == [0, 1]
        assert_same_state(client.state_dict(second.name), state)


def test_a_retry_gets_the_checkpoint_of_the_first(server):
    with server.client() as client:
        first = client.save(tied(), request_id="once")
        assert client.save(tied(), request_id="once") == first


def test_an_architecture_is_matched(client):
    saved = client.save({"fc3.bias": torch.ones(10)}, architecture="NetA")
    assert saved.checkpoint.origin.upload.HasField("delta")
    assert "fc3.bias" not in saved.report.missing_keys
    assert "fc3.weight" in saved.report.missing_keys


def test_which_tensors_are_missing_is_told(server):
    with server.client() as client, server.channel() as channel:
        client.save({"w": torch.ones(3)})
        stub = uploads_pb2_grpc.UploadsStub(channel)
        known = delta.describe({"w": torch.ones(3)}).manifest.entries[0].digest
        absent = ["1" * 64, "0" * 64]
        answer = stub.FindMissingTensors(
            uploads_pb2.FindMissingTensorsRequest(
                digests=[absent[0], known, absent[1], absent[0]]
            )
        )
        assert list(answer.missing) == absent


# Manifests that make no sense.


def entry(key="w", **fields) -> dict:
    zeros = hashlib.sha256(bytes(16)).hexdigest()
    return {"key": key, "dtype": "float32", "shape": [4], "digest": zeros} | fields


STORAGE = {"digest": entry()["digest"], "size_bytes": 16}
VIEW = {"shared_storage": 1, "strides": [1]}
MANIFESTS = {
    "nothing": {},
    "no key": {"entries": [entry("")]},
    "a path that leads out": {"entries": [entry("../x")]},
    "a key twice": {"entries": [entry(), entry()]},
    "no such dtype": {"entries": [entry(dtype="float33")]},
    "a negative size": {"entries": [entry(shape=[-4])]},
    "a shape that overflows": {"entries": [entry(shape=[2**40, 2**40])]},
    "no digest": {"entries": [entry(digest="12")]},
    "another size than the blob": {"entries": [entry(shape=[5])]},
    "a storage that is not there": {"entries": [entry(**VIEW)]},
    "a negative storage": {"entries": [entry(shared_storage=-1)]},
    "a storage of another size": {
        "entries": [entry(**VIEW)],
        "storages": [STORAGE | {"size_bytes": 32}],
    },
    "a storage of nobody": {"entries": [entry()], "storages": [STORAGE]},
    "a view that reaches out": {
        "entries": [entry(**VIEW, storage_offset=1)],
        "storages": [STORAGE],
    },
    "a view before the storage": {
        "entries": [entry(**VIEW, storage_offset=-1)],
        "storages": [STORAGE],
    },
    "negative strides": {
        "entries": [entry(**VIEW | {"strides": [-1]})],
        "storages": [STORAGE],
    },
    "too few strides": {
        "entries": [entry(**VIEW | {"strides": []})],
        "storages": [STORAGE],
    },
    "a view that expands without end": {
        "entries": [entry(**VIEW | {"strides": [0], "shape": [2**40]})],
        "storages": [STORAGE],
    },
    "a view of other values": {
        "entries": [entry(shape=[2], **VIEW)],
        "storages": [STORAGE],
    },
    "a whole view of other values": {
        "entries": [entry(digest="0" * 64, **VIEW)],
        "storages": [STORAGE],
    },
    "a subtree without tensors": {"entries": [entry()], "subtrees": ["model"]},
    "a module twice": {
        "entries": [entry()],
        "module_versions": [{"path": "a"}, {"path": "a", "version": 2}],
    },
    "metadata that is no JSON": {"entries": [entry()], "metadata_json": "{"},
    "metadata that is no object": {"entries": [entry()], "metadata_json": "[1]"},
    "metadata without end": {
        "entries": [entry()],
        "metadata_json": '{"a":' * 300 + "1" + "}" * 300,
    },
}


def send(server, *messages):
    with server.channel() as channel:
        stub = model_initializer_pb2_grpc.ModelInitializerStub(channel)
        try:
            return stub.SaveModel(iter([REQUEST(header={}), *messages]))
        except grpc.RpcError as error:
            raise errors.from_rpc_error(error) from error


@pytest.mark.parametrize("manifest", MANIFESTS.values(), ids=MANIFESTS)
def test_a_manifest_that_makes_no_sense_is_refused(server, manifest):
    with server.client() as client:
        client.save({"w": torch.zeros(4)})
        before = server.stored()
        with pytest.raises(warmstart.WarmstartError, match="manifest") as caught:
            send(server, REQUEST(manifest=manifest))
        assert caught.value.code == grpc.StatusCode.INVALID_ARGUMENT
        assert server.stored() == before
        # The same with nothing wrong is taken.
        send(server, REQUEST(manifest={"entries": [entry()]}))


def test_what_was_not_sent_is_named(server):
    with pytest.raises(warmstart.WarmstartError, match="'w'") as caught:
        send(server, REQUEST(manifest={"entries": [entry(), entry("v")]}))
    assert caught.value.code == grpc.StatusCode.FAILED_PRECONDITION
    assert caught.value.reason == "TENSORS_MISSING"
    assert caught.value.metadata["count"] == "1"
    assert caught.value.metadata["key"] == "w"
    assert caught.value.metadata["digest"] == entry()["digest"]
    assert server.stored() == ([], [], {}, [])


def test_a_manifest_comes_before_the_files(server):
    with pytest.raises(warmstart.WarmstartError, match="before") as caught:
        send(
            server,
            REQUEST(file={"name": "a"}),
            REQUEST(manifest={"entries": [entry()]}),
        )
    assert caught.value.code == grpc.StatusCode.INVALID_ARGUMENT


def test_any_format_brings_the_bytes(server, tmp_path):
    torch.save({"other": torch.zeros(4)}, tmp_path / "any.pt")
    saved = send(
        server,
        REQUEST(manifest={"entries": [entry()]}),
        REQUEST(file={"name": "any.pt"}),
        REQUEST(chunk=(tmp_path / "any.pt").read_bytes()),
    )
    with server.client() as client:
        assert_same_state(
            client.state_dict(saved.checkpoint.name), {"w": torch.zeros(4)}
        )
