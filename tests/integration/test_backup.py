"""Backups of a running server, and servers on what was restored from them."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
import torch
import warmstart
from harness.cli import DONE, FAILED, CommandLine
from harness.collecting import collect
from harness.server import Server
from harness.tensors import assert_same_state

Tensors = dict[str, torch.Tensor]


def tensors(seed: int, elements: int = 50_000) -> Tensors:
    generator = torch.Generator().manual_seed(seed)
    return {"w": torch.randn(elements, generator=generator)}


def packs_in(folder: Path) -> set[str]:
    return {path.name for path in (folder / "packs").iterdir()}


def restored(cli: CommandLine, backup: Path, data_dir: Path) -> Server:
    cli.done("admin", "restore", backup, data_dir)
    return Server(data_dir)


def assert_checked(backup: Path) -> None:
    """What we tell people to check a backup with."""
    command = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    subprocess.run(command, cwd=backup, check=True)


def test_a_restored_backup_has_everything(server, cli, tmp_path):
    backup = tmp_path / "backup"
    with server.client() as client:
        large = client.save(tensors(1), labels={"a": "b"}, alias="large").checkpoint
        small = client.save(tensors(2, 10), alias="small").checkpoint
        client.register_architecture(warmstart.architecture_of("Net", tensors(1)))
        warm = client.warm_start("Net", "aliases/large").checkpoint
        before = list(client.list())
    told = cli.done("admin", "backup", backup, "--json").json()
    assert told["packs_fetched"] == len(server.packs())
    assert told["packs_reused"] == 0
    assert server.staged() == []
    assert_checked(backup)
    with restored(cli, backup, tmp_path / "new") as copy, copy.client() as client:
        assert list(client.list()) == before
        assert_same_state(client.state_dict("aliases/large"), tensors(1))
        assert_same_state(client.state_dict("aliases/small"), tensors(2, 10))
        assert client.get(warm.name, full=True).report.summary.startswith("<All")
        assert {large.name, small.name} < {each.name for each in client.list()}
        # It goes on as any store does.
        client.delete(small.name, force=True)
        client.save(tensors(3))
        assert copy.staged() == []


def test_a_plain_copy_of_a_backup_is_a_data_directory(server, cli, tmp_path):
    backup, copied = tmp_path / "backup", tmp_path / "copied"
    with server.client() as client:
        name = client.save(tensors(1)).checkpoint.name
    cli.done("admin", "backup", backup)
    shutil.copytree(backup, copied)
    with Server(copied) as copy, copy.client() as client:
        assert_same_state(client.state_dict(name), tensors(1))
    # It is a server's now, and no backup goes there any more.
    refused = cli.run("admin", "backup", copied)
    assert refused.code == FAILED
    assert "data directory of a server" in refused.err


def test_the_next_backup_fetches_only_what_is_new(server, cli, tmp_path):
    backup = tmp_path / "backup"
    with server.client() as client:
        kept = client.save(tensors(1)).checkpoint.name
        gone = client.save(tensors(2)).checkpoint.name
        first = cli.done("admin", "backup", backup, "--json").json()
        client.delete(gone)
        new = client.save(tensors(3)).checkpoint.name
    second = cli.done("admin", "backup", backup, "--json").json()
    assert first["packs_fetched"] == 2
    assert second["packs_fetched"] == 1
    assert second["packs_reused"] == 1
    assert second["packs_removed"] == 1
    assert second["bytes_fetched"] < first["bytes_fetched"]
    assert packs_in(backup) == set(server.packs())
    assert_checked(backup)
    with restored(cli, backup, tmp_path / "new") as copy, copy.client() as client:
        assert_same_state(client.state_dict(kept), tensors(1))
        assert_same_state(client.state_dict(new), tensors(3))
        assert [each.name for each in client.list()] == [new, kept]


def test_a_backup_of_another_server_is_not_replaced_by_mistake(server, cli, tmp_path):
    backup = tmp_path / "backup"
    with server.client() as client:
        name = client.save(tensors(1)).checkpoint.name
    cli.done("admin", "backup", backup)
    with Server(tmp_path / "other") as other, other.client() as client:
        client.save(tensors(2))
        mistaken = CommandLine(other)
        refused = mistaken.run("admin", "backup", backup)
        assert refused.code == FAILED
        assert "--replace" in refused.err
        with restored(cli, backup, tmp_path / "new") as copy, copy.client() as client:
            assert_same_state(client.state_dict(name), tensors(1))
        mistaken.done("admin", "backup", backup, "--replace")
        assert packs_in(backup) == set(other.packs())


def test_a_store_that_collected_every_pack_looks_like_another(server, cli, tmp_path):
    backup = tmp_path / "backup"
    with server.client() as client:
        names = [client.save(tensors(seed)).checkpoint.name for seed in range(3)]
    cli.done("admin", "backup", backup)
    with server.channel() as channel:
        assert collect(channel).merged_pack_count == 3
    refused = cli.run("admin", "backup", backup)
    assert refused.code == FAILED
    assert "collected" in refused.err
    assert len(packs_in(backup)) == 3
    cli.done("admin", "backup", backup, "--replace")
    with restored(cli, backup, tmp_path / "new") as copy, copy.client() as client:
        for seed, name in enumerate(names):
            assert_same_state(client.state_dict(name), tensors(seed))


def test_a_damaged_backup_is_not_restored(server, cli, tmp_path):
    backup, data_dir = tmp_path / "backup", tmp_path / "new"
    with server.client() as client:
        client.save(tensors(1))
    cli.done("admin", "backup", backup)
    [name] = packs_in(backup)
    pack = backup / "packs" / name
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 1
    pack.write_bytes(data)
    refused = cli.run("admin", "restore", backup, data_dir)
    assert refused.code == FAILED
    assert name in refused.err
    assert list(data_dir.iterdir()) == []


def test_a_good_pack_in_the_backup_makes_up_for_a_lost_one(server, cli, tmp_path):
    backup = tmp_path / "backup"
    with server.client() as client:
        name = client.save(tensors(1)).checkpoint.name
        cli.done("admin", "backup", backup)
        for pack in (server.data_dir / "packs").iterdir():
            pack.unlink()
        cli.done("admin", "backup", backup)
        with restored(cli, backup, tmp_path / "new") as copy, copy.client() as client:
            assert_same_state(client.state_dict(name), tensors(1))
    lost = cli.run("admin", "backup", tmp_path / "another")
    assert lost.code == FAILED
    assert "delete the checkpoints" in lost.err


class Load:
    """Clients that save, warm-start and delete, and one that collects.

    They go on until they are told to stop.
    """

    def __init__(self, server: Server, clients: int) -> None:
        self._server = server
        self._stop = threading.Event()
        self.rounds = 0
        self._errors: list[BaseException] = []
        self.collections = 0
        self._threads = [
            threading.Thread(target=self._guarded, args=(self._work, number))
            for number in range(clients)
        ]
        collector = threading.Thread(target=self._guarded, args=(self._collect,))
        self._threads.append(collector)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert not self._errors, self._errors

    def _guarded(self, target: Callable[..., None], *arguments: int) -> None:
        try:
            target(*arguments)
        except BaseException as error:
            self._errors.append(error)

    def _collect(self) -> None:
        with self._server.channel() as channel:
            while not self._stop.wait(0.1):
                collect(channel)
                self.collections += 1

    def _work(self, number: int) -> None:
        with self._server.client() as client:
            seed = 1000 * (number + 1)
            while not self._stop.is_set():
                seed += 1
                saved = client.save(tensors(seed)).checkpoint.name
                started = client.warm_start("Net", saved).checkpoint.name
                client.delete(saved)
                if seed % 3:
                    client.delete(started)
                self.rounds += 1


def test_backups_beside_a_load_have_what_was_answered_before(server, cli, tmp_path):
    backup = tmp_path / "backup"
    with server.client() as client, Load(server, clients=3) as load:
        client.register_architecture(warmstart.architecture_of("Net", tensors(1)))
        answered: dict[str, Tensors] = {}
        for round_ in range(4):
            for seed in (10 * round_, 10 * round_ + 1):
                answered[client.save(tensors(seed)).checkpoint.name] = tensors(seed)
            # A collection may have left none of the packs of the last one.
            running = cli.start("admin", "backup", backup, "--replace", "--json")
            # Deleted once the backup has begun, or before: it is there as a whole,
            # or not at all.
            while not server.staged() and not running.ended():
                time.sleep(0.001)
            deleted = next(iter(answered))
            values = answered.pop(deleted)
            client.delete(deleted)
            ran = running.wait()
            assert ran.code == DONE, ran.err
            assert_checked(backup)
            copy = restored(cli, backup, tmp_path / f"new{round_}")
            with copy, copy.client() as restored_client:
                for name, state in answered.items():
                    assert_same_state(restored_client.state_dict(name), state)
                for each in restored_client.list():
                    # Read back whole, and compared with its digests.
                    found = restored_client.state_dict(each.name)
                    if each.name == deleted:
                        assert_same_state(found, values)
                assert copy.staged() == []
    assert load.rounds > 10
    assert load.collections > 4
    # All that was held is let go.
    deadline = time.monotonic() + 10
    while server.staged() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.staged() == []
    cli.done("admin", "backup", backup, "--replace")
    assert packs_in(backup) == set(server.packs())


@pytest.fixture
def large_store(server):
    """A server with more than a backup takes in one breath."""
    with server.client() as client:
        return {
            seed: client.save(tensors(seed, elements=8 << 20)).checkpoint.name
            for seed in range(4)
        }


def start_and_kill(cli: CommandLine, backup: Path, *, size: int) -> None:
    """Kills a backup once it has received so many bytes."""
    command = cli.start("admin", "backup", backup)
    deadline = time.monotonic() + 60
    while received(backup) < size:
        assert not command.ended()
        assert time.monotonic() < deadline
        time.sleep(0.001)
    command.kill()


def received(backup: Path) -> int:
    try:
        return sum(
            path.stat().st_size
            for folder in ("packs", "staging")
            for path in (backup / folder).iterdir()
        )
    except FileNotFoundError:
        return 0


def test_a_killed_backup_leaves_the_old_one_and_is_gone_on_with(
    server, cli, tmp_path, large_store
):
    backup = tmp_path / "backup"
    cli.done("admin", "backup", backup)
    with server.client() as client:
        client.delete(large_store[0])
        late = client.save(tensors(9, elements=32 << 20)).checkpoint.name
    old = received(backup)
    start_and_kill(cli, backup, size=old + (20 << 20))
    # The old one, with nothing amiss.
    assert_checked(backup)
    with restored(cli, backup, tmp_path / "old") as copy, copy.client() as client:
        listed = {each.name for each in client.list()}
        assert listed == set(large_store.values())
        assert_same_state(client.state_dict(large_store[0]), tensors(0, 8 << 20))
    # The server has let go.
    deadline = time.monotonic() + 30
    while server.staged() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.staged() == []
    told = cli.done("admin", "backup", backup, "--json").json()
    assert told["bytes_fetched"] < 120 << 20
    assert packs_in(backup) == set(server.packs())
    with restored(cli, backup, tmp_path / "new") as copy, copy.client() as client:
        assert_same_state(client.state_dict(late), tensors(9, 32 << 20))


def test_a_backup_outlives_a_server_that_is_killed_and_comes_back(
    server, cli, tmp_path, large_store
):
    backup = tmp_path / "backup"
    command = cli.start("admin", "backup", backup, "--json")
    while received(backup) < 40 << 20:
        assert not command.ended()
        time.sleep(0.001)
    server.kill()
    server.restart()
    # What the killed server had staged is gone; the new one serves the backup.
    ran = command.wait()
    assert ran.code == DONE, ran.err
    assert server.staged() == []
    assert_checked(backup)
    told = ran.json()
    assert told["packs_fetched"] == 4
    assert told["bytes_fetched"] < 150 << 20
    with restored(cli, backup, tmp_path / "new") as copy, copy.client() as client:
        for seed, name in large_store.items():
            assert_same_state(client.state_dict(name), tensors(seed, 8 << 20))


def test_a_server_that_dies_in_a_backup_frees_what_was_deleted(
    server, cli, tmp_path, large_store
):
    backup = tmp_path / "backup"
    command = cli.start("admin", "backup", backup)
    while received(backup) < 1:
        time.sleep(0.001)
    command.pause()
    with server.client() as client:
        for name in large_store.values():
            client.delete(name)
    assert len(server.packs()) == len(large_store)
    assert len(server.staged()) == 1
    server.kill()
    command.kill()
    server.start()
    assert server.packs() == {}
    assert server.staged() == []


def test_other_clients_see_what_the_api_says(server):
    from warmstart.v1 import admin_pb2, admin_pb2_grpc

    with server.channel() as channel:
        stub = admin_pb2_grpc.AdminStub(channel)
        held = admin_pb2.HeldPack(name="../LOCK", size_bytes=1)
        request = admin_pb2.BackUpStoreRequest(held_packs=[held])
        with pytest.raises(grpc.RpcError) as raised:
            list(stub.BackUpStore(iter([request])))
        assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        kinds = [message.WhichOneof("kind") for message in stub.BackUpStore(iter([]))]
    assert kinds == ["summary", "file", "chunk", "sha256"]
