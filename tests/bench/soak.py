"""What becomes of a server's memory, files and threads over a long run.

The clients delete what they made, so that the store has the same contents at the end
of each round, and whatever grows is a leak.
"""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from bench import load
from bench.crowd import report_errors
from bench.measure import MIB, anonymous_memory, disk_bytes, median
from bench.results import Results, say
from harness.server import Server

# A round has two deletions.
CALLS_IN_A_ROUND = len(load.ALL_STEPS) + 1

# Caches fill in the first part of the run.
WARM_UP = 1 / 3


@dataclass(frozen=True)
class Sample:
    """A look at the server."""

    seconds: float
    anonymous_bytes: int
    descriptors: int
    threads: int
    disk_bytes: int


def look(server: Server) -> Sample:
    """Takes a sample."""
    process = Path(f"/proc/{server.pid}")
    return Sample(
        time.monotonic(),
        anonymous_memory(server.pid),
        len(os.listdir(process / "fd")),
        len(os.listdir(process / "task")),
        disk_bytes(server.data_dir),
    )


def measure(results: Results, folder: Path, clients: int, operations: int) -> None:
    """Lets a few clients do so many operations."""
    say(f"{operations} operations, and what they leave")
    rounds = -(-operations // CALLS_IN_A_ROUND)
    samples: list[Sample] = []
    with Server(folder / "soak") as server:
        # Connections, threads and buffers that stay are made here.
        load.run(server, clients, 10 * clients, load.ALL_STEPS)
        before = look(server)
        samples.append(before)
        done = load.run(
            server,
            clients,
            rounds,
            load.ALL_STEPS,
            sample=lambda: samples.append(look(server)),
        )
        time.sleep(1)  # connections of the clients are let go
        after = look(server)
        samples.append(after)
    calls = rounds * CALLS_IN_A_ROUND
    report_errors(results, f"soak, {clients} clients", [done])
    results.told(
        "soak, operations in a second",
        f"{calls / done.seconds:.0f}",
        f"{calls} in {done.seconds:.0f} s",
        calls / done.seconds,
        "",
    )
    settled = samples[int(len(samples) * WARM_UP) :]
    growth = growth_of([(s.seconds, s.anonymous_bytes) for s in settled])
    results.at_most(
        "soak, growth of memory (RssAnon) in 100000 operations",
        f"{after.anonymous_bytes / MIB:.1f} MiB at the end",
        f"{before.anonymous_bytes / MIB:.1f} MiB at the start",
        growth * done.seconds / calls * 100_000 / MIB,
        " MiB",
        4,
    )
    # Pools keep what they once needed, and gRPC makes and ends threads all the time:
    # it is the middle of the last third that tells whether more is needed.
    third = max(1, len(samples) // 3)
    for what, amount, unit, aim in (
        ("open files", lambda sample: sample.descriptors, "", 2),
        ("threads", lambda sample: sample.threads, "", 2),
        ("disk", lambda sample: sample.disk_bytes / MIB, " MiB", 8),
    ):
        numbers = [amount(sample) for sample in samples]
        first, last = median(numbers[:third]), median(numbers[-third:])
        results.at_most(
            f"soak, {what}, median",
            f"{last:.0f}{unit} in the last third",
            f"{first:.0f}{unit} in the first; at most: {max(numbers):.0f}",
            last - first,
            f"{unit} more",
            aim,
        )


def growth_of(points: list[tuple[float, int]]) -> float:
    """The slope of a straight line through the points."""
    if len(points) < 2:
        return 0
    return statistics.linear_regression(*zip(*points, strict=True)).slope
