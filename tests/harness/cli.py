"""The command line tool, run as a person or a script runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import dataclass

from harness.proxy import Proxy
from harness.server import Server, binary

DONE, FAILED, USAGE, NOT_MET, UNSOUND = range(5)


@dataclass
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    def json(self) -> dict:
        """What it printed, with --json."""
        return json.loads(self.out)


class Running:
    """A command that was started."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Takes the process."""
        self._process = process

    def ended(self) -> bool:
        """Tells whether the process is gone."""
        return self._process.poll() is not None

    def pause(self) -> None:
        """Makes the command stand still; `kill` ends it also then."""
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """Ends the command without a chance to clean up."""
        self._process.kill()
        self._process.communicate()

    def wait(self, stdin: str = "") -> Ran:
        """Waits for the command's end."""
        try:
            out, err = self._process.communicate(stdin, timeout=120)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise
        return Ran(self._process.returncode, out, err)


class CommandLine:
    """`warmstart`, told of a server by its environment."""

    def __init__(self, server: Server | Proxy) -> None:
        """Takes the server, or the way to it."""
        self._server = server

    def run(self, *arguments: object, stdin: str = "") -> Ran:
        """Runs a command."""
        return self.start(*arguments).wait(stdin)

    def start(self, *arguments: object) -> Running:
        """Starts a command, and does not wait for its end."""
        return Running(
            subprocess.Popen(
                [binary("warmstart"), *map(str, arguments)],
                env=os.environ | {"WARMSTART_SERVER": self._server.address},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )

    def done(self, *arguments: object, stdin: str = "") -> Ran:
        """Runs a command that has to succeed."""
        ran = self.run(*arguments, stdin=stdin)
        assert ran.code == DONE, f"exit code {ran.code}\n{ran.out}\n{ran.err}"
        return ran

    def handle(self, *arguments: object) -> str:
        """Runs a command that makes a checkpoint, and returns its handle."""
        return self.done(*arguments, "--quiet").out.strip()
