"""Bytes that were lost or changed behind the server's back."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
import torch
import warmstart
from harness.cli import DONE, FAILED, UNSOUND, CommandLine
from harness.server import Server
from harness.tensors import assert_same_state, bits
from harness.waiting import wait_until

# "first" comes before "second" in the file, and so in its pack.
STATE = {"first": torch.arange(50_000.0), "second": torch.arange(40_000.0) + 0.5}
SMALL = {"small": torch.arange(1_000.0) + 0.25}
# Of the same tensors, but it has to read them.
HALVES = {key: tensor.half() for key, tensor in STATE.items()}


def flip_a_bit(path: Path, needle: bytes) -> None:
    """Flips one bit in the middle of those bytes, wherever they are in the file."""
    data = bytearray(path.read_bytes())
    at = data.index(needle) + len(needle) // 2
    data[at] ^= 1
    path.write_bytes(data)


def damage(server: Server, key: str, how: str) -> None:
    """Damages the one pack of STATE."""
    [name] = server.packs()
    path = server.data_dir / "packs" / name
    if how == "deleted":
        path.unlink()
    elif how == "truncated":
        data = path.read_bytes()
        path.write_bytes(data[: data.index(bits(STATE[key])) + 100])
    else:
        flip_a_bit(path, bits(STATE[key]))


def assert_lost(call, handle: str, key: str) -> None:
    with pytest.raises(warmstart.WarmstartError) as caught:
        call()
    assert caught.value.code == grpc.StatusCode.DATA_LOSS
    assert caught.value.reason == "DATA_LOSS"
    assert caught.value.metadata["key"] == key
    assert caught.value.metadata["checkpoint"] == handle
    assert f"'{key}'" in caught.value.message


@pytest.fixture
def saved(server):
    """A server with STATE in a pack, and its handle."""
    with server.client() as client:
        handle = client.save(STATE).checkpoint.name
        client.register_architecture(warmstart.architecture_of("Same", STATE))
        client.register_architecture(warmstart.architecture_of("Halves", HALVES))
    return server, handle


@pytest.mark.parametrize("how", ["deleted", "truncated", "flipped"])
@pytest.mark.parametrize("restart", [True, False])
@pytest.mark.parametrize("file_format", ["torch", "safetensors"])
def test_a_damaged_pack_is_an_error_that_names_the_tensor(
    saved, tmp_path, how, restart, file_format
):
    server, handle = saved
    damage(server, "second", how)
    if restart:
        assert server.stop() == 0
        server.start()
    # The first that is read, and is not there.
    lost = "first" if how == "deleted" else "second"
    with server.client() as client:
        # One that only refers to them reads nothing, and finds nothing.
        referring = client.warm_start("Same", handle).checkpoint.name
        path = tmp_path / "file"
        for _ in range(2):
            assert_lost(
                lambda: client.download(handle, path, format=file_format), handle, lost
            )
        assert not path.exists()
        # A warm start that has to read the values.
        for _ in range(2):
            assert_lost(lambda: client.warm_start("Halves", handle), handle, lost)
        assert_lost(lambda: client.state_dict(referring), referring, lost)
        # What is known to be lost is not referred to any more.
        assert_lost(lambda: client.warm_start("Same", handle), handle, lost)
        # Whoever needs none of them is none the worse.
        other = client.save(SMALL).checkpoint.name
        assert_same_state(client.state_dict(other), SMALL)
    assert server.staged() == []


def test_the_intact_part_of_a_damaged_pack_is_served(saved):
    server, handle = saved
    damage(server, "second", "flipped")
    with server.client() as client:
        made = client.warm_start("Halves", handle, exclude="second").checkpoint.name
        assert_same_state(
            {"first": client.state_dict(made)["first"]}, {"first": HALVES["first"]}
        )


def test_a_tensor_that_was_read_intact_is_not_looked_at_again(saved):
    # What the promise does not cover, until the next start.
    server, handle = saved
    with server.client() as client:
        assert_same_state(client.state_dict(handle), STATE)
        damage(server, "second", "flipped")
        assert client.state_dict(handle).keys() == STATE.keys()
        assert server.stop() == 0
        server.restart()
        assert_lost(lambda: client.state_dict(handle), handle, "second")


def test_reads_are_not_verified_where_that_is_asked_for(tmp_path):
    with Server(tmp_path / "data", "--verify-reads=never") as server:
        with server.client() as client:
            handle = client.save(STATE).checkpoint.name
            damage(server, "second", "flipped")
            path = tmp_path / "file.safetensors"
            client.download(handle, path, format="safetensors")
        assert bits(STATE["first"]) in path.read_bytes()
        assert bits(STATE["second"]) not in path.read_bytes()


def test_a_tensor_in_the_catalog_is_verified_too(server):
    with server.client() as client:
        handle = client.save(SMALL).checkpoint.name
        assert server.stop() == 0
        flip_a_bit(server.data_dir / "catalog.sqlite3", bits(SMALL["small"])[:1000])
        server.restart()
        assert_lost(lambda: client.state_dict(handle), handle, "small")


@pytest.mark.parametrize("how", ["deleted", "truncated", "flipped"])
def test_a_scrub_names_what_is_lost_and_the_same_file_brings_it_back(
    server, tmp_path, how
):
    command = CommandLine(server)
    saved, intact, file = (tmp_path / name for name in ("saved.pt", "intact", "file"))
    torch.save(STATE, saved)
    handle = command.handle("save", saved)
    command.done("download", handle, "-o", intact)
    assert "all intact" in command.done("admin", "scrub").out
    damage(server, "second", how)
    lost = ["first", "second"] if how == "deleted" else ["second"]

    # Though it was read intact before.
    found = command.run("admin", "scrub", "--json")
    assert found.code == UNSOUND
    tensors = found.json()["damage"]["tensors"]
    assert [tensor["uses"] for tensor in tensors] == [
        [{"checkpoint": handle, "key": key}] for key in lost
    ]
    # From then on, also in the next process.
    assert server.stop() == 0
    server.restart()
    listed = command.run("admin", "scrub", "--list")
    assert listed.code == UNSOUND
    assert handle in listed.out
    assert all(key in listed.out for key in lost)
    refused = command.run("download", handle, "-o", file)
    assert refused.code == FAILED
    assert f"'{lost[0]}' of {handle}" in refused.err
    assert not file.exists()
    assert command.run("admin", "check").code == UNSOUND

    again = command.handle("save", saved)
    assert "all intact" in command.done("admin", "scrub").out
    if how == "truncated":
        # The file with what is intact is still too short; that goes with it.
        command.done("admin", "gc", "--min-live-share", "1")
    assert "all sound" in command.done("admin", "check").out
    command.done("download", handle, "-o", file)
    assert file.read_bytes() == intact.read_bytes()
    for checkpoint in (handle, again):
        command.done("delete", checkpoint)
    assert server.packs() == {}


def test_a_scrub_heals_a_tensor_in_the_catalog_too(server):
    command = CommandLine(server)
    with server.client() as client:
        handle = client.save(SMALL).checkpoint.name
        assert server.stop() == 0
        flip_a_bit(server.data_dir / "catalog.sqlite3", bits(SMALL["small"])[:1000])
        server.restart()
        assert command.run("admin", "scrub").code == UNSOUND
        assert_lost(lambda: client.state_dict(handle), handle, "small")
        client.save(SMALL)
        assert_same_state(client.state_dict(handle), SMALL)
    command.done("admin", "scrub")
    command.done("admin", "check")


def test_a_pack_that_is_put_back_is_found_intact(server):
    command = CommandLine(server)
    with server.client() as client:
        handle = client.save(STATE).checkpoint.name
        [name] = server.packs()
        path = server.data_dir / "packs" / name
        path.rename(server.data_dir / "away")
        assert command.run("admin", "scrub").code == UNSOUND
        (server.data_dir / "away").rename(path)
        assert "2 intact again" in command.done("admin", "scrub").out
        assert_same_state(client.state_dict(handle), STATE)


def test_a_check_names_files_that_are_gone_and_files_that_are_nobodys(saved):
    server, _ = saved
    command = CommandLine(server)
    assert "all sound" in command.done("admin", "check").out
    [name] = server.packs()
    orphan = "0" * 32
    packs = server.data_dir / "packs"
    (packs / name).rename(packs / orphan)
    ran = command.run("admin", "check", "--json")
    assert ran.code == UNSOUND
    gone, nobodys = ran.json()["findings"]
    assert name in gone
    assert "gone" in gone
    assert orphan in nobodys
    # It changes nothing.
    assert list(server.packs()) == [orphan]
    assert command.run("admin", "scrub", "--list").code == DONE


@pytest.mark.parametrize("how", ["garbage", "truncated"])
def test_a_damaged_catalog_is_refused_in_words(saved, how):
    server, _ = saved
    assert server.stop() == 0
    catalog = server.data_dir / "catalog.sqlite3"
    data = catalog.read_bytes()
    packs = server.packs()
    catalog.write_bytes(b"x" * len(data) if how == "garbage" else data[:5000])
    with pytest.raises(RuntimeError) as caught:
        server.start()
    assert str(catalog) in str(caught.value)
    assert "not a database" in str(caught.value) or "malformed" in str(caught.value)
    # Nothing was swept for it.
    assert server.packs() == packs
    catalog.write_bytes(data)
    with server, server.client() as client:
        assert len(list(client.list())) == 1


def test_a_catalog_that_is_gone_takes_no_pack_with_it(saved):
    server, _ = saved
    assert server.stop() == 0
    packs = server.packs()
    catalog = server.data_dir / "catalog.sqlite3"
    catalog.rename(catalog.with_suffix(".away"))
    with pytest.raises(RuntimeError) as caught:
        server.start()
    assert str(server.data_dir) in str(caught.value)
    assert server.packs() == packs


def test_the_server_finds_damage_by_itself(tmp_path):
    with Server(tmp_path / "data", "--scrub-interval=0.2") as server:
        with server.client() as client:
            handle = client.save(STATE).checkpoint.name
            damage(server, "second", "flipped")
            wait_until(lambda: "are damaged" in server.log())
            assert_lost(lambda: client.state_dict(handle), handle, "second")
        found = CommandLine(server).run("admin", "scrub", "--list")
        assert found.code == UNSOUND
        assert "damaged       1 tensors" in CommandLine(server).done("info").out
