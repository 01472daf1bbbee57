"""What can be saved, and that a save is whole or not at all."""

from __future__ import annotations

import json
import uuid

import grpc
import pytest
import safetensors.torch
import torch
import warmstart
from harness.nets import NetA
from harness.tensors import assert_same_state
from warmstart.v1 import model_initializer_pb2, model_initializer_pb2_grpc


def state(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "b.weight": torch.randn(4, 3, generator=generator),
        "a.bias": torch.randn(5, generator=generator),
    }


def save(path, tensors, writer: str):
    if writer == "zip":
        torch.save(tensors, path)
    elif writer == "legacy":
        torch.save(tensors, path, _use_new_zipfile_serialization=False)
    else:
        safetensors.torch.save_file(tensors, path)
    return path


@pytest.mark.parametrize(
    ("writer", "name"),
    [
        ("zip", "torch-zip"),
        ("legacy", "torch-legacy"),
        ("safetensors", "safetensors"),
    ],
)
def test_every_format_comes_back_as_it_was(client, tmp_path, writer, name):
    saved = client.save(save(tmp_path / "any.name", state(), writer)).checkpoint
    assert saved.origin.upload.format == name
    assert saved.origin.upload.files == ["any.name"]
    assert saved.tensor_count == 2
    assert saved.size_bytes == (12 + 5) * 4
    result = client.state_dict(saved.name)
    assert_same_state(dict(sorted(result.items())), dict(sorted(state().items())))


@pytest.mark.parametrize("writer", ["zip", "safetensors"])
def test_a_sharded_set_is_one_checkpoint(client, tmp_path, writer):
    suffix = "safetensors" if writer == "safetensors" else "bin"
    weight_map, paths = {}, []
    for i, (key, tensor) in enumerate(state().items()):
        path = tmp_path / f"model-{i}.{suffix}"
        paths.append(save(path, {key: tensor}, writer))
        weight_map[key] = path.name
    index = tmp_path / f"model.{suffix}.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    saved = client.save([index, *paths]).checkpoint
    result = client.state_dict(saved.name)
    assert_same_state(dict(sorted(result.items())), dict(sorted(state().items())))


def test_a_missing_shard_is_refused_by_name(server, own_client, tmp_path):
    index = tmp_path / "model.bin.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "1.bin", "b": "gone.bin"}}))
    path = save(tmp_path / "1.bin", {"a": torch.ones(2)}, "zip")
    with pytest.raises(warmstart.WarmstartError, match=r"gone\.bin") as caught:
        own_client.save([index, path])
    assert caught.value.code == grpc.StatusCode.INVALID_ARGUMENT
    assert server.stored() == ([], [], {}, [])


def test_a_nested_file_keeps_its_paths_and_values(client, tmp_path):
    torch.save(
        {
            "model": {"w": torch.ones(2)},
            "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}, "lr": 0.5},
            "epoch": 3,
            "history": [1.5, None, "x", True],
        },
        tmp_path / "nested.ckpt",
    )
    saved = client.save(tmp_path / "nested.ckpt").checkpoint
    keys = [entry.key for entry in client.manifest(saved.name)]
    assert keys == ["model.w", "optimizer.state.0.exp_avg"]
    metadata = client.get(saved.name, full=True).metadata
    assert metadata["epoch"] == 3
    assert metadata["optimizer"]["lr"] == 0.5
    assert list(metadata["history"]) == [1.5, None, "x", True]


def test_an_architecture_is_matched_and_the_file_stored_as_it_is(client):
    saved = client.save({"fc3.bias": torch.ones(10)}, architecture="NetA")
    assert saved.checkpoint.architecture == "architectures/NetA"
    assert saved.report.unexpected_keys == []
    assert len(saved.report.missing_keys) == len(NetA().state_dict()) - 1
    assert list(client.state_dict(saved.checkpoint.name)) == ["fc3.bias"]


def test_the_same_tensors_are_stored_once(server, own_client):
    large = {"w": torch.randn(1000, 100)}
    own_client.save(large)
    size = sum(server.packs().values())
    for _ in range(3):
        own_client.save(large)
    assert sum(server.packs().values()) < size + 4000
    with_more = large | {"b": torch.randn(10)}
    again = own_client.save(with_more).checkpoint
    assert sum(server.packs().values()) < size + 8000
    assert_same_state(own_client.state_dict(again.name), with_more)


# Requests that are sent again.


def test_a_retry_gets_the_checkpoint_of_the_first(server, own_client):
    request_id = str(uuid.uuid4())
    first = own_client.save(state(), request_id=request_id, alias="best")
    stored = server.stored()
    again = own_client.save(state(), request_id=request_id, alias="best")
    assert again == first
    assert server.stored() == stored


def test_a_retry_need_not_send_the_file_again(server, own_client):
    first = own_client.save(state(), request_id="once")
    with server.channel() as channel:
        stub = model_initializer_pb2_grpc.ModelInitializerStub(channel)
        header = model_initializer_pb2.SaveModelRequest(header={"request_id": "once"})
        assert stub.SaveModel(iter([header])) == first


def test_a_fresh_model_is_drawn_once_for_its_request(own_client):
    first = own_client.save_fresh("NetA", request_id="fresh")
    again = own_client.save_fresh("NetA", request_id="fresh")
    other = own_client.save_fresh("NetA", request_id="another")
    assert again == first
    assert other.checkpoint.name != first.checkpoint.name
    seeds = {r.checkpoint.origin.initialization.seed for r in (first, other)}
    assert len(seeds) == 2


def test_a_request_id_of_another_request_is_refused(server, own_client):
    own_client.save(state(), request_id="mine")
    before = server.stored()
    with pytest.raises(warmstart.WarmstartError) as caught:
        own_client.save(state(), labels={"other": "labels"}, request_id="mine")
    assert caught.value.code == grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.reason == "REQUEST_ID_REUSED"
    with pytest.raises(warmstart.WarmstartError):
        own_client.save_fresh("NetA", request_id="mine")
    assert server.stored() == before


def test_a_request_id_outlives_a_restart(server):
    with server.client() as client:
        first = client.save(state(), request_id="mine")
    server.stop()
    server.start()
    with server.client() as client:
        assert client.save(state(), request_id="mine") == first


# Streams that make no sense.

REQUEST = model_initializer_pb2.SaveModelRequest
HEADER = REQUEST(header={})
FILE = REQUEST(file={"name": "a.pt"})
STREAMS = {
    "nothing": [],
    "no header": [FILE, REQUEST(chunk=b"x")],
    "two headers": [HEADER, HEADER],
    "header in the middle": [HEADER, FILE, REQUEST(chunk=b"x"), HEADER],
    "bytes of no file": [HEADER, REQUEST(chunk=b"x")],
    "an empty message": [HEADER, REQUEST()],
    "an empty file": [HEADER, FILE],
    "no file and no architecture": [HEADER],
    "a seed and a file": [REQUEST(header={"seed": 1}), FILE, REQUEST(chunk=b"x")],
    "fewer bytes than said": [
        HEADER,
        REQUEST(file={"name": "a.pt", "size": 5}),
        REQUEST(chunk=b"x"),
    ],
    "more bytes than said": [
        HEADER,
        REQUEST(file={"name": "a.pt", "size": 1}),
        REQUEST(chunk=b"xy"),
    ],
    "a negative size": [HEADER, REQUEST(file={"name": "a.pt", "size": -1})],
    "a bad alias": [REQUEST(header={"architecture": "NetA", "alias": "../up"})],
    "a bad label": [REQUEST(header={"architecture": "NetA", "labels": {"a b": ""}})],
    "a bad request id": [
        REQUEST(header={"architecture": "NetA", "request_id": "x" * 129})
    ],
    "a bad device": [REQUEST(header={"architecture": "NetA", "device": "tpu"})],
}


@pytest.mark.parametrize("messages", STREAMS.values(), ids=STREAMS)
def test_a_stream_that_makes_no_sense_is_refused(client, shared_server, messages):
    before = shared_server.stored()
    with shared_server.channel() as channel:
        stub = model_initializer_pb2_grpc.ModelInitializerStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.SaveModel(iter(messages))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details()
    assert shared_server.stored() == before


def test_a_fresh_model_of_no_architecture_is_not_found(client):
    with pytest.raises(warmstart.WarmstartError) as caught:
        client.save_fresh("NoSuchNet")
    assert caught.value.code == grpc.StatusCode.NOT_FOUND
    assert caught.value.reason == "ARCHITECTURE_NOT_FOUND"
