"""The systemd unit, by systemd's own tools."""

from __future__ import annotations

import configparser
import re

import pytest
from harness.deployment import ran
from harness.server import REPOSITORY, binary

UNIT = REPOSITORY / "deploy" / "systemd" / "warmstart.service"
# Of 100: systemd calls up to 20 "safe".
EXPOSURE = 15


@pytest.fixture
def installable(tmp_path):
    """The unit, with a program that is there."""
    text = UNIT.read_text()
    assert "/opt/warmstart/bin/warmstart-server" in text
    path = tmp_path / UNIT.name
    path.write_text(
        text.replace("/opt/warmstart/bin/warmstart-server", binary("warmstart-server"))
    )
    return path


def service() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string(UNIT.read_text())
    return parser["Service"]


def test_systemd_understands_it(installable):
    assert ran("systemd-analyze", "verify", "--man=no", installable) == ""


def test_a_misspelt_directive_is_seen(installable):
    installable.write_text(
        installable.read_text().replace("ProtectHome=", "ProtectHouse=")
    )
    assert "ProtectHouse" in ran("systemd-analyze", "verify", "--man=no", installable)


def test_little_is_exposed(installable):
    ran(
        *("systemd-analyze", "security", "--offline=yes", "--no-pager"),
        *(f"--threshold={EXPOSURE}", installable),
    )


def test_without_its_sandbox_more_would_be_exposed(installable):
    kept = [
        line
        for line in installable.read_text().splitlines()
        if not re.match(r"Protect|Private|Restrict|SystemCall|Capability", line)
    ]
    installable.write_text("\n".join(kept))
    said = ran(
        *("systemd-analyze", "security", "--offline=yes", "--no-pager"),
        *(f"--threshold={EXPOSURE}", installable),
        ok=False,
    )
    assert "Overall exposure level" in said


def test_it_waits_for_the_drain():
    [grace] = re.findall(r"--grace-period=(\d+)", UNIT.read_text())
    assert int(service()["TimeoutStopSec"]) >= int(grace) + 5


def test_data_is_where_systemd_makes_room_for_it():
    assert f"--data-dir=%S/{service()['StateDirectory']} " in UNIT.read_text()


def test_it_listens_where_packets_are_let_through():
    assert "WARMSTART_LISTEN=localhost:" in UNIT.read_text()
    assert service()["IPAddressAllow"] == "localhost"
