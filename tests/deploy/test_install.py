"""`cmake --install`: a folder that works wherever it is moved to."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from harness.deployment import ran
from harness.server import Server, binary


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder, after it was moved."""
    folder = tmp_path_factory.mktemp("install")
    build = Path(binary("warmstart-server")).parents[1]
    ran("cmake", "--install", build, "--prefix", folder / "first")
    return (folder / "first").rename(folder / "moved")


def test_there_are_two_programs_and_the_libraries_that_debian_has_not(installed):
    files = {str(path.relative_to(installed)) for path in installed.rglob("*.so*")}
    assert "lib/warmstart/torch/lib/libtorch_cpu.so" in files
    assert "lib/warmstart/torch/lib/libc10.so" in files
    assert not [name for name in files if "libtorch_cuda" in name or "python" in name]
    assert len(files) < 10
    assert sorted(os.listdir(installed / "bin")) == ["warmstart", "warmstart-server"]


def test_the_server_is_linked_with_what_is_beside_it(installed):
    linked = ran("ldd", installed / "bin" / "warmstart-server")
    assert "not found" not in linked
    found = [Path(path).resolve() for path in re.findall(r"=> (/\S+)", linked)]
    beside = {path.name for path in found if path.is_relative_to(installed)}
    assert {"libtorch_cpu.so", "libc10.so"} <= beside
    for path in found:
        assert path.is_relative_to(installed) or path.is_relative_to("/usr/lib"), path


def test_the_installed_server_serves(installed, tmp_path, monkeypatch):
    monkeypatch.setenv("WARMSTART_BIN", str(installed / "bin"))
    with Server(tmp_path / "data") as server, server.client() as client:
        saved = client.save_fresh("NetA", seed=1).checkpoint.name
        assert [each.name for each in client.list()] == [saved]
