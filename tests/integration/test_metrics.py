"""What Prometheus gets of a server."""

from __future__ import annotations

import re
import socket
import time
import urllib.error
import urllib.request

import pytest
import torch
import warmstart
from harness.nets import NetB
from harness.server import Server
from harness.tensors import assert_same_state
from harness.waiting import wait_until

# A line of the text format: a name, labels, a number.
SAMPLE = re.compile(
    r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)"
    r"(?:\{(?P<labels>(?:[a-zA-Z_]\w*=\"(?:[^\"\\\n]|\\.)*\",?)*)\})?"
    r" (?P<value>\S+)"
)
CHECKPOINTS = 'grpc_service="warmstart.v1.Checkpoints"'


def url_of(server: Server) -> str:
    [url] = re.findall(r"metrics on (http://\S+)", server.log())
    return url


def scrape(server: Server) -> dict[str, float]:
    """All samples, by name with labels; every line must be one that is known."""
    with urllib.request.urlopen(url_of(server), timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        text = answer.read().decode()
    samples: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith(("# HELP ", "# TYPE ")):
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        labels = ",".join(sorted(filter(None, (match["labels"] or "").split(","))))
        name = match["name"] + (f"{{{labels}}}" if labels else "")
        assert name not in samples
        samples[name] = float(match["value"])
    return samples


@pytest.fixture
def watched(tmp_path):
    with Server(tmp_path / "data", "--metrics-listen=127.0.0.1:0") as server:
        yield server


def test_calls_store_models_and_process_are_told(watched):
    model = {"w": torch.ones(40_000)}
    with watched.client() as client:
        client.save(model)
        network = NetB().state_dict()
        handle = client.save(network, architecture="NetB").checkpoint.name
        images = torch.zeros(1, 3, 32, 32)
        client.forward(handle, images)
        client.forward(handle, images)
        with pytest.raises(warmstart.WarmstartError):
            client.get("checkpoints/none")

    missing = (
        f'grpc_server_handled_total{{grpc_code="NotFound",grpc_method="GetCheckpoint",'
        f'{CHECKPOINTS},grpc_type="unary"}}'
    )
    # A call is counted a moment after it was answered.
    wait_until(lambda: scrape(watched).get(missing) == 1)
    samples = scrape(watched)
    assert samples["warmstart_store_up"] == 1
    assert samples["warmstart_checkpoints"] == 2
    assert samples["warmstart_store_bytes"] >= 160_000
    assert samples["warmstart_damaged_tensors"] == 0
    assert samples['warmstart_resident_models{device="cpu"}'] == 1
    assert samples['warmstart_resident_misses_total{device="cpu"}'] == 1
    assert samples['warmstart_resident_hits_total{device="cpu"}'] == 1
    assert samples['warmstart_resident_bytes{device="cpu"}'] > 0
    assert samples["process_resident_memory_bytes"] > 10 << 20
    assert samples["process_open_fds"] > 3
    started = samples["process_start_time_seconds"]
    assert time.time() - 600 < started <= time.time() + 1
    assert any(name.startswith("warmstart_build_info{") for name in samples)


def test_a_histogram_counts_each_call_once(watched):
    with watched.client() as client:
        for _ in range(20):
            list(client.list())
    labels = f'grpc_method="ListCheckpoints",{CHECKPOINTS},grpc_type="unary"'
    name = "grpc_server_handling_seconds"
    wait_until(lambda: scrape(watched).get(f"{name}_count{{{labels}}}") == 20)
    samples = scrape(watched)
    buckets = [
        value
        for sample, value in samples.items()
        if sample.startswith(f"{name}_bucket{{") and "ListCheckpoints" in sample
    ]
    assert buckets[-1] == 20
    assert buckets == sorted(buckets)
    assert samples[f"{name}_sum{{{labels}}}"] > 0


def test_large_transfers_are_what_they_are_without(watched):
    """The calls' counters see every message of a stream, and change none."""
    generator = torch.Generator().manual_seed(1)
    model = {"w": torch.randn(4_000_000, generator=generator)}
    with watched.client() as client:
        handle = client.save(model).checkpoint.name
        assert_same_state(client.state_dict(handle), model)


def test_nothing_listens_unless_asked_to(server):
    assert "metrics" not in server.log()


def test_a_port_that_is_taken_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(RuntimeError, match=f"metrics on '{address}'"):
            Server(tmp_path / "data", f"--metrics-listen={address}").start()


def test_other_pages_are_not_there(watched):
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(url_of(watched).replace("/metrics", "/"), timeout=30)
