"""What a server does whose disk is full, or cannot be written."""

from __future__ import annotations

import grpc
import pytest
import torch
import warmstart
from grpc_health.v1 import health_pb2, health_pb2_grpc
from harness.server import Server
from harness.tensors import assert_same_state

from faults import disks
from faults.tidiness import assert_tidy

MIB = 1 << 20
LARGE = {"w": torch.zeros(4 * MIB) + torch.arange(4 * MIB)}
SMALL = {"w": torch.arange(25_000.0)}  # goes into the catalog
PACK = {"w": torch.arange(50_000.0)}

KINDS = [disks.FileSizeLimit]
if disks.can_mount():
    KINDS.append(disks.FileSystem)


@pytest.fixture(params=KINDS)
def disk(request, tmp_path):
    """A disk that can be filled, for the data folder."""
    made = request.param(tmp_path / "data")
    yield made
    made.close()


@pytest.fixture
def full_server(disk):
    """A server on that disk."""
    with Server(disk.folder) as running:
        yield running


def is_serving(server: Server) -> bool:
    with server.channel() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest())
    return answer.status == health_pb2.HealthCheckResponse.SERVING


def assert_out_of_space(call) -> None:
    with pytest.raises(warmstart.WarmstartError) as caught:
        call()
    assert caught.value.code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caught.value.reason == "OUT_OF_SPACE"


def requests(client: warmstart.Client, source: str) -> dict:
    """What needs more space than is left, and how it is asked for."""
    return {
        "save": lambda: client.save(LARGE, alias="new"),
        "save into the catalog": lambda: client.save(SMALL, alias="new"),
        "warm start": lambda: client.warm_start(
            "Large",
            source,
            initialize={"head": {"normal": {"std": 1.0}}},
            alias="new",
        ),
    }


@pytest.mark.parametrize(
    ("name", "leave"),
    [
        ("save", 4 * MIB),
        ("save", MIB),
        ("save into the catalog", 0),
        ("warm start", 4 * MIB),
        ("warm start", MIB),
    ],
)
def test_a_full_disk_fails_the_request_and_leaves_nothing(
    disk, full_server, name, leave
):
    with full_server.client() as client:
        kept = client.save(PACK, alias="kept").checkpoint.name
        large = {"w": PACK["w"], "head": LARGE["w"]}
        client.register_architecture(warmstart.architecture_of("Large", large))
        request = requests(client, kept)[name]
        before = full_server.stored()

        disk.fill(full_server, leave)
        assert_out_of_space(request)
        assert_out_of_space(request)
        assert full_server.stored() == before
        assert is_serving(full_server)
        assert_same_state(client.state_dict(kept), PACK)

        disk.relieve(full_server)
        assert_tidy(full_server)
        made = request().checkpoint.name
        assert client.get("aliases/new").name == made
        assert_same_state(client.state_dict(kept), PACK)
    full_server.kill()
    full_server.start()
    assert_tidy(full_server)
    with full_server.client() as client:
        assert {checkpoint.name for checkpoint in client.list()} == {made, kept}


def test_a_full_disk_does_not_stop_a_deletion(disk, full_server):
    # Space has to come from somewhere. A commit needs some: a page of each table.
    with full_server.client() as client:
        kept = client.save(PACK).checkpoint.name
        large = client.save(LARGE).checkpoint.name
        disk.fill(full_server, MIB)
        assert_out_of_space(lambda: client.save({"w": LARGE["w"] + 1}))
        client.delete(large)
        assert_tidy(full_server)
        assert_same_state(client.state_dict(kept), PACK)


def start_and_fail(server: Server) -> str:
    """Starts a server that should not start, and returns what it says."""
    with pytest.raises(RuntimeError) as caught:
        server.start()
    return str(caught.value)


@pytest.fixture
def closed_disk(tmp_path):
    """A disk that can be filled, and closed to writers, whoever runs the tests."""
    made = KINDS[-1](tmp_path / "data")
    yield made
    made.allow_writing()
    made.close()


@pytest.mark.parametrize("is_new", [True, False])
def test_a_folder_that_cannot_be_written_is_refused_in_words(closed_disk, is_new):
    server = Server(closed_disk.folder)
    if not is_new:
        with server, server.client() as client:
            kept = client.save(PACK).checkpoint.name
    closed_disk.forbid_writing()
    said = start_and_fail(server)
    assert str(server.data_dir) in said
    assert "Read-only file system" in said or "Permission denied" in said
    closed_disk.allow_writing()
    with server, server.client() as client:
        if not is_new:
            assert_same_state(client.state_dict(kept), PACK)


@pytest.mark.parametrize("is_new", [True, False])
def test_a_start_without_space_is_refused_in_words(tmp_path, is_new):
    if disks.FileSystem not in KINDS:
        pytest.skip("a limit on file sizes cannot be set before the start")
    disk = disks.FileSystem(tmp_path / "data")
    try:
        server = Server(disk.folder)
        if not is_new:
            with server, server.client() as client:
                kept = client.save(PACK).checkpoint.name
        disk.fill(server, 0)
        said = start_and_fail(server)
        assert str(server.data_dir) in said
        assert "No space left" in said or "full" in said
        disk.relieve(server)
        with server, server.client() as client:
            if not is_new:
                assert_same_state(client.state_dict(kept), PACK)
    finally:
        disk.close()
