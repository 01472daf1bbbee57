"""The benchmark runs; how fast things are is no test."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from harness.server import REPOSITORY


def test_the_quick_benchmark_runs_and_tells_every_result(tmp_path):
    paths = [REPOSITORY / "tests", REPOSITORY / "client" / "python"]
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "bench.bench", "--quick"),
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
    assert len(results["lines"]) == 9
    for line in results["lines"]:
        assert line["what"] in ran.stdout
        assert line["value"] >= 0
    assert all(times and min(times) > 0 for times in results["times"].values())
    # The data is gone.
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
