"""What is in the image, and what it says of itself."""

from __future__ import annotations

import json
import re
import stat
import subprocess
from pathlib import Path

import pytest
from harness.deployment import ran
from harness.server import REPOSITORY

LIMIT = 700e6
SBOMS = REPOSITORY / "build" / "image"


def files(root: Path) -> list[Path]:
    return [
        path for path in root.rglob("*") if path.is_file() and not path.is_symlink()
    ]


def test_it_is_small(image):
    assert sum(path.stat().st_size for path in files(image.root)) < LIMIT


def test_there_is_no_shell_and_no_program_but_ours(image):
    programs = {
        str(path.relative_to(image.root))
        for path in files(image.root)
        if path.stat().st_mode & 0o111 and ".so" not in path.name
    }
    assert programs == {"usr/bin/warmstart", "usr/bin/warmstart-server"}


def test_nothing_gives_privileges_or_lets_others_write(image):
    writable = set()
    for path in image.root.rglob("*"):
        mode = path.lstat().st_mode
        assert not mode & (stat.S_ISUID | (stat.S_ISGID if path.is_file() else 0)), path
        if mode & 0o002 and not path.is_symlink():
            writable.add(str(path.relative_to(image.root)))
        owner = path.lstat().st_uid
        assert owner == 0 or path == image.root / image.volume[1:], path
    assert writable == {"tmp"}


def test_libraries_are_found_wherever_the_root_is(image):
    for path in files(image.root / "usr"):
        if path.read_bytes()[:4] == b"\x7fELF":
            dynamic = ran("readelf", "--dynamic", path)
            for paths in re.findall(r"R(?:UN)?PATH\).*\[(.*)\]", dynamic):
                assert all(part.startswith("$ORIGIN") for part in paths.split(":"))


def test_it_says_how_it_is_run(image):
    config = image.config
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", config["User"])
    assert config["Entrypoint"] == ["/usr/bin/warmstart-server"]
    assert list(config["ExposedPorts"]) in (["50051"], ["50051/tcp"])
    assert config["StopSignal"] in ("SIGTERM", "15")
    # "CMD" is without a shell, "CMD-SHELL" would be with one.
    assert config["Healthcheck"]["Test"] == ["CMD", "/usr/bin/warmstart", "health"]


def test_it_says_what_it_is(image):
    labels = image.config["Labels"]
    label = "org.opencontainers.image."
    assert labels[label + "title"] == "Warmstart"
    version = (REPOSITORY / "CMakeLists.txt").read_text()
    assert f"VERSION {labels[label + 'version']} " in version
    head = ran(
        "git",
        "-C",
        REPOSITORY,
        "-c",
        f"safe.directory={REPOSITORY}",
        "rev-parse",
        "HEAD",
    )
    assert labels[label + "revision"] == head.strip()
    assert re.match(r"\d{4}-\d\d-\d\dT", labels[label + "created"])


def test_its_programs_are_of_its_version(image):
    version = image.config["Labels"]["org.opencontainers.image.version"]
    for program in ("warmstart-server", "warmstart"):
        status, said = image.run(f"/usr/bin/{program}", "--version")
        assert status == 0
        assert said.startswith(f"{program} {version}")


@pytest.mark.parametrize("name", ["cpu.spdx.json", "cpu.cdx.json"])
def test_the_sbom_knows_every_package(image, name):
    document = json.loads((SBOMS / name).read_text())
    parts = document.get("packages") or document["components"]
    found = {
        (part["name"].lower(), part.get("versionInfo") or part.get("version"))
        for part in parts
    }
    torch = (REPOSITORY / "tools" / "requirements.txt").read_text()
    [torch_version] = re.findall(r"^torch==(.*)$", torch, re.M)
    assert ("torch", torch_version) in found
    names = {each for each, _ in found}
    assert {"nvidia-cuda-runtime", "nvidia-cuda-cupti", "libc6", "libssl3"} <= names
    records = image.root / "var" / "lib" / "dpkg" / "status.d"
    packages = {path.name for path in records.iterdir()}
    assert len(packages) > 10
    assert packages <= names


def test_every_library_is_of_a_package_with_a_license(image):
    for path in files(image.root / "usr" / "lib" / "x86_64-linux-gnu"):
        name = path.relative_to(image.root / "usr")
        owner = subprocess.run(
            ["dpkg-query", "--search", f"/usr/{name}", f"/{name}"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.split(":")[0]
        if owner:  # this machine may have a newer one, under another name
            copyright_file = image.root / "usr/share/doc" / owner / "copyright"
            assert copyright_file.stat().st_size > 100
