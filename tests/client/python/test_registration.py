"""Registering models whose initial values are saved first."""

from __future__ import annotations

import hashlib
import io

import grpc
import pytest
import torch
import warmstart
from client.python.fake_server import Failure
from google.protobuf import empty_pb2
from torch import nn
from warmstart.v1 import checkpoints_pb2, model_initializer_pb2
from warmstart.v1.architectures_pb2 import Architecture

SAVED = model_initializer_pb2.SaveModelResponse(checkpoint={"name": "checkpoints/v"})


class WithTable(nn.Module):
    """A layer, and a buffer that only its values can make."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.register_buffer("table", torch.arange(6).reshape(2, 3)[:, 1:])


@pytest.fixture
def saving(fake):
    """A server that has nothing yet, saves, and deletes."""
    fake.answer("ListCheckpoints", checkpoints_pb2.ListCheckpointsResponse())
    fake.answer("SaveModel", SAVED)
    fake.answer("DeleteCheckpoint", empty_pb2.Empty())
    return fake


def answered(**fields) -> Architecture:
    return Architecture(name="architectures/Net/versions/1", version=1, **fields)


def deleted(fake) -> list[str]:
    return [request.name for request in fake.requests.get("DeleteCheckpoint", [])]


def test_a_model_of_known_layers_is_only_registered(fake, fake_client):
    fake.answer("RegisterArchitecture", answered())
    assert fake_client.register("Net", lambda: nn.Linear(2, 2)) == answered()
    [request] = fake.requests["RegisterArchitecture"]
    assert request.architecture == warmstart.architecture_of("Net", nn.Linear(2, 2))
    assert not request.validate_only
    assert set(fake.requests) == {"RegisterArchitecture"}


def test_stored_values_are_saved_first_and_alone(saving, fake_client):
    saving.answer("RegisterArchitecture", answered(initial_values="checkpoints/v"))
    fake_client.register("Net", WithTable(), labels={"team": "vision"})
    [[header, _, *chunks]] = saving.requests["SaveModel"]
    assert dict(header.header.labels) == {
        "team": "vision",
        "warmstart.dev/initial-values": "Net",
    }
    assert header.header.architecture == ""
    data = b"".join(message.chunk for message in chunks)
    state = torch.load(io.BytesIO(data), weights_only=True)
    assert list(state) == ["table"]
    assert torch.equal(state["table"], torch.tensor([[1, 2], [4, 5]]))
    [request] = saving.requests["RegisterArchitecture"]
    assert request.architecture.initial_values == "checkpoints/v"
    stored = [
        e.key for e in request.architecture.entries if e.initializer.HasField("stored")
    ]
    assert stored == ["table"]
    assert deleted(saving) == []


def test_a_slice_is_saved_without_the_rest_of_its_memory(saving, fake_client):
    model = nn.Module()
    model.register_buffer("table", torch.rand(1 << 18)[:4])
    saving.answer("RegisterArchitecture", answered(initial_values="checkpoints/v"))
    fake_client.register("Net", model)
    [[_, file, *_]] = saving.requests["SaveModel"]
    assert file.file.size < 1 << 14


def saved_before(fake, *tables: torch.Tensor) -> None:
    """Checkpoints of this name's initial values that are there."""
    names = [f"checkpoints/{index}" for index in range(len(tables))]
    fake.answer(
        "ListCheckpoints",
        checkpoints_pb2.ListCheckpointsResponse(
            checkpoints=[{"name": name} for name in names]
        ),
    )
    manifests = []
    for table in tables:
        digest = hashlib.sha256(table.contiguous().numpy().tobytes()).hexdigest()
        dtype = str(table.dtype).removeprefix("torch.")
        entry = {"key": "table", "dtype": dtype, "shape": table.shape, "digest": digest}
        manifests.append(checkpoints_pb2.Manifest(entries=[entry]))
    fake.answer("GetManifest", *manifests)


def test_values_that_were_saved_before_are_not_saved_again(fake, fake_client):
    table = WithTable().table
    saved_before(fake, torch.zeros(2, 2), table.int(), table, table)
    same = answered(initial_values="checkpoints/2")
    fake.answer("RegisterArchitecture", same)
    assert fake_client.register("Net", WithTable()) == same
    [request] = fake.requests["RegisterArchitecture"]
    assert request.architecture.initial_values == "checkpoints/2"
    [listed] = fake.requests["ListCheckpoints"]
    assert dict(listed.labels) == {"warmstart.dev/initial-values": "Net"}
    assert "SaveModel" not in fake.requests
    assert deleted(fake) == []


def test_what_was_saved_before_stays_where_registration_fails(fake, fake_client):
    saved_before(fake, WithTable().table)
    refused = Failure(grpc.StatusCode.INVALID_ARGUMENT, "no such dtype")
    fake.answer("RegisterArchitecture", refused)
    with pytest.raises(warmstart.WarmstartError, match="no such dtype"):
        fake_client.register("Net", WithTable())
    assert deleted(fake) == []


def test_a_checkpoint_that_the_server_does_not_take_is_deleted(saving, fake_client):
    same = answered(initial_values="checkpoints/of-the-first-time")
    saving.answer("RegisterArchitecture", same)
    assert fake_client.register("Net", WithTable()) == same
    assert deleted(saving) == ["checkpoints/v"]


def test_a_failed_registration_leaves_no_checkpoint(saving, fake_client):
    refused = Failure(grpc.StatusCode.INVALID_ARGUMENT, "no such dtype")
    saving.answer("RegisterArchitecture", refused)
    with pytest.raises(warmstart.WarmstartError, match="no such dtype"):
        fake_client.register("Net", WithTable())
    assert deleted(saving) == ["checkpoints/v"]


def test_the_failure_is_told_even_if_the_checkpoint_cannot_be_deleted(
    saving, fake_client
):
    saving.answer(
        "RegisterArchitecture", Failure(grpc.StatusCode.INVALID_ARGUMENT, "no")
    )
    saving.answer("DeleteCheckpoint", Failure(grpc.StatusCode.INTERNAL, "disk"))
    with pytest.raises(warmstart.WarmstartError, match="INVALID_ARGUMENT: no"):
        fake_client.register("Net", WithTable())


def test_validating_leaves_no_checkpoint(saving, fake_client):
    saving.answer("RegisterArchitecture", answered(initial_values="checkpoints/v"))
    fake_client.register("Net", WithTable(), validate_only=True)
    [request] = saving.requests["RegisterArchitecture"]
    assert request.validate_only
    assert deleted(saving) == ["checkpoints/v"]


def test_what_cannot_be_described_reaches_no_server(fake, fake_client):
    with pytest.raises(ValueError, match="no key matches"):
        fake_client.register("Net", WithTable(), initializers={"x": "zeros"})
    assert fake.requests == {}
