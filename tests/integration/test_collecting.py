"""`warmstart admin gc`: what deletions leave behind is given back."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
import torch
from faults.tidiness import assert_tidy
from harness.collecting import collect
from harness.server import Server
from harness.tensors import assert_same_state
from harness.waiting import wait_until
from warmstart.v1 import checkpoints_pb2, checkpoints_pb2_grpc

MIB = 1 << 20


def tensor(mib: float, seed: int) -> torch.Tensor:
    """Float32 values of so many MiB."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(int(mib * MIB) // 4, generator=generator)


@pytest.fixture
def models(cli, tmp_path):
    """The handles of two models with one body; most of the first is its head."""
    body = {"body.weight": tensor(6, 1), "body.bias": tensor(0.001, 2)}
    states = [body | {"head": tensor(20, 3)}, body | {"head": tensor(0.5, 4)}]
    handles = []
    for i, state in enumerate(states):
        path = tmp_path / f"model{i}.pt"
        torch.save(state, path)
        handles.append(cli.handle("save", path))
    return list(zip(handles, states, strict=True))


def disk_usage(server) -> int:
    return sum(server.packs().values())


def test_a_collection_gives_back_what_a_deletion_left(server, cli, models, tmp_path):
    (first, _), (second, state) = models
    cli.done("delete", first)
    before = server.packs()

    told = cli.done("admin", "gc", "--dry-run", "--json").json()
    assert server.packs() == before
    text = cli.done("admin", "gc", "--dry-run").out
    assert "would free    20.0 MiB" in text
    assert told["packs"][0]["name"] in text

    done = cli.done("admin", "gc", "--json").json()
    assert done == told
    assert int(done["freed_bytes"]) >= 20 * MIB
    assert sum(before.values()) - disk_usage(server) == int(done["freed_bytes"])
    assert_tidy(server)

    cli.done("download", second, "--output", tmp_path / "back.pt")
    assert_same_state(torch.load(tmp_path / "back.pt"), state)
    assert "freed         0 B" in cli.done("admin", "gc").out

    server.stop()
    server.start()
    assert_tidy(server)
    with server.client() as client:
        assert_same_state(client.state_dict(second), state)
        client.delete(second)
    assert server.packs() == {}


def test_the_server_collects_by_itself(tmp_path):
    body, head = tensor(6, 1), tensor(20, 2)
    with Server(tmp_path / "data", "--gc-interval=0.2") as server:
        with server.client() as client:
            first = client.save({"body": body, "head": head}).checkpoint.name
            second = client.save({"body": body}).checkpoint.name
            client.delete(first)
            wait_until(lambda: disk_usage(server) <= 7 * MIB)
            assert_same_state(client.state_dict(second), {"body": body})
        assert_tidy(server)
    assert "garbage collection: rewrote 1 packs" in server.log()


def test_the_limit_is_kept(server, cli, models):
    (first, _), _ = models
    cli.done("delete", first)
    before = server.packs()
    told = cli.done("admin", "gc", "--max-bytes", "1MiB", "--json").json()
    assert told["over_budget_pack_count"] == "1"
    assert server.packs() == before
    assert "over limit    1 pack" in cli.done("admin", "gc", "--max-bytes=1MB").out


def test_a_running_download_is_not_disturbed(server, cli, models):
    (first, _), (second, part) = models
    with server.channel() as channel:
        stub = checkpoints_pb2_grpc.CheckpointsStub(channel)

        def download():
            return stub.DownloadCheckpoint(
                checkpoints_pb2.DownloadCheckpointRequest(name=second)
            )

        expected = b"".join(message.chunk for message in download())
        assert len(expected) > sum(t.nbytes for t in part.values())
        running = download()
        got = next(running).chunk
        # Now what both have is moved elsewhere.
        cli.done("delete", first)
        assert collect(channel).rewritten_pack_count == 1
        got += b"".join(message.chunk for message in running)
        assert got == expected
    with server.client() as client:
        assert_same_state(client.state_dict(second), part)
    assert_tidy(server)


def test_saves_and_warm_starts_go_on_meanwhile(server, own_client):
    """Several clients save, derive and delete while another one collects."""
    body = tensor(1, 1)
    stop = threading.Event()

    def use(number: int) -> None:
        for i in range(12):
            head = tensor(0.3, 100 * number + i)
            state = {"body": body, "head": head}
            saved = own_client.save(state).checkpoint.name
            again = own_client.save({"only": head}).checkpoint.name
            own_client.delete(saved)
            assert_same_state(own_client.state_dict(again), {"only": head})
            if i % 2:
                own_client.delete(again)

    def collect_often() -> int:
        merged = 0
        with server.channel() as channel:
            while not stop.is_set():
                answer = collect(channel, min_live_share=1, merge_below_bytes=MIB)
                assert answer.damaged_pack_count == 0
                merged += answer.merged_pack_count
        return merged

    with ThreadPoolExecutor(4) as pool:
        collecting = pool.submit(collect_often)
        try:
            for running in [pool.submit(use, number) for number in range(3)]:
                running.result()
        finally:
            stop.set()
        assert collecting.result() > 0
    assert len(list(own_client.list())) == 3 * 6
    assert_tidy(server)


@pytest.mark.parametrize(
    "options",
    [{"min_live_share": 1.5}, {"merge_below_bytes": -1}, {"max_written_bytes": -1}],
    ids=str,
)
def test_a_threshold_that_makes_no_sense_is_refused(shared_server, options):
    with shared_server.channel() as channel, pytest.raises(grpc.RpcError) as caught:
        collect(channel, **options)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert next(iter(options)) in caught.value.details()
