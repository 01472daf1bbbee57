"""The image, and servers of it."""

import pytest
from harness.cli import CommandLine
from harness.container import ContainerServer, Image, Volume


@pytest.fixture(scope="session")
def image():
    """The image that run.sh built."""
    return Image.from_environment()


@pytest.fixture
def volume(tmp_path):
    """A new volume, with the owner that the image gives it."""
    return Volume(tmp_path / "volume").make()


@pytest.fixture
def container(image, volume):
    """A server on it, with the command line outside."""
    with ContainerServer(image, volume) as server:
        yield server


@pytest.fixture
def cli(container):
    """The command line of this machine and that server."""
    return CommandLine(container)
