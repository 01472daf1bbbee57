"""What a schema of many gigabytes costs the server.

    PYTHONPATH=tests:client/python python -m bench.large_schema 10

registers a model that is described on the meta device, saves a fresh one, warm-starts
another with a new head from it, and tells the server's anonymous memory at its peak.
Needs as much disk as the model has bytes, in build/ unless --folder says otherwise.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.measure import MIB, MemoryPeaks
from harness.server import REPOSITORY, Server
from torch import nn

WIDTH = 4096
LAYER_BYTES = WIDTH * WIDTH * 4

# The server's anonymous memory at most, all of it.
MOST_BYTES = 300 * MIB


@dataclass
class Cost:
    """Of the server, by what it was asked for."""

    model_bytes: int
    seconds: dict[str, float] = field(default_factory=dict)
    # Its anonymous memory at the peak, not only what it has more than when idle.
    peak_bytes: dict[str, int] = field(default_factory=dict)


class Large(nn.Module):
    """Layers of 64 MiB, an embedding of as much as a third of them, and a head."""

    def __init__(self, layers: int, classes: int) -> None:
        """Makes as many layers as are asked for, embedding included."""
        super().__init__()
        rows = WIDTH * (layers // 4)
        self.embed = nn.Embedding(rows, WIDTH)
        self.body = nn.ModuleList(
            nn.Linear(WIDTH, WIDTH) for _ in range(layers - layers // 4)
        )
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, classes)


def measure(folder: Path, gibibytes: int) -> Cost:
    """Registers, saves and warm-starts, on a server of its own in `folder`."""
    layers = (gibibytes << 30) // LAYER_BYTES
    cost = Cost(layers * LAYER_BYTES)
    with Server(folder / "data") as server, server.client() as client:
        peaks = MemoryPeaks(server.pid)

        def step(name: str, work):
            start = time.perf_counter()
            with peaks.during(name):
                result = work()
            cost.seconds[name] = time.perf_counter() - start
            cost.peak_bytes[name] = peaks.idle + peaks.above_idle[name]
            return result

        def register(name: str, classes: int) -> None:
            client.register(name, lambda: Large(layers, classes), device="meta")

        step("register", lambda: register("Large", 1000))
        register("LargeOf10", 10)
        source = step("save fresh", lambda: client.save_fresh("Large", seed=1))
        started = step(
            "warm start",
            lambda: client.warm_start(
                "LargeOf10", source.checkpoint.name, seed=2, exclude="head.*"
            ),
        )
        if list(started.report.missing_keys) != ["head.weight", "head.bias"]:
            raise RuntimeError(f"not what was to be measured: {started.report.summary}")
    return cost


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gibibytes", type=int)
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "build")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="bench-") as folder:
        cost = measure(Path(folder), arguments.gibibytes)
    print(f"a model of {cost.model_bytes / MIB:.0f} MiB")
    for name, peak in cost.peak_bytes.items():
        print(f"{name}: {cost.seconds[name]:.3g} s, RssAnon {peak / MIB:.0f} MiB")
    return int(max(cost.peak_bytes.values()) > MOST_BYTES)


if __name__ == "__main__":
    sys.exit(main())
