"""Commands of the guides, run as they are written."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import torch
from harness.server import REPOSITORY, Server, binary
from harness.tensors import assert_same_state

DOCS = REPOSITORY / "docs" / "deploy"


def blocks(guide: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", (DOCS / guide).read_text(), re.S | re.M)


def run(script: str, folder: Path, **env: str) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=os.environ | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_laptops_commands_make_a_net_b(server, tmp_path):
    [script] = [block for block in blocks("laptop.md") if "warm-start" in block]
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / "build").symlink_to(Path(binary("warmstart")).parents[1])
    said = run(script, clone, WARMSTART_SERVER=server.address)
    assert "SERVING" in said
    net_b = torch.load(clone / "net_b.pt", weights_only=True)
    with server.client() as client:
        assert_same_state(net_b, client.state_dict("aliases/net-a"))


def test_the_commands_of_operations_back_up_and_restore(server, tmp_path):
    [script] = [block for block in blocks("operations.md") if "admin backup" in block]
    tools = f"{Path(binary('warmstart')).parent}:{os.environ['PATH']}"
    with server.client() as client:
        saved = client.save_fresh("NetA", seed=1, alias="kept").checkpoint.name
        state = client.state_dict(saved)
    run(
        script.replace("/backups/", f"{tmp_path}/"),
        tmp_path,
        PATH=tools,
        WARMSTART_SERVER=server.address,
    )
    with Server(tmp_path / "NEW_FOLDER") as other, other.client() as client:
        assert client.get("aliases/kept").name == saved
        assert_same_state(client.state_dict(saved), state)


def test_a_backup_as_the_guide_makes_it_restores_everything(server, tmp_path):
    [script] = [block for block in blocks("backup.md") if "tar --create" in block]
    tar = re.search(r"tar --create.*?(?=\nsystemctl)", script, re.S)[0]
    assert "/var/lib/private/warmstart" in tar

    with server.client() as client:
        saved = client.save_fresh("NetA", seed=1, alias="kept").checkpoint.name
        state = client.state_dict(saved)
    assert server.stop() == 0
    run(tar.replace("/var/lib/private/warmstart", str(server.data_dir)), tmp_path)
    server.start()

    restored = tmp_path / "restored"
    restored.mkdir()
    run("tar --extract --file ../warmstart.tar", restored)
    with Server(restored) as other, other.client() as client:
        assert client.get("aliases/kept").name == saved
        assert_same_state(client.state_dict(saved), state)
