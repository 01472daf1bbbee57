"""Shows what becomes of the server with many checkpoints, clients and operations.

- A store of a million checkpoints and ten million tensors, beside an empty one: the
  start, reads, writes, memory. It takes some minutes to make and 6 GB of disk;
  --store DIR keeps it for the next run.
- Many clients that save and warm-start at once, against one.
- A long run on a store of constant contents: memory, files, threads, disk.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench import catalog, crowd, soak
from bench.results import Results, machine
from harness.server import REPOSITORY

PARTS = ("catalog", "crowd", "soak")


@dataclass
class Plan:
    """How much to do."""

    checkpoints: int
    times: int  # how often each thing is timed
    clients: int  # of the crowd
    rounds: int  # of the crowd, for all of it together
    repetitions: int  # of those
    soak_clients: int
    operations: int


FULL = Plan(1_000_000, 50, 64, 1280, 3, 4, 100_000)
QUICK = Plan(2_000, 10, 8, 16, 1, 2, 210)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="little of it, to see that all of it runs"
    )
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 where an aim was missed"
    )
    parser.add_argument(
        "--part", choices=PARTS, action="append", help="only that; may be repeated"
    )
    parser.add_argument("--checkpoints", type=int, help="in the full store")
    parser.add_argument("--clients", type=int, help="at once")
    parser.add_argument("--operations", type=int, help="of the long run")
    parser.add_argument(
        "--store",
        type=Path,
        help="where the full store is made and stays; made only where it is not there",
    )
    parser.add_argument(
        "--folder", type=Path, default=REPOSITORY / "build", help="where files go"
    )
    parser.add_argument(
        "--json",
        type=Path,
        default=REPOSITORY / "build" / "bench" / "scale.json",
        help="where the results go, for programs",
    )
    return parser.parse_args()


def plan_of(arguments: argparse.Namespace) -> Plan:
    """What the command line asks for."""
    plan = QUICK if arguments.quick else FULL
    for name in ("checkpoints", "clients", "operations"):
        value = getattr(arguments, name)
        if value is not None:
            setattr(plan, name, value)
    return plan


def main() -> int:
    """The command line."""
    arguments = parse_arguments()
    plan = plan_of(arguments)
    # Gigabytes are to be removed also where this is stopped half-way.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    results = Results(machine(), aims=not arguments.quick)
    parts = arguments.part or PARTS
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="bench-") as name:
        folder = Path(name)
        if "catalog" in parts:
            store = arguments.store or folder / "full"
            catalog.measure(results, store, folder, plan.checkpoints, plan.times)
        if "crowd" in parts:
            crowd.measure(results, folder, plan.clients, plan.rounds, plan.repetitions)
        if "soak" in parts:
            soak.measure(results, folder, plan.soak_clients, plan.operations)
    results.tell(arguments.json)
    return 1 if arguments.check and not results.all_met() else 0


if __name__ == "__main__":
    sys.exit(main())
