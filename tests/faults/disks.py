"""Disks that fill up, and that cannot be written."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
from pathlib import Path

from harness.server import Server


def _run(*command: object) -> bool:
    """Runs a command; whether it succeeded."""
    arguments = [str(argument) for argument in command]
    return subprocess.run(arguments, capture_output=True, check=False).returncode == 0


class FileSystem:
    """A small file system of its own, in memory. It takes root to mount it."""

    def __init__(self, folder: Path, megabytes: int = 64) -> None:
        """Mounts it on a new folder; PermissionError where that is forbidden."""
        self.folder = folder
        self._ballast = folder / "ballast"
        folder.mkdir()
        if not _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "-", folder):
            raise PermissionError(f"cannot mount on {folder}")

    def close(self) -> None:
        """Unmounts it."""
        assert _run("umount", self.folder)

    def fill(self, _: Server, leave: int) -> None:
        """Takes all space but `leave` bytes."""
        free = os.statvfs(self.folder).f_bavail * os.statvfs(self.folder).f_frsize
        with self._ballast.open("wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, free - leave)

    def relieve(self, _: Server) -> None:
        """Gives the space back."""
        self._ballast.unlink()

    def forbid_writing(self) -> None:
        """Makes it read-only; nothing on it may be open for writing."""
        assert _run("mount", "-o", "remount,ro", self.folder)

    def allow_writing(self) -> None:
        """Undoes that."""
        assert _run("mount", "-o", "remount,rw", self.folder)


class FileSizeLimit:
    """A limit on the size of a server's files, which needs no root."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder."""
        self.folder = folder
        folder.mkdir()

    def close(self) -> None:
        """Nothing is left to undo."""

    def fill(self, server: Server, leave: int) -> None:
        """Lets no file of the server become larger than `leave` bytes."""
        self._limit(server, leave)

    def relieve(self, server: Server) -> None:
        """Lifts the limit."""
        self._limit(server, resource.RLIM_INFINITY)

    def forbid_writing(self) -> None:
        """Takes the permission, which counts for all but root."""
        self.folder.chmod(0o500)

    def allow_writing(self) -> None:
        """Undoes that."""
        self.folder.chmod(0o700)

    @staticmethod
    def _limit(server: Server, size: int) -> None:
        _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, hard))


def can_mount() -> bool:
    """Whether this process may mount: it is root, and not confined."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            FileSystem(Path(folder) / "trial").close()
        except PermissionError:
            return False
    return True
