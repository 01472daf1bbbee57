"""Limits, checkpoints that expire, and rules of what is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import grpc
import pytest
import torch
import warmstart
from harness.cli import DONE, FAILED, CommandLine
from harness.server import Server
from harness.tensors import assert_same_state
from harness.waiting import wait_until

KIB = 1 << 10
MIB = 1 << 20


def model(seed: int, num_bytes: int = MIB) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {"w": torch.randn(num_bytes // 4, generator=generator)}


def limited(tmp_path, *flags: str) -> Server:
    return Server(tmp_path / "data", *flags)


def assert_quota(flag: str, call: Callable[[], object]) -> None:
    with pytest.raises(warmstart.WarmstartError) as caught:
        call()
    error = caught.value
    assert error.code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.reason == "QUOTA_EXCEEDED"
    assert error.metadata["flag"] == flag
    assert flag in str(error)


def names(client: warmstart.Client) -> set[str]:
    return {checkpoint.name for checkpoint in client.list()}


# Limits.


def test_bytes_are_limited_and_freed(tmp_path):
    flag = f"--max-store-bytes={3 * MIB}"
    with limited(tmp_path, flag) as server, server.client() as client:
        first = client.save(model(1)).checkpoint.name
        client.save(model(2))
        before = server.stored()
        assert_quota("--max-store-bytes", lambda: client.save(model(3)))
        assert server.stored() == before
        assert_same_state(client.state_dict(first), model(1))
        client.delete(first)
        client.save(model(3))


def test_what_was_refused_is_told_by_the_command_line(tmp_path):
    torch.save(model(1), tmp_path / "model.pt")
    with limited(tmp_path, f"--max-upload-bytes={64 * KIB}") as server:
        cli = CommandLine(server)
        ran = cli.run("save", tmp_path / "model.pt")
        assert ran.code == FAILED
        assert "--max-upload-bytes" in ran.err
        info = cli.done("info").out
        assert "up to 64.0 KiB" in info
        assert cli.done("save", "--architecture", "NetA", "--quiet").code == DONE


def test_checkpoints_are_counted_and_a_restart_knows_them(tmp_path):
    with limited(tmp_path, "--max-checkpoints=2") as server:
        with server.client() as client:
            saved = client.save_fresh("NetA", request_id="same").checkpoint
            client.warm_start("NetB", saved.name)
            assert_quota(
                "--max-checkpoints", lambda: client.warm_start("NetB", saved.name)
            )
            # A retry of what was answered asks for nothing new.
            again = client.save_fresh("NetA", request_id="same").checkpoint
            assert again.name == saved.name
        server.stop()
        server.start()
        with server.client() as client:
            assert_quota("--max-checkpoints", lambda: client.save_fresh("NetA"))


def test_saves_at_once_do_not_pass_together(tmp_path):
    flag = f"--max-store-bytes={3 * MIB + 64 * KIB}"
    with limited(tmp_path, flag) as server, server.client() as client:

        def save(seed: int) -> bool:
            try:
                client.save(model(seed))
            except warmstart.WarmstartError as error:
                if error.reason != "QUOTA_EXCEEDED":
                    raise
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            stored = sum(pool.map(save, range(8)))
        assert stored <= 3
        assert sum(server.packs().values()) <= 3 * MIB + 64 * KIB
        assert server.staged() == []
        # Those that were refused may have met one that was received, and is gone.
        while stored < 3:
            assert save(100 + stored)
            stored += 1
        assert not save(200)


# Expiration.


def test_what_expires_is_deleted_in_the_background(tmp_path):
    with limited(tmp_path, "--housekeeping-interval=0.1") as server:
        with server.client() as client:
            goes = client.save(model(1), expires=timedelta(seconds=1)).checkpoint
            assert goes.HasField("expire_time")
            stays = client.save(model(2)).checkpoint.name
            protected = client.save_fresh(
                "NetA", alias="prod", expires=timedelta(milliseconds=1)
            ).checkpoint.name
            wait_until(lambda: names(client) == {stays, protected})
            assert len(server.packs()) == 2
            client.delete_alias("prod")
            wait_until(lambda: names(client) == {stays})
        assert f"deleted {goes.name}: expired at " in server.log()
        # The housekeeper does not hold the server up.
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 10
        server.start()


def test_an_expiration_is_set_shown_and_cleared(server):
    cli = CommandLine(server)
    handle = cli.handle("save", "--architecture", "NetA", "--ttl", "7d")
    with server.client() as client:
        then = client.get(handle).expire_time.ToDatetime(timezone.utc)
        in_a_week = datetime.now(timezone.utc) + timedelta(days=7)
        assert abs(then - in_a_week) < timedelta(minutes=1)
        assert "expires" in cli.done("show", handle).out
        assert "EXPIRES" in cli.done("list").out
        assert "never expires" in cli.done("expire", handle, "--never").out
        assert not client.get(handle).HasField("expire_time")
        assert "EXPIRES" not in cli.done("list").out
        with pytest.raises(warmstart.WarmstartError, match="expire_time"):
            client.set_expiration(handle, datetime(2020, 1, 1))


def test_a_restart_remembers_when_something_expires(server):
    with server.client() as client:
        saved = client.save(model(1), expires=timedelta(hours=1)).checkpoint
    server.stop()
    server.start()
    with server.client() as client:
        assert client.get(saved.name).expire_time == saved.expire_time


# Rules.


def test_the_newest_of_each_value_are_kept(tmp_path):
    flags = ["--keep-last=experiment:2", "--housekeeping-interval=3600"]
    with limited(tmp_path, *flags) as server, server.client() as client:
        cli = CommandLine(server)
        saved = {
            run: [
                client.save(model(i), labels={"experiment": run}).checkpoint.name
                for i in range(3)
            ]
            for run in ("a", "b")
        }
        client.set_alias("best", saved["b"][0])
        before = names(client)
        dry = cli.done("admin", "retention", "--dry-run").out
        assert saved["a"][0] in dry
        assert "experiment=a:2 keeps newer ones" in dry
        assert "would delete 1 checkpoint\n" in dry
        assert names(client) == before
        assert "deleted 1 checkpoint\n" in cli.done("admin", "retention").out
        assert names(client) == before - {saved["a"][0]}
        assert "experiment:2" in cli.done("info").out
        assert f"deleted {saved['a'][0]}: newer ones are kept by" in server.log()


@pytest.mark.parametrize(
    ("flag", "problem"),
    [
        ("--keep-last=experiment", "SELECTOR:N"),
        ("--keep-last=a,b:5", "one KEY alone"),
        ("--max-store-bytes=-1", "whole number"),
        ("--housekeeping-interval=0", "seconds"),
    ],
)
def test_flags_of_no_use_end_the_start(tmp_path, flag, problem):
    with pytest.raises(RuntimeError, match=problem):
        limited(tmp_path, flag).start()
