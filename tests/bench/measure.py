"""Measuring: wall-clock time, a process's memory, a folder's size."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

MIB = 1 << 20

Work = Callable[[], object]


def seconds(work: Callable[[], object]) -> float:
    """How long `work` takes, on a disk that has nothing else to write."""
    os.sync()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def alternate(
    repetitions: int, *works: Callable[[int], Work | Sequence[Work]]
) -> list[list[float]]:
    """Times several works in turn, so that the machine's moods meet all of them.

    Each of `works` prepares a repetition, which is not timed, and returns what is:
    one thing, or several that are timed one after another.
    """
    times: list[list[float]] = [[] for _ in works]
    for repetition in range(repetitions):
        for prepare, spent in zip(works, times, strict=True):
            prepared = prepare(repetition)
            timed = [prepared] if callable(prepared) else prepared
            spent.extend(seconds(work) for work in timed)
    return times


def median(times: list[float]) -> float:
    """The middle one."""
    return statistics.median(times)


def anonymous_memory(pid: int) -> int:
    """RssAnon of a process, in bytes: its memory without mapped files."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"the kernel tells no RssAnon of process {pid}")


def disk_bytes(folder: Path) -> int:
    """What the files of a folder take on the disk."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(path, name)).st_blocks * 512
            except FileNotFoundError:
                continue  # it went meanwhile
    return total


class MemoryPeaks:
    """The largest RssAnon of a process, for each kind of work."""

    INTERVAL_SECONDS = 0.005

    def __init__(self, pid: int) -> None:
        """Takes the process's memory of now as that of its idleness."""
        self.idle = anonymous_memory(pid)
        self.above_idle: dict[str, int] = {}
        self._pid = pid

    @contextmanager
    def during(self, work: str) -> Iterator[None]:
        """Watches while the block runs."""
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(work, done))
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()

    def _watch(self, work: str, done: threading.Event) -> None:
        while True:
            above = anonymous_memory(self._pid) - self.idle
            self.above_idle[work] = max(self.above_idle.get(work, 0), above)
            if done.wait(self.INTERVAL_SECONDS):
                return
