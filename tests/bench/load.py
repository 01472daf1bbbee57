"""Runs the load tool: clients in C++, which take little of the processor."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.server import Server, binary

# What a client may do in a round, in this order.
ALL_STEPS = ("save", "warm-start", "get", "list", "download", "delete")

SAMPLING_SECONDS = 0.2


@dataclass(frozen=True)
class Latency:
    """Of one step, in milliseconds."""

    count: int
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True)
class Load:
    """What a run of the tool tells."""

    seconds: float
    errors: int
    messages: str
    steps: dict[str, Latency]

    @property
    def operations(self) -> int:
        """How many steps were taken."""
        return sum(latency.count for latency in self.steps.values())

    @property
    def per_second(self) -> float:
        """How many steps were taken in each second."""
        return self.operations / self.seconds


def run(
    server: Server,
    clients: int,
    rounds: int,
    steps: Sequence[str],
    sample: Callable[[], object] | None = None,
) -> Load:
    """Lets `clients` share out so many rounds; calls `sample` now and then."""
    command = [binary("load"), server.address, str(clients), str(rounds), *steps]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as tool:
        while sample is not None and tool.poll() is None:
            sample()
            try:
                tool.wait(SAMPLING_SECONDS)
            except subprocess.TimeoutExpired:
                continue
        output, messages = tool.communicate()
    if tool.returncode not in (0, 1):
        raise RuntimeError(f"load ended with {tool.returncode}: {messages}")
    told = json.loads(output)
    return Load(
        told["seconds"],
        told["errors"],
        messages,
        {step: Latency(**latency) for step, latency in told["steps"].items()},
    )
