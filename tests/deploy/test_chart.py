"""The Helm chart: what it renders, and what it refuses to render."""

from __future__ import annotations

import re
import shutil

import kubernetes_validate
import pytest
import yaml
from harness.deployment import (
    CHART,
    KUBERNETES,
    VALUES,
    containers_of,
    only,
    pods_of,
    ran,
    rendered,
    rendered_text,
    tool,
    training_job,
    values_id,
)
from harness.pod_security import violations
from harness.server import REPOSITORY

every_values = pytest.mark.parametrize("values", VALUES, ids=values_id)
VERSIONS = ["1.30", "1.34", "1.37"]
GPU, FULL, SMALL = (CHART / "ci" / f"{name}.yaml" for name in ("gpu", "full", "small"))


def server_of(objects: list[dict]) -> tuple[dict, dict]:
    """The server's pod and its container."""
    pod = only(objects, "StatefulSet")["spec"]["template"]["spec"]
    return pod, pod["containers"][0]


@every_values
def test_helm_lint_is_content(values):
    files = [f"--values={values}"] if values else []
    ran(tool("helm"), "lint", "--strict", f"--kube-version={KUBERNETES}", CHART, *files)


@every_values
@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_fits_kubernetes_schemas(values, version):
    for each in rendered(values):
        kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_training_job_fits_kubernetes_schemas(version):
    for each in training_job():
        kubernetes_validate.validate(each, version, strict=True)


def test_a_misspelt_field_does_not_fit():
    stateful_set = only(rendered(None), "StatefulSet")
    stateful_set["spec"]["template"]["spec"]["securityContexts"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(stateful_set, "1.34", strict=True)


@every_values
def test_every_pod_is_restricted(values):
    pods = pods_of(rendered(values))
    assert [name for name, _ in pods if name.endswith("-test")]
    assert len(pods) == 2
    assert {name: violations(pod) for name, pod in pods} == {
        name: [] for name, _ in pods
    }


def test_the_training_job_is_restricted():
    [(_, pod)] = pods_of(training_job())
    assert violations(pod) == []


@every_values
def test_no_pod_has_a_token_or_a_writable_root(values):
    for _, pod in pods_of(rendered(values)) + pods_of(training_job()):
        assert pod["automountServiceAccountToken"] is False
        for container in containers_of(pod):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
    account = only(rendered(values), "ServiceAccount")
    assert account["automountServiceAccountToken"] is False


@every_values
def test_the_pod_is_given_the_time_that_the_server_takes_to_stop(values):
    pod, server = server_of(rendered(values))
    [grace] = [
        float(arg.removeprefix("--grace-period="))
        for arg in server["args"]
        if arg.startswith("--grace-period=")
    ]
    pause = server.get("lifecycle", {}).get("preStop", {}).get("sleep", {})
    wanted = pause.get("seconds", 0) + grace
    assert wanted + 5 <= pod["terminationGracePeriodSeconds"] <= wanted + 15


@every_values
def test_probes_and_services_reach_the_port_that_is_listened_on(values):
    objects = rendered(values)
    _, server = server_of(objects)
    assert "--listen=[::]:50051" in server["args"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert server[probe]["grpc"]["port"] == 50051
    ports = {each["name"]: each["containerPort"] for each in server["ports"]}
    assert ports.pop("grpc") == 50051
    listened_on = [arg for arg in server["args"] if "--metrics-listen" in arg]
    assert [f"--metrics-listen=[::]:{port}" for port in ports.values()] == listened_on
    labels = only(objects, "StatefulSet")["spec"]["template"]["metadata"]["labels"]
    services = [each["spec"] for each in objects if each["kind"] == "Service"]
    assert len(services) == 2
    for service in services:
        assert service["selector"].items() <= labels.items()
        assert service["ports"][0]["targetPort"] == "grpc"
    [headless] = [each for each in services if each.get("clusterIP") == "None"]
    assert [each["targetPort"] for each in headless["ports"]] == ["grpc", *ports]


@every_values
def test_the_volume_is_where_the_server_keeps_its_data(values):
    objects = rendered(values)
    _, server = server_of(objects)
    [claim] = only(objects, "StatefulSet")["spec"]["volumeClaimTemplates"]
    mounts = {each["name"]: each["mountPath"] for each in server["volumeMounts"]}
    assert f"--data-dir={mounts[claim['metadata']['name']]}" in server["args"]


def test_the_headless_service_is_the_stateful_sets():
    objects = rendered(None)
    name = only(objects, "StatefulSet")["spec"]["serviceName"]
    assert only(objects, "Service", name)["spec"]["clusterIP"] == "None"


def test_a_cpu_is_the_default():
    pod, server = server_of(rendered(None))
    assert "nodeSelector" not in pod
    assert "tolerations" not in pod
    assert "nvidia.com/gpu" not in server["resources"]["limits"]
    assert "--device=auto" in server["args"]


def test_a_gpu_is_one_switch():
    pod, server = server_of(rendered(None, "--set=gpu.enabled=true"))
    assert server["resources"]["limits"] == {"memory": "4Gi", "nvidia.com/gpu": 1}
    assert "--device=cuda" in server["args"]
    assert server["image"].endswith("-cuda")
    assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert [each["key"] for each in pod["tolerations"]] == ["nvidia.com/gpu"]


def test_a_gpus_places_are_added_to_others():
    pod, server = server_of(rendered(GPU))
    assert server["resources"]["limits"]["nvidia.com/gpu"] == 2
    assert pod["runtimeClassName"] == "nvidia"
    assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true", "disktype": "ssd"}
    keys = {each["key"] for each in pod["tolerations"]}
    assert keys == {"nvidia.com/gpu", "training"}


def test_a_digest_goes_before_a_tag():
    _, server = server_of(rendered(FULL))
    assert re.fullmatch(r"registry.example/ml/warmstart@sha256:\w+", server["image"])


def test_the_network_policy_lets_clients_and_the_test_in_and_nothing_out():
    objects = rendered(None)
    policy = only(objects, "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == []
    [rule] = policy["ingress"]
    assert rule["ports"] == [{"port": "grpc"}]
    selectors = [peer["podSelector"]["matchLabels"] for peer in rule["from"]]
    clients = [
        only(objects, "Pod")["metadata"]["labels"],
        only(training_job(), "Job")["spec"]["template"]["metadata"]["labels"],
    ]
    for labels in clients:
        assert any(selector.items() <= labels.items() for selector in selectors)
    server = only(objects, "StatefulSet")["spec"]["template"]["metadata"]["labels"]
    assert not any(selector.items() <= server.items() for selector in selectors)
    assert policy["podSelector"]["matchLabels"].items() <= server.items()


def test_what_is_off_is_not_there():
    kinds = {each["kind"] for each in rendered(SMALL)}
    assert not kinds & {"NetworkPolicy", "PodDisruptionBudget"}
    _, server = server_of(rendered(SMALL))
    assert "lifecycle" not in server


def test_a_disruption_budget_is_of_the_servers_pod():
    objects = rendered(FULL)
    budget = only(objects, "PodDisruptionBudget")["spec"]
    assert budget["minAvailable"] == 1
    selector = only(objects, "StatefulSet")["spec"]["selector"]
    assert budget["selector"] == selector


@pytest.mark.parametrize(
    "setting",
    [
        "no.such.value=1",
        "image.repository=",
        "image.digest=latest",
        "image.pullPolicy=Sometimes",
        "server.device=tpu",
        "server.gracePeriodSeconds=-1",
        "server.gracePeriodSeconds=long",
        "server.stopDelaySeconds=0.5",
        "server.extraArgs={tls}",
        "service.type=Public",
        "service.port=0",
        "persistence.size=big",
        "persistence.accessModes=null",
        "persistence.accessModes={}",
        "gpu.enabled=maybe",
        "gpu.count=0",
        "networkPolicy.clients={}",
        "replicas=2",
    ],
)
def test_values_that_make_no_sense_are_refused(setting):
    command = (tool("helm"), "template", "demo", CHART, f"--kube-version={KUBERNETES}")
    said = ran(*command, f"--set={setting}", ok=False)
    assert setting.split("=")[0].split(".")[0] in said


def test_kubernetes_without_a_pause_of_its_own_is_refused():
    with pytest.raises(AssertionError, match="kubeVersion"):
        rendered_text(None, kubernetes="1.29.0")


def test_the_notes_name_what_was_installed(tmp_path):
    # `helm template` prints no notes, and `helm install` asks a cluster.
    chart = shutil.copytree(CHART, tmp_path / "chart")
    (chart / "templates" / "NOTES.txt").rename(chart / "notes")
    (chart / "templates" / "notes.yaml").write_text(
        'kind: Notes\ntext: {{ tpl (.Files.Get "notes") . | quote }}\n'
    )
    said = ran(
        *(tool("helm"), "template", "demo", chart, f"--kube-version={KUBERNETES}"),
        *("--namespace=models", "--set=networkPolicy.enabled=false"),
        "--show-only=templates/notes.yaml",
    )
    notes = yaml.safe_load(said)["text"]
    assert "demo-warmstart.models:50051" in notes
    assert "statefulset/demo-warmstart" in notes
    assert "without a network policy" in notes


def leaves(values: dict, prefix: str = "") -> dict[str, object]:
    """The values that README.md tells of: a map whose keys are the user's is one."""
    whole = {"resources", "gpu.nodeSelector"}
    found = {}
    for key, value in values.items():
        name = prefix + key
        if isinstance(value, dict) and value and name not in whole:
            found |= leaves(value, f"{name}.")
        else:
            found[name] = value
    return found


def test_the_readme_tells_of_every_value_and_its_default():
    rows = re.findall(
        r"^\| `([\w.]+)` \| (.*?) \| .*\|$", (CHART / "README.md").read_text(), re.M
    )
    told = dict(rows)
    assert len(told) == len(rows)
    values = leaves(yaml.safe_load((CHART / "values.yaml").read_text()))
    assert told.keys() == values.keys()
    for name, default in told.items():
        if re.fullmatch(r"`[^`]*`", default):
            assert yaml.safe_load(default.strip("`")) == values[name], name


def test_the_chart_is_of_the_servers_version():
    project = (REPOSITORY / "CMakeLists.txt").read_text()
    [version] = re.findall(r"project\(warmstart VERSION ([\d.]+)", project)
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == version
