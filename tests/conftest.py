"""What the Python tests share: the stubs, and a server for each session.

The binaries are those in build/bin, or in the folder that WARMSTART_BIN names.
"""

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
sys.path.insert(0, str(TESTS.parent / "client" / "python"))

import generate_stubs  # noqa: E402  its folder is on no path before

# Before any test module is imported: all of them import the client.
generate_stubs.generate()

from harness.server import Server  # noqa: E402  needs the stubs


@pytest.fixture
def server(tmp_path):
    """A server with an empty store, for one test."""
    with Server(tmp_path / "data") as running:
        yield running


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory):
    """One server for all tests that leave each other alone."""
    with Server(tmp_path_factory.mktemp("shared") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def client(shared_server):
    """A client of the shared server."""
    with shared_server.client() as connected:
        yield connected
