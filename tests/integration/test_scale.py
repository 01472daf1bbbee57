"""The benchmarks of many checkpoints, clients and operations run, and nothing fails in
them; how fast things are is no test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from bench import catalog, load
from harness.cli import CommandLine
from harness.server import REPOSITORY, Server
from warmstart.v1 import checkpoints_pb2, checkpoints_pb2_grpc

CHECKPOINTS = 12_000


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A server on a small synthetic store."""
    data = tmp_path_factory.mktemp("scale") / "data"
    catalog.fill(data, CHECKPOINTS)
    with Server(data) as running:
        yield running


def test_a_synthetic_store_is_as_good_as_any(full):
    with full.client() as client:
        (base,) = client.list(labels={"run": "run-1230"})
        (derived,) = client.list(labels={"run": "run-1239"})
        assert list(derived.origin.warm_start.sources) == [base.name]
        assert derived.architecture == "architectures/Synthetic39/versions/1"
        assert list(derived.aliases) == ["aliases/models/1/1239"]
        assert base.tensor_count == derived.tensor_count == 10
        report = client.get(derived.name, full=True).report
        assert list(report.missing_keys) == ["head.weight", "head.bias"]

        state = client.state_dict(derived.name)  # compared with their digests
        assert [len(state), state["head.weight"].shape] == [10, (4, 96)]
        started = client.warm_start("Synthetic3", derived.name, strict=True)
        assert started.report.summary == "<All keys matched successfully>"
        client.delete(started.checkpoint.name)


def test_pages_that_end_early_lead_to_the_end(full):
    """None with an alias is in the stage "dev", but to see that is a long way."""
    request = checkpoints_pb2.ListCheckpointsRequest(alias="*", labels={"stage": "dev"})
    with full.channel() as channel:
        page = checkpoints_pb2_grpc.CheckpointsStub(channel).ListCheckpoints(request)
    assert not page.checkpoints
    assert page.next_page_token
    with full.client() as client:
        assert not list(client.list(alias="*", labels={"stage": "dev"}))
        aliased = list(client.list(alias="*", page_size=1000))
        assert len(aliased) == CHECKPOINTS // catalog.FAMILY
    listed = CommandLine(full).done("list", "--alias=*", "--label=stage=dev")
    assert (listed.out, listed.err) == ("", "no checkpoints\n")


def test_many_clients_at_once_meet_no_error(server):
    done = load.run(server, clients=64, rounds=128, steps=load.ALL_STEPS)
    assert (done.errors, done.messages) == (0, "")
    for step in load.ALL_STEPS:
        assert done.steps[step].count == 128, step
    assert server.stored() == ([], [], {}, [])


def test_the_load_tool_tells_errors(server):
    server.stop()
    with pytest.raises(RuntimeError, match="load ended with 2"):
        load.run(server, clients=1, rounds=1, steps=["dance"])
    done = load.run(server, clients=2, rounds=3, steps=load.ALL_STEPS)
    assert done.errors == 3
    assert "load: save: UNAVAILABLE" in done.messages
    server.start()


def test_the_quick_benchmark_runs_and_tells_every_result(tmp_path):
    paths = [REPOSITORY / "tests", REPOSITORY / "client" / "python"]
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "bench.scale", "--quick"),
            *("--folder", tmp_path, "--json", tmp_path / "results.json"),
        ],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    told = {line["what"]: line for line in results["lines"]}
    for what in ("start with 2000 checkpoints", "get", "list half-way", "warm start"):
        assert told[what]["value"] > 0
    for what in ("8 clients, errors", "soak, 2 clients, errors"):
        assert told[what]["value"] == 0
    # The data is gone.
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_a_store_is_made_once(tmp_path):
    data = tmp_path / "data"
    catalog.fill(data, 10)
    made = (data / "catalog.sqlite3").stat().st_mtime_ns
    catalog.fill(data, 10)
    assert (data / "catalog.sqlite3").stat().st_mtime_ns == made
    assert len(list(Path(data / "packs").iterdir())) == 1
