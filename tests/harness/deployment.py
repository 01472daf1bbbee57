"""What deploy/ says, read with the tools of its readers."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import yaml

from harness.server import REPOSITORY

CHART = REPOSITORY / "deploy" / "helm" / "warmstart"
JOB = REPOSITORY / "deploy" / "kubernetes" / "training-job.yaml"
VALUES = [None, *sorted((CHART / "ci").glob("*.yaml"))]
KUBERNETES = "1.34.0"


def values_id(values: Path | None) -> str:
    """A test's name for a file of values."""
    return values.stem if values else "default"


def tool(name: str) -> str:
    """The path of a tool that tools/setup_deploy.sh or setup.sh installed."""
    for variable, folder in (
        ("WARMSTART_DEPLOY_TOOLS", ""),
        ("WARMSTART_VENV", "bin"),
    ):
        path = Path(os.environ[variable], folder, name)
        if path.is_file():
            return str(path)
    raise FileNotFoundError(f"{name}: run tools/setup_deploy.sh")


def ran(*command: object, ok: bool = True) -> str:
    """Runs a command that has to succeed, or to fail, and returns what it said."""
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode == 0) == ok, done.stdout
    return done.stdout


def rendered_text(
    values: Path | None, *arguments: str, kubernetes: str = KUBERNETES
) -> str:
    """What `helm template` prints for a release called demo."""
    return ran(
        tool("helm"),
        "template",
        "demo",
        CHART,
        f"--kube-version={kubernetes}",
        "--namespace=models",
        *([f"--values={values}"] if values else []),
        *arguments,
    )


def rendered(values: Path | None, *arguments: str) -> list[dict]:
    """The objects of the chart."""
    return list(yaml.safe_load_all(rendered_text(values, *arguments)))


def training_job() -> list[dict]:
    """The objects of the example."""
    return list(yaml.safe_load_all(JOB.read_text()))


def only(objects: list[dict], kind: str, name: str = "") -> dict:
    """The one object of a kind, and of a name that ends so."""
    found = [
        each
        for each in objects
        if each["kind"] == kind and each["metadata"]["name"].endswith(name)
    ]
    assert len(found) == 1, f"{len(found)} of {kind} {name}"
    return found[0]


def pods_of(objects: list[dict]) -> list[tuple[str, dict]]:
    """The pods that objects are or make, as a name and a spec."""
    pods = []
    for each in objects:
        spec = each.get("spec", {})
        if each["kind"] == "Pod":
            pods.append((each["metadata"]["name"], spec))
        elif "template" in spec:
            pods.append((each["metadata"]["name"], spec["template"]["spec"]))
    return pods


def containers_of(pod: dict) -> list[dict]:
    """All containers of a pod, in the order in which they start."""
    return pod.get("initContainers", []) + pod["containers"]
