"""The Dockerfile and the compose file."""

from __future__ import annotations

import re

import pytest
import yaml
from harness.deployment import CHART, ran, tool
from harness.server import REPOSITORY

DOCKER = REPOSITORY / "deploy" / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVER = COMPOSE["services"]["server"]


def test_hadolint_is_content():
    config = REPOSITORY / ".hadolint.yaml"
    ran(tool("hadolint"), "--config", config, DOCKER / "Dockerfile")


def test_hadolint_would_not_be_content_with_anything(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM debian\nRUN cd /tmp && sudo ls\n")
    config = REPOSITORY / ".hadolint.yaml"
    said = ran(tool("hadolint"), "--config", config, tmp_path / "Dockerfile", ok=False)
    assert "DL3004" in said


def test_dclint_is_content():
    ran(tool("dclint"), "--max-warnings=0", DOCKER / "compose.yaml")


def test_dclint_would_not_be_content_with_anything(tmp_path):
    file = tmp_path / "compose.yaml"
    file.write_text("services: {a: {image: x:1, port: 5}}\n")
    ran(tool("dclint"), file, ok=False)


def test_the_image_compiles_with_packages_that_everybody_installs():
    wanted = re.search(r"no-install-recommends (.*?) *\\?\n *&&", DOCKERFILE, re.S)
    packages = set(wanted[1].replace("\\\n", " ").split()) - {"python3-pip"}
    listed = (REPOSITORY / "tools" / "apt-packages.txt").read_text()
    assert packages <= set(re.findall(r"^[\w.+-]+", listed, re.M))
    assert len(packages) > 10


def test_the_base_is_an_argument():
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)[0] == "${BASE_IMAGE}"
    assert "ARG BASE_IMAGE=debian:12-slim\n" in DOCKERFILE


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_there_is_a_target(target):
    assert re.search(rf"^FROM runtime AS {target}$", DOCKERFILE, re.M)


def test_the_images_user_is_the_charts():
    [user] = re.findall(r"^USER (\d+):\d+$", DOCKERFILE, re.M)
    assert f"runAsUser: {user}" in (CHART / "templates" / "_helpers.tpl").read_text()
    assert f"user_id={user}\n" in (DOCKER / "make_root.sh").read_text()


def test_compose_is_hardened():
    assert SERVER["read_only"] is True
    assert SERVER["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in SERVER["security_opt"]


def test_compose_keeps_data_in_a_named_volume():
    [volume] = SERVER["volumes"]
    name, place = volume.split(":")
    assert name in COMPOSE["volumes"]
    assert f'VOLUME ["{place}"]' in DOCKERFILE


def test_compose_opens_the_port_to_this_machine_alone():
    assert SERVER["ports"] == ["127.0.0.1:50051:50051"]


def test_compose_waits_for_the_drain():
    source = (REPOSITORY / "server" / "main.cc").read_text()
    [grace] = re.findall(r"double grace_seconds = (\d+);", source)
    assert float(SERVER["stop_grace_period"].removesuffix("s")) >= float(grace) + 5


def test_compose_checks_health_as_the_image_does():
    assert str(SERVER["healthcheck"]["test"]).replace("'", '"') in re.sub(
        r"CMD (\[)", r'\1"CMD", ', DOCKERFILE
    )


def test_compose_runs_the_image_that_make_builds():
    [version] = re.findall(
        r"^project\(warmstart VERSION ([\d.]+)",
        (REPOSITORY / "CMakeLists.txt").read_text(),
        re.M,
    )
    assert SERVER["image"] == f"warmstart:{version}"
