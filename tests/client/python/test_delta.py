"""What the client makes of a state in memory, and what it sends of that."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict, defaultdict

import grpc
import pytest
import safetensors.torch
import torch
import warmstart
from client.python.fake_server import Failure
from google.rpc import error_details_pb2
from torch import nn
from warmstart import delta
from warmstart.v1 import checkpoints_pb2, model_initializer_pb2, uploads_pb2

SAVED = model_initializer_pb2.SaveModelResponse(
    checkpoint=checkpoints_pb2.Checkpoint(name="checkpoints/a")
)
GONE = Failure(
    grpc.StatusCode.FAILED_PRECONDITION,
    "gone",
    [error_details_pb2.ErrorInfo(reason="TENSORS_MISSING", domain="warmstart")],
)


def digest(tensor: torch.Tensor) -> str:
    flat = tensor.contiguous().reshape(-1).view(torch.uint8)
    return hashlib.sha256(flat.numpy().tobytes()).hexdigest()


def answer_missing(*tensors):
    return uploads_pb2.FindMissingTensorsResponse(missing=map(digest, tensors))


def sent_file(messages) -> dict[str, torch.Tensor]:
    data = b"".join(message.chunk for message in messages)
    [size] = [m.file.size for m in messages if m.HasField("file")]
    assert size == len(data)
    return safetensors.torch.load(data)


def sent_manifest(messages) -> checkpoints_pb2.Manifest:
    manifest = checkpoints_pb2.Manifest()
    for message in messages:
        if message.HasField("manifest"):
            manifest.MergeFrom(message.manifest)
    return manifest


# Sending.


def test_what_is_missing_is_sent(fake, fake_client):
    state = {"a": torch.arange(3.0), "b": torch.ones(2), "odd": torch.ones(3).char()}
    fake.answer("FindMissingTensors", answer_missing(state["odd"], state["b"]))
    fake.answer("SaveModel", SAVED)
    assert fake_client.save(state, labels={"x": "y"}) == SAVED
    [question] = fake.requests["FindMissingTensors"]
    assert list(question.digests) == [digest(tensor) for tensor in state.values()]
    [messages] = fake.requests["SaveModel"]
    assert dict(messages[0].header.labels) == {"x": "y"}
    kinds = [message.WhichOneof("payload") for message in messages]
    assert kinds == ["header", "manifest", "manifest", "file", *["chunk"] * 3]
    assert [e.key for e in sent_manifest(messages).entries] == ["a", "b", "odd"]
    brought = sent_file(messages)
    # The wider type first, so that it begins at a multiple of its size.
    header = json.loads(messages[4].chunk[8:])
    assert list(header) == [digest(state["b"]), digest(state["odd"])]
    assert len(messages[4].chunk) % 64 == 0
    for name, values in brought.items():
        assert digest(values) == name


def test_a_module_is_its_state_dict(fake, fake_client):
    net = nn.Linear(2, 3)
    fake.answer("FindMissingTensors", answer_missing())
    fake.answer("SaveModel", SAVED)
    fake_client.save(net)
    [messages] = fake.requests["SaveModel"]
    manifest = sent_manifest(messages)
    assert [entry.key for entry in manifest.entries] == ["weight", "bias"]
    assert [(m.path, m.version) for m in manifest.module_versions] == [("", 1)]
    assert messages[-1].WhichOneof("payload") == "manifest"


def test_a_storage_goes_once_and_whole(fake, fake_client):
    flat = torch.arange(12.0)
    state = {"a": flat[:4], "b": flat.view(3, 4).t(), "c": torch.ones(1)}
    fake.answer("FindMissingTensors", answer_missing(flat, state["c"]))
    fake.answer("SaveModel", SAVED)
    fake_client.save(state)
    [messages] = fake.requests["SaveModel"]
    assert set(sent_file(messages)) == {digest(flat), digest(state["c"])}
    manifest = sent_manifest(messages)
    assert [(s.digest, s.size_bytes) for s in manifest.storages] == [(digest(flat), 48)]
    assert [e.shared_storage for e in manifest.entries] == [1, 1, 0]
    assert list(manifest.entries[1].strides) == [1, 4]
    assert manifest.entries[1].digest == digest(state["b"])


def test_large_tensors_go_in_pieces(fake, fake_client):
    state = {"w": torch.randn(700, 1000)}
    fake.answer("FindMissingTensors", answer_missing(state["w"]))
    fake.answer("SaveModel", SAVED)
    fake_client.save(state)
    [messages] = fake.requests["SaveModel"]
    assert max(len(message.chunk) for message in messages) == 1 << 20
    [values] = sent_file(messages).values()
    assert values.numpy().tobytes() == state["w"].numpy().tobytes()


def test_an_old_server_gets_files_and_is_asked_once(fake, fake_client):
    unimplemented = Failure(grpc.StatusCode.UNIMPLEMENTED)
    fake.answer("FindMissingTensors", unimplemented)
    fake.answer("SaveModel", SAVED, SAVED)
    state = {"w": torch.ones(2)}
    assert fake_client.save(state) == SAVED
    assert fake_client.save(state) == SAVED
    assert len(fake.requests["FindMissingTensors"]) == 1
    for messages in fake.requests["SaveModel"]:
        assert messages[1].file.name == "state_dict.pt"


def test_what_vanished_is_asked_for_again(fake, fake_client):
    state = {"w": torch.ones(2)}
    fake.answer("FindMissingTensors", answer_missing(), answer_missing(state["w"]))
    fake.answer("SaveModel", GONE, SAVED)
    assert fake_client.save(state) == SAVED
    first, second = fake.requests["SaveModel"]
    assert not any(message.HasField("file") for message in first)
    assert list(sent_file(second)) == [digest(state["w"])]
    assert first[0].header.request_id == second[0].header.request_id


@pytest.mark.parametrize("failure", [GONE, Failure(grpc.StatusCode.ABORTED)])
def test_what_goes_on_vanishing_is_sent_unasked(fake, fake_client, failure):
    state = {"w": torch.ones(2), "b": torch.zeros(3)}
    fake.answer("FindMissingTensors", *[answer_missing()] * 5)
    fake.answer("SaveModel", failure, failure, SAVED)
    assert fake_client.save(state) == SAVED
    assert len(fake.requests["FindMissingTensors"]) == 2
    sent = sent_file(fake.requests["SaveModel"][-1])
    assert set(sent) == {digest(tensor) for tensor in state.values()}


def test_what_is_missing_where_all_was_sent_is_an_error(fake, fake_client):
    fake.answer("FindMissingTensors", *[answer_missing()] * 5)
    fake.answer("SaveModel", *[GONE] * 5)
    with pytest.raises(warmstart.WarmstartError) as caught:
        fake_client.save({"w": torch.ones(2)})
    assert caught.value.reason == "TENSORS_MISSING"
    assert len(fake.requests["SaveModel"]) == 3


@pytest.mark.parametrize("code", ["UNAVAILABLE", "ABORTED"])
def test_passing_failures_begin_with_the_question(fake, fake_client, code):
    fake.answer("FindMissingTensors", *[answer_missing()] * 2)
    fake.answer("SaveModel", Failure(grpc.StatusCode[code]), SAVED)
    assert fake_client.save({"w": torch.ones(2)}) == SAVED
    assert len(fake.requests["FindMissingTensors"]) == 2


# What can be said by a manifest.


class Tagged(torch.Tensor):
    """A subclass, whose objects a pickle tells from tensors."""


def with_attribute() -> torch.Tensor:
    tensor = torch.ones(1)
    tensor.origin = "somewhere"
    return tensor


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"epoch": 3},
        defaultdict(int, w=torch.ones(1)),
        {"w": torch.ones(1).as_subclass(Tagged)},
        {"w": with_attribute()},
        {"w": torch.eye(2).to_sparse()},
        {"w": torch.ones(1, device="meta")},
        {"w": torch.quantize_per_tensor(torch.ones(1), 1.0, 0, torch.qint8)},
        {"w": torch.ones(1, dtype=torch.complex64).conj()},
        {"w": torch.ones(1), "time": object()},
        {"w": torch.ones(1), "bytes": b"x"},
        {"w": torch.ones(1), "lone": "\ud800"},
        {"": torch.ones(1)},
        {1: torch.ones(1), "1": torch.ones(1)},
        {"a.b": torch.ones(1), "a": {"b": torch.ones(1)}},
        {0.5: torch.ones(1)},
    ],
    ids=lambda state: str(list(state)),
)
def test_the_rest_is_left_to_torch(state):
    assert delta.describe(state) is None


def test_one_memory_of_two_types_is_left_to_torch():
    memory = torch.zeros(4)
    assert delta.describe({"a": memory, "b": memory.view(torch.int32)}) is None


def test_a_value_that_encloses_itself_is_left_to_torch():
    state: dict = {"w": torch.ones(1)}
    state["self"] = state
    assert delta.describe(state) is None


def test_only_dicts_with_tensors_are_subtrees():
    state = {
        "model": OrderedDict(w=torch.ones(1)),
        "args": {"lr": 0.1},
        "list": [{"x": torch.ones(1)}],
    }
    model = delta.describe(state)
    assert list(model.manifest.subtrees) == ["model", "list.0"]
    assert model.manifest.metadata_json == '{"args": {"lr": 0.1}}'


def test_equal_tensors_are_one_blob():
    model = delta.describe({"a": torch.ones(3), "b": torch.ones(3)})
    assert list(model.blobs) == [digest(torch.ones(3))]
    assert [e.shared_storage for e in model.manifest.entries] == [0, 0]
