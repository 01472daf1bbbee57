"""The image at work: as its own user, on a root that is read-only, driven from
outside."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import grpc
import pytest
import torch
import warmstart
from harness.container import ContainerServer, Volume, init_process
from harness.deployment import containers_of, only, pods_of, rendered, training_job
from harness.nets import NetA, NetB
from harness.tensors import assert_same_state
from harness.transfers import StalledDownload, StalledUpload, state

REFUSED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {
        name: value.strip() for name, value in (line.split(":", 1) for line in lines)
    }


def test_the_recipe_works_from_outside(container, cli, tmp_path):
    torch.manual_seed(0)
    net_a, net_b = NetA(), NetB()
    torch.save(net_a.state_dict(), tmp_path / "net_a.pt")

    cli.done("save", tmp_path / "net_a.pt", "--alias", "net-a")
    started = cli.handle("warm-start", "NetB", "--from", "aliases/net-a", "--strict")
    cli.done("download", started, "-o", tmp_path / "net_b.pt")
    net_b.load_state_dict(torch.load(tmp_path / "net_b.pt", weights_only=True))
    assert_same_state(net_b.state_dict(), net_a.state_dict())

    with container.client() as client:
        again = client.warm_start("NetB", "aliases/net-a")
        assert again.report.summary == "<All keys matched successfully>"
        assert_same_state(client.state_dict(again.checkpoint.name), net_a.state_dict())


def test_it_runs_as_its_user_without_any_privilege(image, container):
    status = status_of(container.init_pid)
    user, group = image.user.split(":")
    assert status["Uid"].split() == [user] * 4
    assert status["Gid"].split() == [group] * 4
    assert status["Groups"] == ""
    assert status["NoNewPrivs"] == "1"
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd"):
        assert int(status[kind], 16) == 0, kind
    assert status["NSpid"].split()[-1] == "1"


def test_it_writes_to_its_volume_alone(image, container):
    with container.client() as client:
        client.save(state(1))
    mounts = Path(f"/proc/{container.init_pid}/mounts").read_text().splitlines()
    writable = {
        line.split()[1]
        for line in mounts
        if "rw" in line.split()[3].split(",")
        and not line.split()[1].startswith("/dev/")
    }
    assert writable == {image.volume, "/tmp"}
    # /tmp is here for the test's port file, and the server leaves no other.
    assert os.listdir(f"/proc/{container.init_pid}/root/tmp") == ["port"]
    owners = {path.stat().st_uid for path in container.data_dir.rglob("*")}
    assert owners == {int(image.user.split(":")[0])}


def test_a_volume_as_kubernetes_makes_it_will_do(image, tmp_path):
    """The group's, by fsGroup, on a file system of its own."""
    made = Volume(tmp_path / "pv", owner=0, mode=0o2775, entries=["lost+found"]).make()
    with ContainerServer(image, made) as server, server.client() as client:
        saved = client.save(state(1)).checkpoint.name
    with ContainerServer(image, made) as server, server.client() as client:
        assert_same_state(client.state_dict(saved), state(1))


def test_a_volume_that_it_may_not_write_is_an_error_that_names_it(image, tmp_path):
    made = Volume(tmp_path / "roots", owner=0, group=0, mode=0o755).make()
    with pytest.raises(RuntimeError, match=image.volume):
        ContainerServer(image, made).start()


def test_its_own_command_and_its_health_check_fit_each_other(image, volume):
    check = image.config["Healthcheck"]["Test"][1:]
    server = image.start(
        *image.command,
        mounts={volume: image.volume},
        own_network=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        network = ["nsenter", f"--net=/proc/{init_process(server)}/ns/net"]
        healthy = [*network, *probe_command(image, check)]
        deadline = time.monotonic() + 30
        while (ran := subprocess.run(healthy, capture_output=True)).returncode:
            assert time.monotonic() < deadline, ran
            time.sleep(0.1)
        assert ran.stdout == b"SERVING\n"
        os.kill(init_process(server), 15)
        _, said = server.communicate(timeout=30)
        assert server.returncode == 0, said
        assert "stopped" in said
    finally:
        server.kill()


def probe_command(image, check: list[str]) -> list[str]:
    """A program of the image, on its root, for a namespace that is entered already."""
    return ["chroot", f"--userspec={image.user}", "--groups=", str(image.root), *check]


def test_its_health_check_fails_where_nobody_serves(image):
    check = image.config["Healthcheck"]["Test"][1:]
    status, said = image.run(*check, own_network=True)
    assert status != 0
    assert "localhost:50051" in said


def test_sigterm_during_an_upload_lets_it_finish(image, volume):
    server = ContainerServer(image, volume).start()
    upload = StalledUpload(server, alias="late")
    try:
        server.terminate()
        time.sleep(0.3)
        assert server.running()
        upload.finish()
        saved = upload.call.result(timeout=20).checkpoint
        assert server.wait() == 0
    finally:
        upload.close()
    with server, server.client() as client:
        assert client.get("aliases/late").name == saved.name
        assert_same_state(client.state_dict(saved.name), state(2))


def test_sigterm_during_an_upload_that_stalls_refuses_it_and_keeps_nothing(
    image, volume
):
    server = ContainerServer(image, volume, "--grace-period=1").start()
    with server.client() as client:
        before = client.save(state(1)).checkpoint.name
    upload = StalledUpload(server, alias="late")
    try:
        assert server.stop() == 0
        assert upload.call.code() in REFUSED
    finally:
        upload.close()
    with server:
        names, aliases, _, staged = server.stored()
    assert (names, aliases, staged) == ([before], [], [])


def large_state() -> dict[str, torch.Tensor]:
    """32 MiB: more than a connection buffers."""
    generator = torch.Generator().manual_seed(3)
    return {"weight": torch.randn(2048, 4096, generator=generator)}


def download_across_sigterm(image, volume, saved: str) -> bytes:
    """What a client gets of a download that SIGTERM finds half-way."""
    server = ContainerServer(image, volume).start()
    download = StalledDownload(server, saved)
    try:
        server.terminate()
        time.sleep(0.3)
        assert server.running()
        whole = download.rest()
    finally:
        download.close()
        status = server.wait()  # also where the download failed: it has the store
    assert status == 0
    return whole


def test_sigterm_during_a_download_lets_it_finish(image, volume, tmp_path):
    server = ContainerServer(image, volume).start()
    with server.client() as client:
        saved = client.save(large_state()).checkpoint.name
    server.terminate()
    assert server.wait() == 0
    try:
        whole = download_across_sigterm(image, volume, saved)
    except grpc.RpcError as error:
        # gRPC closes a connection that it has said goodbye to with its last call;
        # a window update that comes just then makes the kernel reset it, and what
        # the client has not read is lost. A client resumes; here, once more.
        if "Connection reset" not in error.details():
            raise
        whole = download_across_sigterm(image, volume, saved)
    (tmp_path / "whole.pt").write_bytes(whole)
    state_dict = torch.load(tmp_path / "whole.pt", weights_only=True)
    assert_same_state(state_dict, large_state())


def test_sigterm_during_a_download_that_stalls_ends_it(image, volume):
    server = ContainerServer(image, volume, "--grace-period=1").start()
    with server.client() as client:
        saved = client.save(large_state()).checkpoint.name
    download = StalledDownload(server, saved)
    try:
        assert server.stop() == 0
        with pytest.raises(grpc.RpcError) as caught:
            download.rest()
        assert caught.value.code() in REFUSED
    finally:
        download.close()
    with server, server.client() as client:
        assert_same_state(client.state_dict(saved), large_state())


def test_what_was_answered_is_there_after_a_restart(image, volume):
    """Clients save and warm-start without a pause while the server is told to stop."""
    server = ContainerServer(image, volume).start()
    answered: dict[str, int] = {}
    errors: list[Exception] = []

    def work(first_seed: int) -> None:
        with warmstart.Client(server.address, timeout=20) as client:
            try:
                for seed in range(first_seed, first_seed + 10_000):
                    saved = client.save(state(seed)).checkpoint.name
                    answered[saved] = seed
                    started = client.warm_start("Net", saved).checkpoint.name
                    answered[started] = seed
            except Exception as error:  # the end of every worker
                errors.append(error)

    with server.client() as client:
        client.register_architecture(warmstart.architecture_of("Net", state(0)))
    workers = [threading.Thread(target=work, args=(n * 10_000,)) for n in range(3)]
    for worker in workers:
        worker.start()
    time.sleep(1)
    assert server.stop() == 0
    for worker in workers:
        worker.join(60)
        assert not worker.is_alive()
    assert len(errors) == 3
    assert len(answered) > 10

    with server, server.client() as client:
        kept = {checkpoint.name for checkpoint in client.list()}
        assert answered.keys() <= kept
        for name, seed in answered.items():
            assert_same_state(client.state_dict(name), state(seed))


def run_containers(image, server, containers, labels, mounts) -> None:
    """Runs containers of a pod one after another, against a server that is at another
    address here."""
    for container in containers:
        env = {}
        for variable in container.get("env", []):
            source = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
            key = (source or "").removeprefix("metadata.labels['").removesuffix("']")
            env[variable["name"]] = labels[key] if source else variable["value"]
        args = [
            arg.replace("$(JOB)", env.get("JOB", ""))
            for arg in container.get("args", [])
        ]
        status, said = image.run(
            *container["command"],
            *args,
            mounts=mounts,
            env=env | {"WARMSTART_SERVER": server.address},
        )
        assert status == 0, f"{container['name']}: {said}"


@pytest.fixture
def out(tmp_path):
    """A folder that everybody may write, as an emptyDir is."""
    folder = tmp_path / "out"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


def test_what_helm_test_runs_passes_and_passes_again(image, container, out):
    [pod] = [pod for name, pod in pods_of(rendered(None)) if name.endswith("-test")]
    for _ in range(2):
        run_containers(image, container, containers_of(pod), {}, {out: "/out"})
    with container.client() as client:
        assert len(list(client.list())) == 2
        wanted = client.state_dict("aliases/helm-test/net-a")
    got = torch.load(out / "net_b.pt", weights_only=True)
    assert_same_state(got, wanted)


def test_the_training_job_trains_from_what_its_init_containers_fetch(
    image, container, out, cli
):
    cli.done("save", "--architecture=NetA", "--seed=1", "--alias=net-a")
    objects = training_job()
    [(_, pod)] = pods_of(objects)
    labels = {"batch.kubernetes.io/controller-uid": "7f0c-11"}
    for _ in range(2):  # the second as if the pod were started again
        run_containers(image, container, pod["initContainers"], labels, {out: "/model"})
    assert len(cli.done("list", "--quiet").out.split()) == 2
    script = only(objects, "ConfigMap")["data"]["train.py"]
    script = script.replace("/model/", f"{out}/")
    trained = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert trained.returncode == 0, trained.stderr
    first, *steps = trained.stdout.splitlines()
    assert first == "<All keys matched successfully>"
    losses = [float(line.split()[-1]) for line in steps]
    assert losses[-1] < losses[0]
