"""Compares the server's speed with Python's, in one run and on one disk.

- A warm start of a GPT-2-sized checkpoint with a new head, against the best that
  Python can do; and of a model ten times the size, against the first.
- Saving the same file, against a plain copy with fsync and its SHA-256.
- The server's anonymous memory during both.

The files are random, made in a folder beside the build and removed at the end.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import warmstart
from bench import gpt2
from bench.measure import MIB, MemoryPeaks, alternate, median, seconds
from bench.results import Results, machine, middle_of, milliseconds, say
from harness.cli import CommandLine
from harness.server import REPOSITORY, Server

GIB = 1 << 30


@dataclass
class Plan:
    """How much to do."""

    size: gpt2.Size
    wider: dict[int, gpt2.Size]
    python_repetitions: int = 5
    calls_for_each_of_python: int = 10
    warm_start_repetitions: int = 40
    save_repetitions: int = 7
    aims: bool = True  # whether the results are held to them


FULL = Plan(gpt2.SMALL, gpt2.WIDER)
QUICK = Plan(gpt2.QUICK_SMALL, gpt2.QUICK_WIDER, 3, 3, 10, 3, aims=False)


class Bench:
    """One run, with a server that started a moment ago."""

    def __init__(self, plan: Plan, folder: Path, server: Server) -> None:
        """Takes the memory of the server as that of its idleness."""
        self.plan = plan
        self.folder = folder
        self.server = server
        self.client = server.client()
        self.results = Results(machine(), plan.aims)
        self.memory = MemoryPeaks(server.pid)

    def run(self) -> Results:
        """Measures everything."""
        say("saving, against a copy")
        self.compare_save()
        say("warm starts, against Python")
        self.compare_warm_start()
        self.compare_memory()
        return self.results

    # Saving.

    def compare_save(self) -> None:
        """SaveModel against a plain copy with fsync and its SHA-256."""
        plan = self.plan
        path, copy = self.folder / "saved.pt", self.folder / "copy.pt"

        def fresh(repetition: int) -> None:
            # New values each time, or the server would know the tensors already.
            # What earlier ones left goes, so that both begin with the same disk and
            # page cache.
            copy.unlink(missing_ok=True)
            for checkpoint in list(self.client.list()):
                self.client.delete(checkpoint.name)
            gpt2.write_file(plan.size, path, seed=1000 + repetition)

        def prepare_save(repetition: int):
            fresh(2 * repetition)
            return lambda: self.save_with_cli(path)

        def prepare_copy(repetition: int):
            fresh(2 * repetition + 1)
            return lambda: copy_and_hash(path, copy)

        saves, copies = alternate(plan.save_repetitions, prepare_save, prepare_copy)
        size = f"{path.stat().st_size / MIB:.0f} MiB"
        ours, theirs = median(saves), median(copies)
        self.results.times |= {"save": saves, "copy_and_sha256": copies}
        self.results.at_most(
            f"save {size}",
            middle_of(saves),
            f"copy, fsync, SHA-256: {middle_of(copies)}",
            ours / theirs,
            "x",
            1.5,
        )

        fresh(10_000)
        self.save_with_cli(path)
        again = seconds(lambda: self.save_with_cli(path))
        self.results.told(
            f"save {size} that is stored already",
            milliseconds(again),
            f"the first time: {milliseconds(ours)}",
            again / ours,
            "x",
        )
        path.unlink()

    def save_with_cli(self, path: Path) -> str:
        """Saves a file as a person would, and returns the handle."""
        with self.memory.during("save"):
            return CommandLine(self.server).handle("save", path)

    # Warm starts.

    def compare_warm_start(self) -> None:
        """WarmStart against Python, and of a larger model against a smaller."""
        plan, results = self.plan, self.results
        small, path = self.prepare_model(plan.size, "Small")
        calls = plan.calls_for_each_of_python
        python, durable, ours = alternate(
            plan.python_repetitions,
            lambda _: prepare_python(plan.size, path),
            lambda _: prepare_python(plan.size, path, durable=True),
            lambda repetition: [
                partial(self.warm_start, "Small", small, repetition * calls + call)
                for call in range(calls)
            ],
        )
        # Python leaves nothing of the server's in the processor's caches.
        first = ours[::calls]
        results.times |= {
            "warm_start": ours,
            "python_warm_start": python,
            "python_warm_start_durable": durable,
        }
        results.at_least(
            f"warm start of {described(plan.size)}",
            middle_of(ours),
            f"Python: {middle_of(python)}",
            median(python) / median(ours),
            "x faster",
            100,
        )
        results.told(
            f"warm start of {described(plan.size)}, the first after Python's",
            middle_of(first),
            f"Python: {middle_of(python)}",
            median(python) / median(first),
            "x faster",
        )
        results.told(
            f"warm start of {described(plan.size)}, both synced",
            middle_of(ours),
            f"Python with fsync: {middle_of(durable)}",
            median(durable) / median(ours),
            "x faster",
        )

        factor, wider = self.widest()
        say(f"warm starts of a model {factor} times the size")
        large, path = self.prepare_model(wider, "Large")
        shorter, longer = alternate(
            plan.warm_start_repetitions,
            lambda seed: partial(self.warm_start, "Small", small, 1000 + seed),
            lambda seed: partial(self.warm_start, "Large", large, 1000 + seed),
        )
        results.times |= {"warm_start_small": shorter, "warm_start_large": longer}
        results.at_most(
            f"warm start of {wider.name}, {factor} times the size",
            middle_of(longer),
            f"{plan.size.name}: {middle_of(shorter)}",
            median(longer) / median(shorter),
            "x",
            1.2,
        )
        once = seconds(prepare_python(wider, path))
        results.times["python_warm_start_large"] = [once]
        results.told(
            f"warm start of {described(wider)}",
            middle_of(longer),
            f"Python, once: {milliseconds(once)}",
            once / median(longer),
            "x faster",
        )

    def widest(self) -> tuple[int, gpt2.Size]:
        """The largest model for which there is room on the disk and in memory."""
        free = shutil.disk_usage(self.folder).free
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        for factor, size in sorted(self.plan.wider.items(), reverse=True):
            needed = gpt2.bytes_of(size)
            # The file, the server's copy, what Python writes, and some to spare.
            if free > 4.2 * needed and memory > 1.5 * needed:
                return factor, size
            self.results.notes.append(
                f"{factor} times the size would need {4.2 * needed / GIB:.0f} GiB of "
                f"disk and {1.5 * needed / GIB:.0f} GiB of memory; a smaller model "
                "was taken."
            )
        raise RuntimeError("there is no room for a larger model")

    def prepare_model(self, size: gpt2.Size, name: str) -> tuple[str, Path]:
        """Saves a source and registers its target; the handle and the file."""
        path = self.folder / f"{name}.pt"
        gpt2.write_file(size, path, seed=1)
        handle = self.save_with_cli(path)
        self.client.register_architecture(
            warmstart.architecture_of(name, gpt2.target_on_meta(size))
        )
        # Apart from what is timed: watching costs more than a warm start.
        with self.memory.during("warm start"):
            for seed in range(self.plan.warm_start_repetitions):
                self.warm_start(name, handle, 100_000 + seed)
        return handle, path

    def warm_start(self, architecture: str, handle: str, seed: int) -> None:
        """One request; its new head has other values for each seed."""
        answer = self.client.warm_start(architecture, handle, seed=seed)
        if list(answer.report.missing_keys) != ["score.weight", "score.bias"]:
            raise RuntimeError(f"not what was to be measured: {answer.report.summary}")

    # Memory.

    def compare_memory(self) -> None:
        """The server's anonymous memory above that of its idleness."""
        for work, above in self.memory.above_idle.items():
            self.results.at_most(
                f"memory (RssAnon) during {work}",
                f"{(self.memory.idle + above) / MIB:.0f} MiB",
                f"idle: {self.memory.idle / MIB:.0f} MiB",
                above / MIB,
                " MiB more",
                200,
            )


def copy_and_hash(source: Path, copy: Path) -> None:
    """A plain copy that lasts, and the SHA-256 of it."""
    with source.open("rb") as reader, copy.open("wb") as writer:
        shutil.copyfileobj(reader, writer, MIB)
        writer.flush()
        os.fsync(writer.fileno())
    with copy.open("rb") as reader:
        hashlib.file_digest(reader, "sha256")


def prepare_python(size: gpt2.Size, path: Path, *, durable: bool = False):
    """The best that Python can do: nothing is copied before it is written.

    With `durable`, what it wrote survives a power cut, as the server's answers do.
    """
    result = path.with_name("python.pt")
    result.unlink(missing_ok=True)

    def work() -> None:
        model = gpt2.target_on_meta(size)
        state = torch.load(path, mmap=True, weights_only=True)
        model.load_state_dict(state, assign=True, strict=False)
        model.score.to_empty(device="cpu")
        model.score.reset_parameters()
        torch.save(model.state_dict(), result)
        if durable:
            with result.open("rb") as file:
                os.fsync(file.fileno())

    return work


def described(size: gpt2.Size) -> str:
    """A model for people."""
    return f"{size.name} ({gpt2.bytes_of(size) / MIB:.0f} MiB)"


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="a tiny model, to see that all of it runs"
    )
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 where an aim was missed"
    )
    parser.add_argument(
        "--folder", type=Path, default=REPOSITORY / "build", help="where files go"
    )
    parser.add_argument(
        "--json",
        type=Path,
        default=REPOSITORY / "build" / "bench" / "results.json",
        help="where the results go, for programs",
    )
    return parser.parse_args()


def main() -> int:
    """The command line."""
    arguments = parse_arguments()
    # Gigabytes are to be removed also where this is stopped half-way.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="bench-") as name:
        folder = Path(name)
        with Server(folder / "data") as server:
            plan = QUICK if arguments.quick else FULL
            results = Bench(plan, folder, server).run()
    results.tell(arguments.json)
    return 1 if arguments.check and not results.all_met() else 0


if __name__ == "__main__":
    sys.exit(main())
