"""A machine with systemd: a folder, booted in namespaces of its own.

Kernel and devices are this machine's; process 1, units and their sandboxes are real.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from harness.container import init_process

BOOT_SECONDS = 60
ENTER = Path(__file__).with_name("enter_machine.py")


class Machine:
    """Runs for a `with` block."""

    def __init__(self, root: Path) -> None:
        """Takes the folder of the machine's root."""
        self._root = root
        self._unshare: subprocess.Popen | None = None

    def __enter__(self) -> Machine:
        """Boots it, and waits until it is up."""
        namespaces = ("mount", "pid", "uts", "ipc", "cgroup", "net")
        self._unshare = subprocess.Popen(
            [
                "unshare",
                *(f"--{name}" for name in namespaces),
                *("--fork", "--kill-child", "--propagation=private"),
                *(sys.executable, ENTER, self._root),
            ],
            stdin=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + BOOT_SECONDS
            while self.try_to("systemctl", "is-system-running", "--wait")[1] not in (
                "running\n",
                "degraded\n",  # a unit that a container has no use for
            ):
                assert time.monotonic() < deadline, "systemd does not come up"
                time.sleep(0.2)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        """Pulls the plug."""
        self._unshare.kill()
        self._unshare.wait()

    def try_to(self, *command: str) -> tuple[int, str]:
        """Runs a command there; returns its exit status and what it said."""
        pid = init_process(self._unshare)
        done = subprocess.run(
            # --root: this machine's may be a folder of another's, by chroot.
            ["nsenter", f"--target={pid}", "--all", "--root", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BOOT_SECONDS,
            check=False,
        )
        return done.returncode, done.stdout

    def run(self, *command: str) -> str:
        """Runs a command that has to succeed, and returns what it said."""
        status, said = self.try_to(*command)
        assert status == 0, said
        return said

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run(
            "systemctl", "show", "--value", f"--property={name}", unit
        ).strip()
