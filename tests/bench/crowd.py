"""Many clients that save and warm-start at once, against one."""

from __future__ import annotations

import shutil
from pathlib import Path

from bench import load
from bench.measure import median
from bench.results import Results, say
from harness.server import Server

STEPS = ("save", "warm-start")


def measure(
    results: Results, folder: Path, clients: int, rounds: int, repetitions: int
) -> None:
    """Lets one client, and then many, do `rounds` rounds, each on an empty store."""
    say(f"{clients} clients at once, against one")
    runs: dict[int, list[load.Load]] = {1: [], clients: []}
    for repetition in range(repetitions):
        for number, done in runs.items():
            data = folder / f"crowd-{number}-{repetition}"
            with Server(data) as server:
                done.append(load.run(server, number, rounds, STEPS))
            shutil.rmtree(data)
    ours, one = (
        median([run.per_second for run in done]) for done in (runs[clients], runs[1])
    )
    results.at_least(
        f"{clients} clients, saves and warm starts",
        f"{ours:.0f} in a second",
        f"one client: {one:.0f}",
        ours / one,
        "x",
        1,
    )
    report_errors(results, f"{clients} clients", runs[clients])
    for step in STEPS:
        crowd, alone = (
            [run.steps[step] for run in done] for done in (runs[clients], runs[1])
        )
        p50, p99, alone_p99 = (
            median([getattr(latency, name) for latency in latencies])
            for latencies, name in (
                (crowd, "p50_ms"),
                (crowd, "p99_ms"),
                (alone, "p99_ms"),
            )
        )
        results.told(
            f"{clients} clients, {step}, p99",
            f"{p99:.3g} ms (p50: {p50:.3g} ms)",
            f"one client: {alone_p99:.3g} ms",
            p99 / alone_p99,
            "x",
        )


def report_errors(results: Results, who: str, runs: list[load.Load]) -> None:
    """Adds a line that says how many calls failed, and notes that say why."""
    errors = sum(run.errors for run in runs)
    operations = sum(run.operations for run in runs)
    results.at_most(
        f"{who}, errors", f"{errors}", f"of {operations} calls", errors, "", 0
    )
    results.notes.extend(run.messages.strip() for run in runs if run.messages)
