"""The command line tool, run as a person or a script runs it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass

from harness.server import Server, binary

DONE, FAILED, USAGE, NOT_MET = range(4)


@dataclass
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    def json(self) -> dict:
        """What it printed, with --json."""
        return json.loads(self.out)


class CommandLine:
    """`warmstart`, told of a server by its environment."""

    def __init__(self, server: Server) -> None:
        """Takes the server."""
        self._server = server

    def run(self, *arguments: object, stdin: str = "") -> Ran:
        """Runs a command."""
        done = subprocess.run(
            [binary("warmstart"), *map(str, arguments)],
            env=os.environ | {"WARMSTART_SERVER": self._server.address},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def done(self, *arguments: object, stdin: str = "") -> Ran:
        """Runs a command that has to succeed."""
        ran = self.run(*arguments, stdin=stdin)
        assert ran.code == DONE, f"exit code {ran.code}\n{ran.out}\n{ran.err}"
        return ran

    def handle(self, *arguments: object) -> str:
        """Runs a command that makes a checkpoint, and returns its handle."""
        return self.done(*arguments, "--quiet").out.strip()
