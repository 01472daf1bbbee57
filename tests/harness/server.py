"""A real server process, on a free port of this machine, for tests."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import grpc
import warmstart

REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS = 60
STOP_SECONDS = 30


def binary(name: str) -> str:
    """The path of a program that was built."""
    folder = Path(os.environ.get("WARMSTART_BIN", REPOSITORY / "build" / "bin"))
    path = folder / name
    if not path.exists():
        raise FileNotFoundError(f"{path}: run `make build`, or set WARMSTART_BIN")
    return str(path)


class Server:
    """A server that runs from `start` to `stop`, or for a `with` block.

    Starting it again opens the same data folder.
    """

    def __init__(self, data_dir: Path, *flags: str) -> None:
        """Names the data folder, and flags besides the usual ones."""
        self.data_dir = data_dir
        self.log_path = data_dir.with_name(data_dir.name + ".log")
        self._port_file = data_dir.with_name(data_dir.name + ".port")
        self._flags = flags
        self._listen = "127.0.0.1:0"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Server:
        """Starts the server."""
        return self.start()

    def __exit__(self, *exception: object) -> None:
        """Stops the server; that it lives and stops cleanly is part of every test."""
        if self._process is not None:
            status = self.stop()
            assert status == 0, f"exit status {status}\n{self.log()}"

    def restart(self) -> Server:
        """Starts the server anew, where it listened before."""
        self._listen = self.address
        return self.start()

    def start(self) -> Server:
        """Starts the server and waits until it listens."""
        self._port_file.unlink(missing_ok=True)
        self._process = self.spawn()
        deadline = time.monotonic() + START_SECONDS
        while not self._listens():
            if not self.running():
                self._process = None
                raise RuntimeError(f"the server ended:\n{self.log()}")
            if time.monotonic() > deadline:
                self.kill()
                raise TimeoutError(f"the server does not listen:\n{self.log()}")
            time.sleep(0.005)
        return self

    def spawn(self) -> subprocess.Popen[bytes]:
        """Starts a process on the data folder, without waiting for it."""
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                [
                    binary("warmstart-server"),
                    f"--listen={self._listen}",
                    f"--port-file={self._port_file}",
                    f"--data-dir={self.data_dir}",
                    "--device=cpu",
                    "--grace-period=1",
                    *self._flags,
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def stop(self) -> int:
        """Asks the server to end, and returns its exit status."""
        self.terminate()
        return self.wait()

    def terminate(self) -> None:
        """Asks the server to end."""
        self._running_process().send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Waits for the server's end, and returns its exit status."""
        process = self._running_process()
        try:
            status = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self._process = None
        return status

    def pause(self) -> None:
        """Makes the server stand still; `kill` ends it also then."""
        self._running_process().send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """Ends the server without a chance to clean up."""
        process = self._running_process()
        process.kill()
        process.wait()
        self._process = None

    def running(self) -> bool:
        """Tells whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process."""
        return self._running_process().pid

    @property
    def address(self) -> str:
        """Where it listens, "127.0.0.1:port"."""
        return f"127.0.0.1:{int(self._port_file.read_text())}"

    def channel(self) -> grpc.Channel:
        """A new channel to it, for requests that no client would send."""
        return grpc.insecure_channel(self.address)

    def client(self, **options: object) -> warmstart.Client:
        """A new client of it."""
        return warmstart.Client(self.address, **options)

    def log(self) -> str:
        """What it said so far."""
        return self.log_path.read_text(errors="replace")

    def staged(self) -> list[str]:
        """What lies in staging/, where nothing may be left by a request."""
        return sorted(path.name for path in (self.data_dir / "staging").iterdir())

    def uploads(self) -> list[str]:
        """What lies in uploads/."""
        return sorted(path.name for path in (self.data_dir / "uploads").iterdir())

    def stored(self) -> tuple:
        """All that it keeps: what a request that failed must leave as it was."""
        with self.client() as client:
            checkpoints = [checkpoint.name for checkpoint in client.list()]
            aliases = [(alias.name, alias.checkpoint) for alias in client.aliases()]
        return checkpoints, aliases, self.packs(), self.staged()

    def packs(self) -> dict[str, int]:
        """The sizes of the packs."""
        packs = (self.data_dir / "packs").rglob("*")
        return {path.name: path.stat().st_size for path in packs if path.is_file()}

    def _listens(self) -> bool:
        # The server puts the file in place whole; an empty one is not yet it.
        return self._port_file.exists() and bool(self._port_file.read_text().strip())

    def _running_process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process
