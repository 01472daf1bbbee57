"""Results: lines of a table, what they were to be, and JSON."""

from __future__ import annotations

import json
import os
import platform
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from bench.measure import median
from harness.server import binary


@dataclass
class Line:
    """One comparison."""

    what: str
    ours: str
    theirs: str
    value: float
    unit: str
    aim: str = ""
    met: bool | None = None  # None where nothing was aimed at


@dataclass
class Results:
    """All comparisons of a run."""

    machine: dict[str, object]
    aims: bool = True  # whether lines are held to what they were to be
    lines: list[Line] = field(default_factory=list)
    times: dict[str, list[float]] = field(default_factory=dict)  # seconds
    notes: list[str] = field(default_factory=list)

    def at_least(self, what, ours, theirs, value: float, unit: str, aim: float) -> None:
        """Adds a line whose value is to be `aim` or more."""
        self.told(what, ours, theirs, value, unit)
        self._hold_last_to(f">= {aim:g}{unit}", value >= aim)

    def at_most(self, what, ours, theirs, value: float, unit: str, aim: float) -> None:
        """Adds a line whose value is to be `aim` or less."""
        self.told(what, ours, theirs, value, unit)
        self._hold_last_to(f"<= {aim:g}{unit}", value <= aim)

    def _hold_last_to(self, aim: str, met: bool) -> None:
        if self.aims:
            self.lines[-1].aim, self.lines[-1].met = aim, met

    def told(self, what, ours, theirs, value: float, unit: str) -> None:
        """Adds a line that is to be nothing."""
        self.lines.append(Line(what, ours, theirs, value, unit))

    def all_met(self) -> bool:
        """Tells whether every aim was met."""
        return all(line.met is not False for line in self.lines)

    def table(self) -> str:
        """The results for people."""
        rows = [("", "server", "compared with", "result", "aim", "")]
        verdicts = {True: "met", False: "MISSED", None: ""}
        rows += [
            (
                line.what,
                line.ours,
                line.theirs,
                f"{line.value:.4g}{line.unit}",
                line.aim,
                verdicts[line.met],
            )
            for line in self.lines
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        text = [
            "  ".join(
                cell.ljust(width) for cell, width in zip(row, widths, strict=True)
            )
            for row in rows
        ]
        text.insert(1, "  ".join("-" * width for width in widths))
        text += [f"Note: {note}" for note in self.notes]
        return "\n".join(line.rstrip() for line in text)

    def tell(self, path: Path) -> None:
        """Prints the results, and writes them to `path`."""
        if self.machine["build"] != "Release":
            self.notes.append(f"this is a build of type {self.machine['build']}.")
        print(self.table())
        self.write(path)
        print(f"Written to {path}")

    def write(self, path: Path) -> None:
        """Writes the results for programs."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")


def say(what: str) -> None:
    """Tells who waits what takes so long."""
    print(f"bench: {what} ...", file=sys.stderr, flush=True)


def milliseconds(time: float) -> str:
    """A time for people."""
    return f"{time * 1000:.3g} ms" if time < 1 else f"{time:.3g} s"


def middle_of(times: list[float]) -> str:
    """The median for people, and of how many."""
    return f"{milliseconds(median(times))} (median of {len(times)})"


def machine() -> dict[str, object]:
    """Where this runs."""
    return {
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "build": build_type(),
    }


def build_type() -> str:
    """The build type of the binaries, as CMake keeps it beside them."""
    cache = Path(binary("warmstart-server")).parents[1] / "CMakeCache.txt"
    for line in cache.read_text().splitlines() if cache.exists() else ():
        if line.startswith("CMAKE_BUILD_TYPE:"):
            return line.partition("=")[2]
    return "unknown"
