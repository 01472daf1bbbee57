"""Runs an image without a container engine: in namespaces of its own, as the image's
user, on a root that cannot be written.

The kernel does here what it does for an engine: mounts and process IDs are the
container's own, the root is the image, privileges cannot come back. What an engine
adds is not here: cgroups, seccomp, and (but for `own_network`) a network.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from harness.server import Server

ENTER = Path(__file__).with_name("enter_container.py")


@dataclass
class Image:
    """An image whose root is mounted."""

    root: Path
    config: dict

    @classmethod
    def from_environment(cls) -> Image:
        """The image that tests/image/run.sh built."""
        inspected = json.loads(
            Path(os.environ["WARMSTART_IMAGE_INSPECTED"]).read_text()
        )
        return cls(
            Path(os.environ["WARMSTART_IMAGE_ROOT"]), inspected["Docker"]["config"]
        )

    @property
    def user(self) -> str:
        """Who it runs as, "UID:GID"."""
        return self.config["User"]

    @property
    def volume(self) -> str:
        """Where it keeps its data."""
        [volume] = self.config["Volumes"]
        return volume

    @property
    def command(self) -> list[str]:
        """What it runs if it is told nothing."""
        return self.config["Entrypoint"] + self.config["Cmd"]

    def start(
        self,
        *program: object,
        mounts: dict[Path, str] | None = None,
        env: dict[str, str] | None = None,
        own_network: bool = False,
        **popen: object,
    ) -> subprocess.Popen:
        """Starts a program of the image, as process 1 of its own."""
        told = {
            "root": str(self.root),
            "user": self.user,
            "mounts": {str(path): place for path, place in (mounts or {}).items()},
            "own_network": own_network,
            "env": dict(pair.split("=", 1) for pair in self.config["Env"])
            | (env or {}),
            "program": [str(part) for part in program],
        }
        return subprocess.Popen(
            [
                *("unshare", "--mount", "--pid", "--ipc", "--fork"),
                *("--kill-child", "--propagation=private"),
                *(["--net"] if own_network else []),
                *(sys.executable, ENTER, json.dumps(told)),
            ],
            **popen,
        )

    def run(self, *program: object, **options: object) -> tuple[int, str]:
        """Runs a program to its end; returns its exit status and what it said."""
        process = self.start(
            *program,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )
        said, _ = process.communicate(timeout=120)
        return process.returncode, said


def init_process(unshare: subprocess.Popen) -> int:
    """Process 1 of a container, by its number outside."""
    children = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children")
    deadline = time.monotonic() + 10
    while not children.read_text().split() and time.monotonic() < deadline:
        time.sleep(0.01)
    [child] = children.read_text().split()
    return int(child)


@dataclass
class Volume:
    """A folder as an engine hands it to the container."""

    path: Path
    owner: int = 10001
    group: int = 10001
    mode: int = 0o750
    entries: list[str] = field(default_factory=list)

    def make(self) -> Path:
        """Makes it."""
        self.path.mkdir(parents=True)
        for name in self.entries:
            (self.path / name).mkdir(mode=0o700)
        os.chown(self.path, self.owner, self.group)
        self.path.chmod(self.mode)
        return self.path


class ContainerServer(Server):
    """The server of the image on a volume, as the image's command starts it.

    But for the port, which is a free one of the loopback, and its file.
    """

    def __init__(self, image: Image, volume: Path, *flags: str) -> None:
        """Takes the image, the volume's folder, and more flags."""
        super().__init__(volume, *flags)
        self._image = image
        self._tmp = volume.with_name(volume.name + ".tmp")
        self._tmp.mkdir(exist_ok=True)
        self._tmp.chmod(0o1777)
        self._port_file = self._tmp / "port"

    def spawn(self) -> subprocess.Popen:
        """Starts the container."""
        with self.log_path.open("ab") as log:
            return self._image.start(
                *self._image.command,
                "--listen=127.0.0.1:0",
                "--port-file=/tmp/port",
                *self._flags,
                mounts={self.data_dir: self._image.volume, self._tmp: "/tmp"},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def terminate(self) -> None:
        """Asks the server to end, as an engine does: by a signal to its process 1."""
        os.kill(self.init_pid, signal.SIGTERM)

    @property
    def init_pid(self) -> int:
        """The server's process."""
        return init_process(self._running_process())
