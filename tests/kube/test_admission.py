"""The chart and the example, on Kubernetes' own API server."""

from __future__ import annotations

import copy

import pytest
from api_server import ApiServer
from harness.deployment import (
    CHART,
    VALUES,
    pods_of,
    ran,
    rendered,
    tool,
    training_job,
    values_id,
)

NAMESPACE = "restricted"
every_values = pytest.mark.parametrize("values", VALUES, ids=values_id)


@pytest.fixture(scope="session")
def api(tmp_path_factory):
    """An API server with a namespace that admits restricted pods alone."""
    with ApiServer(tmp_path_factory.mktemp("kube")) as running:
        labels = {
            f"pod-security.kubernetes.io/{mode}": "restricted"
            for mode in ("enforce", "warn")
        }
        running.create_namespace(NAMESPACE, **labels)
        yield running


def admitted(api: ApiServer, each: dict) -> None:
    answer = api.dry_run(each, NAMESPACE)
    assert answer.status in (200, 201), answer.body
    assert answer.warnings == []


def pod(spec: dict, **changes: object) -> dict:
    """A pod of its own, with what else controllers give to it."""
    spec = copy.deepcopy(spec) | {"serviceAccountName": "default"} | changes
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    spec["volumes"] = [*spec.get("volumes", []), claim]
    # What the API server looks up and is not there: no controller runs.
    for name in ("priorityClassName", "runtimeClassName"):
        spec.pop(name, None)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "tried"},
        "spec": spec,
    }


@every_values
def test_every_object_is_accepted_without_a_warning(api, values):
    for each in rendered(values):
        if each["kind"] != "Pod":  # its account is there once the chart is installed
            each["metadata"].pop("namespace", None)
            admitted(api, each)


def test_the_training_job_is_accepted_without_a_warning(api):
    for each in training_job():
        admitted(api, each)


@every_values
def test_every_pod_is_admitted_where_only_restricted_ones_are(api, values):
    for _, spec in pods_of(rendered(values)) + pods_of(training_job()):
        admitted(api, pod(spec))


def test_a_pod_that_is_not_restricted_is_not_admitted(api):
    [_, (_, spec)] = pods_of(rendered(None))
    answer = api.dry_run(pod(spec, hostNetwork=True), NAMESPACE)
    assert answer.status == 403
    assert "violates PodSecurity" in answer.body["message"]


def test_a_misspelt_field_is_refused(api):
    [each] = [each for each in rendered(None) if each["kind"] == "ServiceAccount"]
    answer = api.dry_run(each | {"automountServiceAccountTokens": False}, NAMESPACE)
    assert answer.status >= 400
    assert "automountServiceAccountTokens" in str(answer.body)


def helm(api: ApiServer, *arguments: str) -> str:
    return ran(
        tool("helm"), f"--kubeconfig={api.kubeconfig}", f"-n={NAMESPACE}", *arguments
    )


def test_helm_installs_upgrades_and_uninstalls(api):
    said = helm(api, "install", "demo", str(CHART))
    assert f"demo-warmstart.{NAMESPACE}:50051" in said
    assert "StatefulSet" in helm(api, "get", "manifest", "demo")
    helm(api, "upgrade", "demo", str(CHART), "--set=gpu.enabled=true")
    helm(api, "upgrade", "demo", str(CHART), "--set=podDisruptionBudget.enabled=true")
    helm(api, "rollback", "demo", "1")
    assert "deployed" in helm(api, "status", "demo")
    helm(api, "uninstall", "demo")
