"""Uploads that outlive the server, the network and the program that sends them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc
import pytest
import torch
import warmstart
from harness.cli import DONE, FAILED, CommandLine
from harness.proxy import Proxy
from harness.server import Server
from harness.tensors import assert_same_state
from harness.waiting import wait_until
from warmstart.v1 import uploads_pb2, uploads_pb2_grpc

MIB = 1 << 20
# What the server commits at a time; more than that may be lost when it is killed.
INTERVAL = 64 * MIB
# What may be in the buffers on the way when a connection breaks.
BUFFERS = 32 * MIB


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A file of 160 MiB, and what is in it."""
    path = tmp_path_factory.mktemp("large") / "model.pt"
    state = {"w": torch.randn(40, MIB)}
    torch.save(state, path)
    return path, state


@contextmanager
def stub_of(server: Server) -> Iterator[uploads_pb2_grpc.UploadsStub]:
    with server.channel() as channel:
        yield uploads_pb2_grpc.UploadsStub(channel)


def listed(server: Server) -> list[uploads_pb2.Upload]:
    with stub_of(server) as stub:
        return list(stub.ListUploads(uploads_pb2.ListUploadsRequest()).uploads)


def committed(server: Server) -> int:
    return sum(file.committed_bytes for each in listed(server) for file in each.files)


def cut_when_holding(proxy: Proxy) -> None:
    wait_until(proxy.is_holding)
    proxy.release()
    proxy.cut()


def assert_saved(server: Server, handle: str, state: dict[str, torch.Tensor]) -> None:
    with server.client() as client:
        assert [checkpoint.name for checkpoint in client.list()] == [handle]
        assert_same_state(client.state_dict(handle), state)
    assert server.uploads() == []
    assert server.staged() == []
    assert len(server.packs()) == 1


def test_a_killed_server_is_sent_only_the_rest(server, large):
    path, state = large
    with Proxy(server, hold_after=100 * MIB) as proxy:
        save = CommandLine(proxy).start("save", path, "--quiet")
        wait_until(lambda: committed(server) == INTERVAL)
        server.kill()
        time.sleep(0.5)  # the first tries find nobody
        proxy.release()
        assert not save.ended()
        server.restart()
        ran = save.wait()
        assert ran.code == DONE, ran.err
        # What was not committed when the server went was sent twice.
        assert proxy.sent < path.stat().st_size + INTERVAL
    assert_saved(server, ran.out.strip(), state)


def test_over_a_broken_connection_only_the_rest_is_sent(server, large):
    path, state = large
    with Proxy(server, hold_after=100 * MIB) as proxy:
        save = CommandLine(proxy).start("save", path, "--quiet")
        cut_when_holding(proxy)
        ran = save.wait()
        assert ran.code == DONE, ran.err
        assert proxy.sent < path.stat().st_size + BUFFERS
    assert_saved(server, ran.out.strip(), state)


def test_the_python_client_sends_only_the_rest(server, large):
    path, state = large
    with (
        Proxy(server, hold_after=100 * MIB) as proxy,
        warmstart.Client(proxy.address) as client,
    ):
        cut = threading.Thread(target=cut_when_holding, args=(proxy,))
        cut.start()
        saved = client.save(path).checkpoint
        cut.join()
        assert proxy.sent < path.stat().st_size + BUFFERS
    assert_saved(server, saved.name, state)


def test_another_run_of_the_command_goes_on(server, large, tmp_path):
    path, state = large
    cli = CommandLine(server)
    with Proxy(server, hold_after=100 * MIB) as proxy:
        save = CommandLine(proxy).start("save", path)
        wait_until(proxy.is_holding)
        save.kill()
        proxy.cut()
    wait_until(lambda: committed(server) > 90 * MIB)
    (upload,) = cli.done("uploads", "list", "--json").json()["uploads"]
    other = tmp_path / path.name
    changed = bytearray(path.read_bytes())
    changed[MIB] ^= 1
    other.write_bytes(changed)
    refused = cli.run("save", "--resume", upload["name"], other)
    assert refused.code == FAILED
    assert "has changed" in refused.err
    with Proxy(server) as proxy:
        ran = CommandLine(proxy).done(
            "save", "--resume", upload["name"], path, "--quiet"
        )
        assert proxy.sent < path.stat().st_size - 80 * MIB
    assert_saved(server, ran.out.strip(), state)


def test_a_mistake_is_told_before_anything_is_sent(server, large):
    path, _ = large
    with Proxy(server) as proxy:
        ran = CommandLine(proxy).run("save", path, "--architecture", "NoSuch")
        assert ran.code == FAILED
        assert proxy.sent < MIB
    assert server.uploads() == []


def test_a_request_that_was_answered_is_not_sent_again(server, large):
    path, state = large
    with Proxy(server) as proxy:
        cli = CommandLine(proxy)
        handle = cli.handle("save", path, "--request-id", "once")
        sent = proxy.sent
        assert cli.handle("save", path, "--request-id", "once") == handle
        assert proxy.sent - sent < MIB
    assert_saved(server, handle, state)


def test_a_file_that_cannot_be_read_leaves_nothing(server, tmp_path):
    path = tmp_path / "noise.pt"
    path.write_bytes(bytes(20 * MIB))
    ran = CommandLine(server).run("save", path)
    assert ran.code == FAILED
    assert "noise.pt" in ran.err
    assert server.uploads() == []
    assert server.stored() == ([], [], {}, [])


def test_uploads_can_be_deleted_by_the_command_line(server):
    cli = CommandLine(server)
    with stub_of(server) as stub:
        request = uploads_pb2.CreateUploadRequest(files=[{"name": "a", "size": 5}])
        name = stub.CreateUpload(request).name
    assert name in cli.done("uploads", "list").out
    assert cli.done("uploads", "delete", name).out == f"deleted {name}\n"
    assert cli.run("uploads", "delete", name).code == FAILED
    assert server.uploads() == []


def test_what_nobody_goes_on_with_expires(tmp_path):
    with Server(tmp_path / "data", "--upload-ttl=0.5") as server:
        with stub_of(server) as stub:
            request = uploads_pb2.CreateUploadRequest(files=[{"name": "a", "size": 5}])
            upload = stub.CreateUpload(request)
            begun, end = upload.create_time, upload.expire_time
            assert end.ToNanoseconds() - begun.ToNanoseconds() == 500_000_000
            assert server.uploads() != []
            time.sleep(0.6)
            assert listed(server) == []
        assert server.uploads() == []


def test_what_nobody_goes_on_with_is_swept_without_a_call(tmp_path):
    flags = ["--upload-ttl=0.5", "--housekeeping-interval=0.1"]
    with Server(tmp_path / "data", *flags) as server:
        with stub_of(server) as stub:
            request = uploads_pb2.CreateUploadRequest(files=[{"name": "a", "size": 5}])
            stub.CreateUpload(request)
        assert server.uploads() != []
        wait_until(lambda: not server.uploads())


def refusal(call: Callable[[], object]) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value


def writes(*messages: dict) -> Iterator[uploads_pb2.WriteUploadRequest]:
    return (uploads_pb2.WriteUploadRequest(**message) for message in messages)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "uploads/",
        "uploads/../../etc/passwd",
        "uploads/" + "0" * 31,
        "uploads/" + "0" * 32 + "/..",
        "uploads/" + "A" * 32,
        "0" * 32,
        "checkpoints/" + "0" * 32,
    ],
)
def test_names_that_cannot_be_are_invalid(shared_server, name):
    with stub_of(shared_server) as stub:
        for call in (
            lambda: stub.QueryUpload(uploads_pb2.QueryUploadRequest(name=name)),
            lambda: stub.DeleteUpload(uploads_pb2.DeleteUploadRequest(name=name)),
            lambda: stub.WriteUpload(writes({"begin": {"upload": name}})),
        ):
            assert refusal(call).code() == grpc.StatusCode.INVALID_ARGUMENT


def test_an_unknown_upload_is_not_found(shared_server):
    name = "uploads/" + "0" * 32
    with stub_of(shared_server) as stub:
        for call in (
            lambda: stub.QueryUpload(uploads_pb2.QueryUploadRequest(name=name)),
            lambda: stub.DeleteUpload(uploads_pb2.DeleteUploadRequest(name=name)),
            lambda: stub.WriteUpload(writes({"begin": {"upload": name}})),
        ):
            assert refusal(call).code() == grpc.StatusCode.NOT_FOUND


def test_4096_files_are_taken_and_not_one_more(server):
    files = [uploads_pb2.UploadFile(name=f"f{i}", size=1) for i in range(4096)]
    with stub_of(server) as stub:
        upload = stub.CreateUpload(uploads_pb2.CreateUploadRequest(files=files))
        messages = []
        for i in range(4096):
            messages.append({"begin": {"upload": upload.name, "file": i}})
            messages.append({"chunk": b"x"})
        written = stub.WriteUpload(writes(*messages))
        assert all(file.committed_bytes == 1 for file in written.files)
        files.append(uploads_pb2.UploadFile(name="more", size=1))
        error = refusal(
            lambda: stub.CreateUpload(uploads_pb2.CreateUploadRequest(files=files))
        )
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "4096" in error.details()
    server.kill()
    server.restart()
    assert committed(server) == 4096
