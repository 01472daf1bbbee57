"""Starting, stopping and being stopped."""

from __future__ import annotations

import subprocess
import time

import grpc
import pytest
import torch
import warmstart
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from harness.cli import DONE, CommandLine
from harness.server import Server, binary
from harness.tensors import assert_same_state
from harness.transfers import StalledUpload, state
from harness.waiting import wait_until

SERVICES = [
    "warmstart.v1.ModelInitializer",
    "warmstart.v1.Checkpoints",
    "warmstart.v1.Architectures",
    "warmstart.v1.Lineage",
    "warmstart.v1.ServerInformation",
    "warmstart.v1.Uploads",
]


def test_a_restart_finds_everything(server):
    with server.client() as client:
        saved = client.save(state(1), labels={"a": "b"}, alias="one").checkpoint
        client.register_architecture(warmstart.architecture_of("Net", state(1)))
        started = client.warm_start("Net", saved.name)
        before = list(client.list())
    assert server.stop() == 0
    server.start()
    with server.client() as client:
        assert list(client.list()) == before
        assert client.get("aliases/one").name == saved.name
        assert_same_state(client.state_dict(started.checkpoint.name), state(1))
        report = client.get(started.checkpoint.name, full=True).report
        assert report == started.report
        assert client.warm_start("Net", "aliases/one").report.summary.startswith("<All")


def test_a_killed_server_keeps_what_it_answered(server):
    with server.client() as client:
        saved = client.save(state(1)).checkpoint
        upload = StalledUpload(server)
        server.kill()
        upload.close()
    server.start()
    assert server.staged() == []
    with server.client() as client:
        assert [checkpoint.name for checkpoint in client.list()] == [saved.name]
        assert_same_state(client.state_dict(saved.name), state(1))


def test_the_command_lines_upload_outlives_a_killed_server(server, tmp_path):
    # More than fits into the buffers between the two, so that the upload is still
    # under way when the server stands still.
    tensors = {"w": torch.randn(64, 1 << 20)}
    path = tmp_path / "model.pt"
    torch.save(tensors, path)
    upload = CommandLine(server).start("save", path, "--alias", "late", "--quiet")
    # Its bytes come: so the client knows that the server was there.
    wait_until(lambda: any(name.endswith(".0") for name in server.uploads()))
    server.pause()
    assert server.packs() == {}
    server.kill()
    time.sleep(0.5)  # the first tries find nobody
    assert not upload.ended()
    server.restart()
    ran = upload.wait()
    assert ran.code == DONE, ran.err
    handle = ran.out.strip()
    with server.client() as client:
        assert [checkpoint.name for checkpoint in client.list()] == [handle]
        assert client.get("aliases/late").name == handle
        assert_same_state(client.state_dict(handle), tensors)
    assert server.staged() == []
    assert server.uploads() == []


def test_sigterm_ends_an_idle_server_cleanly(server):
    assert server.stop() == 0


def test_sigterm_ends_a_server_with_an_idle_connection(server):
    with server.client() as client:
        list(client.list())
        assert server.stop() == 0


def test_sigterm_during_an_upload_leaves_nothing(server):
    with server.client() as client:
        saved = client.save(state(1)).checkpoint
    upload = StalledUpload(server, alias="late")
    try:
        assert server.stop() == 0
        assert upload.call.code() in (
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.CANCELLED,
        )
    finally:
        upload.close()
    server.start()
    names, aliases, _, staged = server.stored()
    assert (names, aliases, staged) == ([saved.name], [], [])


def test_sigterm_gives_an_upload_time_to_finish(tmp_path):
    server = Server(tmp_path / "data", "--grace-period=20").start()
    upload = StalledUpload(server, alias="late")
    try:
        server.terminate()
        time.sleep(0.3)
        assert server.running()
        upload.finish()
        saved = upload.call.result(timeout=10).checkpoint
        assert server.wait() == 0
    finally:
        upload.close()
    with server, server.client() as client:
        assert client.get("aliases/late").name == saved.name
        assert_same_state(client.state_dict(saved.name), state(2))


def test_an_upload_that_the_client_gives_up_leaves_nothing(server):
    upload = StalledUpload(server, alias="late")
    before = server.packs()
    upload.call.cancel()
    upload.close()
    deadline = time.monotonic() + 10
    while server.staged() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.stored() == ([], [], before, [])


def test_two_servers_on_one_store_are_refused(server, tmp_path):
    second = subprocess.run(
        [
            binary("warmstart-server"),
            "--listen=127.0.0.1:0",
            f"--data-dir={server.data_dir}",
            f"--port-file={tmp_path / 'second.port'}",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode != 0
    assert str(server.data_dir) in second.stderr
    assert not (tmp_path / "second.port").exists()
    with server.client() as client:  # the first is none the worse
        client.save(state(1))


def test_a_port_that_is_taken_is_an_error_that_names_it(server, tmp_path):
    second = subprocess.run(
        [
            binary("warmstart-server"),
            f"--listen={server.address}",
            f"--data-dir={tmp_path / 'other'}",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode != 0
    assert server.address in second.stderr


@pytest.mark.parametrize(
    "flags",
    [
        ["--no-such-flag"],
        ["--listen"],
        ["--device=tpu"],
        ["--grace-period=soon"],
        ["--upload-ttl=0"],
        ["--gc-interval=-1"],
        ["--scrub-interval=weekly"],
        ["--metrics-listen=9464"],
        ["stray"],
    ],
)
def test_flags_that_make_no_sense_are_refused(tmp_path, flags):
    ran = subprocess.run(
        [binary("warmstart-server"), f"--data-dir={tmp_path / 'data'}", *flags],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode != 0
    assert ran.stderr


def test_the_startup_line_names_the_address(shared_server):
    assert shared_server.address in shared_server.log()


@pytest.mark.parametrize("service", ["", *SERVICES])
def test_health_is_answered_for_every_service(shared_server, service):
    with shared_server.channel() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_health_of_another_service_is_not_found(shared_server):
    with shared_server.channel() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(service="no.such"))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_reflection_describes_every_service(shared_server):
    with shared_server.channel() as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert set(SERVICES) <= set(database.get_services())
        file = database.FindFileContainingSymbol("warmstart.v1.WarmStartRequest")
    assert file.name == "warmstart/v1/model_initializer.proto"
