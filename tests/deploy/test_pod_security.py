"""The checker of the restricted profile finds what is to be found."""

import copy

import pytest
from harness.pod_security import violations

RESTRICTED = {
    "securityContext": {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
    "containers": [
        {
            "name": "a",
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
            },
        }
    ],
    "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "x"}}],
}


def changed(path: str, value: object) -> dict:
    """That pod, with one value set, or taken away where it is None."""
    pod = copy.deepcopy(RESTRICTED)
    *parents, last = path.split(".")
    place = pod
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return pod


def test_a_restricted_pod_violates_nothing():
    assert violations(RESTRICTED) == []


@pytest.mark.parametrize(
    ("path", "value", "violation"),
    [
        ("hostNetwork", True, "hostNetwork"),
        ("hostPID", True, "hostPID"),
        ("hostIPC", True, "hostIPC"),
        ("volumes", [{"name": "h", "hostPath": {"path": "/"}}], "volume hostPath"),
        ("volumes", [{"name": "n", "nfs": {}}], "volume nfs"),
        ("securityContext.sysctls", [{"name": "kernel.msgmax"}], "sysctl kernel.msg"),
        ("securityContext.runAsNonRoot", None, "a: runAsNonRoot"),
        ("securityContext.runAsUser", 0, "a: runAsUser is 0"),
        ("securityContext.seccompProfile", None, "a: seccompProfile"),
        ("securityContext.seccompProfile.type", "Unconfined", "a: seccompProfile"),
        ("containers.0.securityContext", {}, "a: allowPrivilegeEscalation"),
        ("containers.0.securityContext.capabilities", None, "a: capabilities"),
        ("containers.0.securityContext.capabilities.drop", ["NET_RAW"], "a: capab"),
        ("containers.0.securityContext.capabilities.add", ["SYS_ADMIN"], "a: capab"),
        ("containers.0.securityContext.allowPrivilegeEscalation", True, "a: allow"),
        ("containers.0.securityContext.privileged", True, "a: privileged"),
        ("containers.0.securityContext.runAsNonRoot", False, "a: runAsNonRoot"),
        ("containers.0.securityContext.runAsUser", 0, "a: runAsUser is 0"),
        ("containers.0.securityContext.procMount", "Unmasked", "a: procMount"),
        ("containers.0.ports", [{"hostPort": 80}], "a: hostPort 80"),
    ],
)
def test_what_is_not_restricted_is_found(path, value, violation):
    assert any(each.startswith(violation) for each in violations(changed(path, value)))


def test_init_containers_are_checked_as_well():
    pod = copy.deepcopy(RESTRICTED) | {"initContainers": [{"name": "first"}]}
    assert {each.split(":")[0] for each in violations(pod)} == {"first"}
