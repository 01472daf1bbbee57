"""What a million checkpoints in the catalog cost those who work with a few of them.

Each time is that of a Python client on the same machine, its own share included. An
empty store is measured beside the full one, in turn.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import warmstart
from bench import gpt2
from bench.measure import MIB, alternate, anonymous_memory, disk_bytes, median
from bench.results import Results, milliseconds, say
from harness.server import Server, binary
from warmstart.v1 import checkpoints_pb2, checkpoints_pb2_grpc

Answer = TypeVar("Answer")

# Of tests/bench/synthetic_store.h.
FAMILY = 10
ARCHITECTURES = 100
TEAMS = 20

GIB = 1 << 30

# 148 keys, and 1 MB of values.
MODEL = gpt2.QUICK_SMALL
TARGET = "Bench"

_SERVING = b"\x08\x01"


def fill(folder: Path, checkpoints: int) -> None:
    """Makes a synthetic store, unless there is one."""
    if (folder / "catalog.sqlite3").exists():
        return
    say(f"making a store of {checkpoints} checkpoints")
    subprocess.run([binary("fill_store"), folder, str(checkpoints)], check=True)


class CatalogBench:
    """Measurements of a full store beside those of an empty one."""

    def __init__(
        self, results: Results, full: Path, empty: Path, checkpoints: int, times: int
    ) -> None:
        """Names the folders; most things are done `times` times."""
        self.results = results
        self.full = Server(full)
        self.empty = Server(empty)
        self.checkpoints = checkpoints
        self.times = times
        self.random = random.Random(7)

    def run(self) -> None:
        """Measures everything, and leaves the full store as it was."""
        say("starts")
        self.compare_starts()
        with (
            self.full,
            self.empty,
            self.full.client() as self.client,
            self.empty.client() as self.other,
            self.full.channel() as channel,
        ):
            # Single calls and pages, which a client does not give.
            self.stub = checkpoints_pb2_grpc.CheckpointsStub(channel)
            self.check_count()
            say("reads")
            self.time_gets()
            self.time_lists()
            say("writes")
            with self.models() as sources:
                self.compare_writes(*sources)
            self.time_scattered_writes()
            self.tell_sizes()

    def check_count(self) -> None:
        """Fails where the store was made for another run, or only in part."""
        numbers = (self.checkpoints - 1, self.checkpoints)
        found = [any(self.client.list(labels={"run": f"run-{i}"})) for i in numbers]
        if found != [True, False]:
            raise RuntimeError(
                f"{self.full.data_dir} does not hold {self.checkpoints} synthetic "
                "checkpoints; say how many with --checkpoints, or remove it"
            )

    # Starts.

    def compare_starts(self) -> None:
        """From the process's start to the first health check that says SERVING."""
        full, empty = alternate(
            max(3, self.times // 10),
            lambda _: self.prepared_start(self.full),
            lambda _: self.prepared_start(self.empty),
        )
        for server in (self.full, self.empty):
            server.stop()
        self.results.times |= {"start": full, "start_empty": empty}
        self.results.at_most(
            f"start with {self.checkpoints} checkpoints",
            milliseconds(median(full)),
            f"empty: {milliseconds(median(empty))}",
            median(full),
            " s",
            2,
        )

    def prepared_start(self, server: Server) -> Callable[[], None]:
        """A start of a server that does not run."""
        if server.running():
            server.stop()

        def start() -> None:
            server.start()
            with server.channel() as channel:
                check = channel.unary_unary("/grpc.health.v1.Health/Check")
                if check(b"") != _SERVING:
                    raise RuntimeError("the server does not serve")

        return start

    # Reads.

    def time_gets(self) -> None:
        """Gets of checkpoints all over the store, each for the first time."""
        times = []
        for i in self.some(20 * self.times):
            request = checkpoints_pb2.GetCheckpointRequest(name=self.find(i))
            times.append(timed(partial(self.stub.GetCheckpoint, request))[0])
        self.results.times["get"] = times
        self.at_most_ms("get", times, 1)

    def find(self, i: int) -> str:
        """The name of the checkpoint `i`."""
        (checkpoint,) = self.client.list(labels={"run": f"run-{i}"})
        return checkpoint.name

    def some(self, count: int) -> list[int]:
        """Numbers of checkpoints from all over the store, each once."""
        return self.random.sample(range(self.checkpoints), count)

    def time_lists(self) -> None:
        """Pages of 50, by filters of all kinds."""
        # Families by turns are of a team, so that these have what they look for.
        team = {"team": "team-3"}
        last = self.checkpoints - 1
        prod = f"Synthetic{FAMILY - 1}"  # the last of their families, all of them
        for what, filters, found in (
            ("first", {}, 50),
            ("half-way", {"page_token": self.token_half_way()}, 50),
            ("of a label that one has", {"labels": {"run": "run-7"}}, 1),
            ("of a label that 1 in 20 have", {"labels": team}, 50),
            ("of two labels", {"labels": team | {"stage": "prod"}}, 50),
            ("of a label that none has", {"labels": {"no": "such"}}, 0),
            ("of an architecture", {"architecture": "Synthetic5"}, 50),
            ("of a version", {"architecture": "Synthetic5/versions/1"}, 50),
            (
                "of an architecture and a label",
                {"architecture": "Synthetic33", "labels": team},
                50,
            ),
            (
                "of an architecture and a label that never meet",
                {"architecture": prod, "labels": {"stage": "dev"}},
                None,
            ),
            ("of an alias", {"alias": f"models/{last // 1000}/{last}"}, 1),
            ("of a prefix of 100 aliases", {"alias": "models/1/*"}, 50),
            ("of a prefix of 1 in 10", {"alias": "models/*"}, 50),
            ("of any alias", {"alias": "*"}, 50),
            ("of a prefix of none", {"alias": "none/*"}, 0),
        ):
            self.time_list(
                what, checkpoints_pb2.ListCheckpointsRequest(**filters), found
            )

    def time_list(
        self,
        what: str,
        request: checkpoints_pb2.ListCheckpointsRequest,
        found: int | None,
    ) -> None:
        """One page; it has so many checkpoints, where the store has enough."""
        times = []
        for _ in range(self.times):
            spent, page = timed(partial(self.stub.ListCheckpoints, request))
            times.append(spent)
            if found is not None and len(page.checkpoints) < min(found, self.enough):
                raise RuntimeError(f"a page {what} has {len(page.checkpoints)}")
        self.results.times[f"list {what}"] = times
        self.at_most_ms(f"list {what}", times, 10)

    @property
    def enough(self) -> int:
        """How many checkpoints each filter that finds some leaves, at least."""
        return max(1, self.checkpoints // (ARCHITECTURES * TEAMS))

    def token_half_way(self) -> str:
        """The token of a page in the middle of the store."""
        request = checkpoints_pb2.ListCheckpointsRequest(
            page_size=min(1000, self.checkpoints // 4)
        )
        for _ in range(self.checkpoints // 2 // request.page_size):
            request.page_token = self.stub.ListCheckpoints(request).next_page_token
        return request.page_token

    # Writes.

    @contextmanager
    def models(self) -> Iterator[tuple[str, str]]:
        """A model to start from in both stores, and its target; gone at the end."""
        path = self.full.data_dir.with_name("model.pt")
        gpt2.write_file(MODEL, path, seed=1)
        target = warmstart.architecture_of(TARGET, gpt2.target_on_meta(MODEL))
        names = []
        for client in (self.client, self.other):
            client.register_architecture(target)
            names.append(client.save(path).checkpoint.name)
        path.unlink()
        yield names[0], names[1]
        for client, name in zip((self.client, self.other), names, strict=True):
            client.delete(name)
            client.delete_architecture(TARGET, force=True)

    def compare_writes(self, full_source: str, empty_source: str) -> None:
        """Warm starts, aliases and deletions, on both stores in turn."""
        made: dict[warmstart.Client, list[str]] = {self.client: [], self.other: []}

        def warm_start(client: warmstart.Client, source: str, seed: int):
            def work() -> None:
                answer = client.warm_start(TARGET, source, seed=seed)
                made[client].append(answer.checkpoint.name)

            return work

        def set_alias(client: warmstart.Client, number: int):
            name = made[client][number % len(made[client])]
            return lambda: client.set_alias(f"models/1/{number}-new", name)

        def delete(client: warmstart.Client):
            name = made[client].pop()
            return lambda: client.delete(name, force=True)

        self.compare(
            "warm start",
            lambda seed: warm_start(self.client, full_source, seed),
            lambda seed: warm_start(self.other, empty_source, seed),
            1.5,
        )
        self.compare(
            "setting an alias",
            lambda number: set_alias(self.client, number),
            lambda number: set_alias(self.other, number),
            None,
        )
        self.compare(
            "deleting a warm start",
            lambda _: delete(self.client),
            lambda _: delete(self.other),
            None,
        )

    def compare(self, what: str, full, empty, aim: float | None) -> None:
        """Times one thing on both stores."""
        ours, theirs = alternate(self.times, full, empty)
        self.results.times |= {what: ours, f"{what}, empty": theirs}
        line = (
            what,
            milliseconds(median(ours)),
            f"empty: {milliseconds(median(theirs))}",
            median(ours) / median(theirs),
            "x",
        )
        if aim is None:
            self.results.told(*line)
        else:
            self.results.at_most(*line, aim)

    def time_scattered_writes(self) -> None:
        """Warm starts from checkpoints all over the store, and their deletions."""
        starts, deletions = [], []
        for i in self.some(self.times):
            source = self.find(i - i % FAMILY)
            target = f"Synthetic{i % ARCHITECTURES}"
            spent, answer = timed(partial(self.client.warm_start, target, source))
            starts.append(spent)
            spent, _ = timed(partial(self.client.delete, answer.checkpoint.name))
            deletions.append(spent)
        for what, times in (
            ("warm start from anywhere in the store", starts),
            ("deletion of it", deletions),
        ):
            self.results.times[what] = times
            self.results.told(
                what, milliseconds(median(times)), "", 1000 * median(times), " ms"
            )

    # The rest.

    def tell_sizes(self) -> None:
        """Memory after all this, and the disk."""
        full, empty = (
            anonymous_memory(server.pid) / MIB for server in (self.full, self.empty)
        )
        self.results.at_most(
            "memory (RssAnon) after all this",
            f"{full:.0f} MiB",
            f"empty: {empty:.0f} MiB",
            full - empty,
            " MiB more",
            100,
        )
        catalog = (self.full.data_dir / "catalog.sqlite3").stat().st_size
        everything = disk_bytes(self.full.data_dir)
        self.results.told(
            "disk",
            f"{everything / GIB:.2f} GiB",
            f"the catalog: {catalog / GIB:.2f} GiB",
            catalog / self.checkpoints,
            " bytes of catalog for each checkpoint",
        )

    def at_most_ms(self, what: str, times: list[float], aim: float) -> None:
        """Adds a line of a median that is to be at most `aim` milliseconds."""
        ordered = sorted(times)
        self.results.at_most(
            what,
            milliseconds(median(times)),
            f"99 of 100: {milliseconds(ordered[int(0.99 * (len(ordered) - 1))])}",
            1000 * median(times),
            " ms",
            aim,
        )


def timed(work: Callable[[], Answer]) -> tuple[float, Answer]:
    """How long it takes, and what comes of it."""
    start = time.perf_counter()
    answer = work()
    return time.perf_counter() - start, answer


def measure(
    results: Results, full: Path, folder: Path, checkpoints: int, times: int
) -> None:
    """Fills the folder `full`, unless it is full, and measures it."""
    fill(full, checkpoints)
    empty = folder / "empty"
    CatalogBench(results, full, empty, checkpoints, times).run()
    shutil.rmtree(empty)
