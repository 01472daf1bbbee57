"""The command line tool, for servers of one test and of all."""

import pytest
from harness.cli import CommandLine


@pytest.fixture
def cli(server):
    """The tool and a server with an empty store."""
    return CommandLine(server)


@pytest.fixture
def own_client(server):
    """A client of that server."""
    with server.client() as connected:
        yield connected
