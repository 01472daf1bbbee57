"""A fake server and a client of it, for each test."""

import pytest
import warmstart
from client.python.fake_server import FakeServer
from warmstart import connection


@pytest.fixture
def fake():
    """The server."""
    server = FakeServer()
    yield server
    server.stop()


@pytest.fixture
def fake_client(fake, monkeypatch):
    """A client that loses no time between two tries."""
    monkeypatch.setattr(connection, "_FIRST_DELAY_SECONDS", 0.001)
    with warmstart.Client(fake.address) as client:
        yield client
