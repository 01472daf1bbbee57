"""The unit on a machine with systemd, installed as the guide says."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from harness.deployment import ran
from harness.machine import Machine
from harness.server import REPOSITORY, binary

CLIENT = "/opt/warmstart/bin/warmstart"


@pytest.fixture(scope="module")
def machine():
    """A machine that the server was copied to, and where it was never started."""
    root = Path(os.environ["WARMSTART_MACHINE_ROOT"])
    build = Path(binary("warmstart-server")).parents[1]
    ran("cmake", "--install", build, "--prefix", root / "opt/warmstart", "--strip")
    unit = REPOSITORY / "deploy" / "systemd" / "warmstart.service"
    shutil.copy(unit, root / "etc/systemd/system")
    # An engine brings these to a container; a machine has them.
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
    with Machine(root) as booted:
        yield booted


@pytest.fixture
def served(machine):
    """That machine, with the server running."""
    machine.run("systemctl", "enable", "--now", "warmstart")
    deadline = time.monotonic() + 30
    while machine.try_to(CLIENT, "health")[0] != 0:
        assert time.monotonic() < deadline, log(machine)
        time.sleep(0.1)
    return machine


def log(machine: Machine) -> str:
    return machine.run("journalctl", "--unit=warmstart", "--no-pager")


def test_the_recipe_works_in_the_units_sandbox(served):
    served.run(CLIENT, "save", "--architecture=NetA", "--seed=7", "--alias=net-a")
    served.run(CLIENT, "warm-start", "NetB", "--from=aliases/net-a", "--strict")
    served.run(CLIENT, "download", "aliases/net-a", "--output=/tmp/net_a.pt")
    assert served.show("warmstart", "NRestarts") == "0"


def test_the_sandbox_hides_nothing_that_the_server_or_libtorch_asks_for(served):
    assert "listening on localhost:50051" in log(served)
    assert "rror" not in log(served)


def test_the_server_has_no_privilege(served):
    pid = served.show("warmstart", "MainPID")
    lines = served.run("cat", f"/proc/{pid}/status").splitlines()
    status = {name: value.split() for name, value in (x.split(":", 1) for x in lines)}
    assert int(status["Uid"][0]) >= 61184  # the range of DynamicUser
    assert int(status["CapBnd"][0], 16) == 0
    assert status["NoNewPrivs"] == ["1"]
    assert status["Seccomp"] == ["2"]


def test_data_belongs_to_the_service_alone(served):
    mode = served.run("stat", "--format=%a", "/var/lib/private/warmstart").strip()
    assert mode == "700"


def test_a_restart_finds_everything(served):
    before = served.run(CLIENT, "list", "--quiet")
    saved = served.run(CLIENT, "save", "--architecture=NetB", "--quiet")
    served.run("systemctl", "stop", "warmstart")
    assert served.show("warmstart", "Result") == "success"
    assert served.show("warmstart", "ExecMainStatus") == "0"
    assert "warmstart-server: stopped" in log(served)
    served.run("systemctl", "start", "warmstart")
    deadline = time.monotonic() + 30
    while served.try_to(CLIENT, "health")[0] != 0:
        assert time.monotonic() < deadline, log(served)
        time.sleep(0.1)
    assert served.run(CLIENT, "list", "--quiet") == saved + before


def test_a_crash_is_followed_by_a_start(served):
    before = served.run(CLIENT, "list", "--quiet")
    served.run("systemctl", "kill", "--signal=SIGKILL", "warmstart")
    deadline = time.monotonic() + 30
    while served.show("warmstart", "NRestarts") == "0" or (
        served.try_to(CLIENT, "health")[0] != 0
    ):
        assert time.monotonic() < deadline, log(served)
        time.sleep(0.1)
    assert served.run(CLIENT, "list", "--quiet") == before
