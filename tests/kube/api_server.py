"""Kubernetes' API server on the loopback, with an etcd of its own."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import yaml

START_SECONDS = 120
TOKEN = "of-a-test"  # good for a server that lives as long as a test


@dataclass
class Answer:
    """What the API server answered."""

    status: int
    body: dict
    warnings: list[str]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class ApiServer:
    """Runs for a `with` block."""

    def __init__(self, folder: Path) -> None:
        """Keeps everything in a folder."""
        self._folder = folder
        self._processes: list[subprocess.Popen] = []
        self._port = free_port()
        self._tls = ssl.create_default_context()
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE
        self.kubeconfig = folder / "kubeconfig"

    def __enter__(self) -> ApiServer:
        """Starts etcd and the server, and waits until it is ready."""
        try:
            etcd = f"http://127.0.0.1:{self._start_etcd()}"
            self._start_server(etcd)
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        self.kubeconfig.write_text(yaml.safe_dump(self._config()))
        return self

    def __exit__(self, *exception: object) -> None:
        """Ends both; nothing of theirs is kept."""
        for process in reversed(self._processes):
            process.kill()
            process.wait()

    def create_namespace(self, name: str, **labels: str) -> None:
        """Makes a namespace with the account that a controller would make in it."""
        self._created("/api/v1/namespaces", {"name": name, "labels": labels})
        self._created(f"/api/v1/namespaces/{name}/serviceaccounts", {"name": "default"})

    def dry_run(self, each: dict, namespace: str) -> Answer:
        """Has an object checked and admitted, as if it were applied."""
        group = each["apiVersion"]
        root = f"/api/{group}" if "/" not in group else f"/apis/{group}"
        plural = each["kind"].lower()
        plural = plural[:-1] + "ies" if plural.endswith("y") else plural + "s"
        name = each["metadata"]["name"]
        return self._ask(
            "PATCH",
            f"{root}/namespaces/{namespace}/{plural}/{name}"
            "?dryRun=All&fieldManager=test&fieldValidation=Strict",
            each,
            "application/apply-patch+yaml",
        )

    def _start_etcd(self) -> int:
        client, peer = free_port(), free_port()
        self._start(
            "etcd",
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls=http://127.0.0.1:{client}",
            f"--advertise-client-urls=http://127.0.0.1:{client}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=default=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync",
        )
        return client

    def _start_server(self, etcd: str) -> None:
        key = self._folder / "accounts.key"
        subprocess.run(
            ["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True
        )
        tokens = self._folder / "tokens.csv"
        tokens.write_text(f"{TOKEN},tester,1,system:masters\n")
        self._start(
            "kube-apiserver",
            f"--etcd-servers={etcd}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self._port}",
            f"--cert-dir={self._folder / 'certificates'}",
            f"--token-auth-file={tokens}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--endpoint-reconciler-type=none",
        )

    def _start(self, program: str, *flags: str) -> None:
        path = Path(os.environ["WARMSTART_KUBE"], program)
        with (self._folder / f"{program}.log").open("wb") as log:
            process = subprocess.Popen([path, *flags], stdout=log, stderr=log)
        self._processes.append(process)

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                if self._ask("GET", "/readyz").status == 200:
                    return
            except (urllib.error.URLError, ConnectionError):
                pass
            log = (self._folder / "kube-apiserver.log").read_text()
            assert self._processes[-1].poll() is None, log
            assert time.monotonic() < deadline, log
            time.sleep(0.5)

    def _created(self, collection: str, metadata: dict) -> None:
        answer = self._ask("POST", collection, {"metadata": metadata})
        assert answer.status == 201, answer

    def _ask(
        self,
        method: str,
        path: str,
        body: dict | None = None,
        content_type: str = "application/json",
    ) -> Answer:
        request = urllib.request.Request(
            f"https://127.0.0.1:{self._port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": content_type},
        )
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=self._tls),
        )
        try:
            response = opener.open(request, timeout=60)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            text = response.read().decode()
            warnings = response.headers.get_all("Warning") or []
            status = response.status
        try:
            return Answer(status, json.loads(text), warnings)
        except ValueError:
            return Answer(status, {"message": text}, warnings)

    def _config(self) -> dict:
        def named(kind: str, value: dict) -> list[dict]:
            return [{"name": "test", kind: value}]

        server = f"https://127.0.0.1:{self._port}"
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": named(
                "cluster", {"server": server, "insecure-skip-tls-verify": True}
            ),
            "users": named("user", {"token": TOKEN}),
            "contexts": named("context", {"cluster": "test", "user": "test"}),
            "current-context": "test",
        }
