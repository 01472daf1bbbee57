"""Checkpoints as plain files, and from one store to another."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
import safetensors.torch
import torch
from harness.cli import FAILED, USAGE, CommandLine
from harness.server import Server
from harness.tensors import assert_same_state
from torch import nn


@pytest.fixture
def other(tmp_path):
    """Another server with an empty store."""
    with Server(tmp_path / "other") as running:
        yield running


def tied() -> dict:
    torch.manual_seed(3)
    weight = torch.randn(40, 30)
    return {"embed": weight, "part": weight[3:7], "norm": torch.ones(5)}


class WithTable(nn.Module):
    """What only values can initialize."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.register_buffer("table", torch.arange(12.0).roll(5))


def fill(client, tmp_path) -> dict[str, str]:
    """Checkpoints of all kinds, by what they are."""
    torch.save({"model": tied(), "epoch": 3}, tmp_path / "nested.pt")
    names = {
        "tied": client.save(tied(), labels={"team": "vision"}, alias="best"),
        "nested": client.save(tmp_path / "nested.pt"),
        "fresh": client.save_fresh("NetA", seed=7, alias="net-a"),
    }
    names["warm"] = client.warm_start(
        "NetB", "aliases/net-a", seed=1, alias="team/net-b"
    )
    client.register("Table", WithTable)
    names["table"] = client.save(WithTable(), architecture="Table")
    names["registered"] = client.warm_start("Table", names["table"].checkpoint.name)
    return {key: answer.checkpoint.name for key, answer in names.items()}


def files(folder) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def download(client, handle, path) -> bytes:
    client.download(handle, path)
    return path.read_bytes()


def test_a_store_comes_over_whole(server, other, tmp_path):
    folder = tmp_path / "export"
    source, target = CommandLine(server), CommandLine(other)
    with server.client() as ours, other.client() as theirs:
        names = fill(ours, tmp_path)
        source.done("admin", "export", folder)
        imported = target.done("admin", "import", folder, "--json").json()[
            "checkpoints"
        ]
        assert set(names.values()) <= set(imported)
        for what, name in names.items():
            before, after = ours.get(name, full=True), theirs.get(imported[name])
            assert dict(after.labels) == dict(before.labels) | {"imported-from": name}
            assert list(after.aliases) == list(before.aliases)
            assert after.architecture == before.architecture
            assert after.size_bytes == before.size_bytes
            assert download(ours, name, tmp_path / f"{what}-1.pt") == download(
                theirs, imported[name], tmp_path / f"{what}-2.pt"
            ), what
            # What it was is in the export.
            kept = json.loads((folder / f"{name}.json").read_text())["checkpoint"]
            assert kept["origin"].keys() == {before.origin.WhichOneof("kind")}
            if before.HasField("report"):
                assert kept["report"]["summary"] == before.report.summary
        assert theirs.get(imported[names["warm"]], full=True).HasField("report")
        # The registered architecture makes the same values there.
        fresh = theirs.save_fresh("Table", seed=5).checkpoint.name
        assert_same_state(
            theirs.state_dict(fresh),
            ours.state_dict(ours.save_fresh("Table", seed=5).checkpoint.name),
        )
        # Lists are in the order in which they were made.
        order = [checkpoint.name for checkpoint in ours.list()]
        assert [imported[n] for n in reversed(order) if n in imported] == [
            checkpoint.name for checkpoint in reversed(list(theirs.list()))
        ][: len(imported)]


def test_importing_again_changes_nothing(server, other, tmp_path):
    folder = tmp_path / "export"
    with server.client() as client:
        fill(client, tmp_path)
    CommandLine(server).done("admin", "export", folder)
    first = CommandLine(other).done("admin", "import", folder).out
    stored = other.stored()
    assert CommandLine(other).done("admin", "import", folder).out == first
    assert other.stored() == stored


def test_exporting_again_fetches_what_is_new(server, tmp_path):
    folder, cli = tmp_path / "export", CommandLine(server)
    with server.client() as client:
        state = tied()
        first = client.save(state).checkpoint.name
        out = cli.done("admin", "export", folder, first, "--json").json()
        assert out["checkpoints"] == [first]
        assert out["tensors_written"] == 3
        before = files(folder)
        out = cli.done("admin", "export", folder, first, "--json").json()
        assert (out["tensors_written"], out["bytes_written"]) == (0, 0)
        assert files(folder) == before
        second = client.save(state | {"norm": torch.zeros(5)}).checkpoint.name
        out = cli.done("admin", "export", folder, second, "--json").json()
        assert (out["tensors_written"], out["bytes_written"]) == (1, 20)
        digest = hashlib.sha256(bytes(20)).hexdigest()
        assert set(files(folder)) - set(before) == {
            f"{second}.json",
            f"tensors/{digest}.safetensors",
        }


def test_an_export_that_was_interrupted_goes_on(server, tmp_path):
    folder, cli = tmp_path / "export", CommandLine(server)
    with server.client() as client:
        name = client.save(tied()).checkpoint.name
    cli.done("admin", "export", folder, name)
    whole = files(folder)
    (folder / f"{name}.json").unlink()
    next((folder / "tensors").iterdir()).unlink()
    out = cli.done("admin", "export", folder, name, "--json").json()
    assert out["tensors_written"] == 1
    assert files(folder) == whole


def test_anybody_can_read_an_export(server, tmp_path):
    folder = tmp_path / "export"
    state = tied() | {
        "half": torch.randn(3).to(torch.bfloat16),
        "scalar": torch.tensor(2),
        "none": torch.empty(0, 2),
    }
    with server.client() as client:
        name = client.save(state).checkpoint.name
    CommandLine(server).done("admin", "export", folder, name)
    manifest = json.loads((folder / f"{name}.json").read_text())["manifest"]
    loaded = {}
    for entry in manifest["entries"]:
        digest = entry["digest"]
        values = safetensors.torch.load_file(folder / f"tensors/{digest}.safetensors")
        dtype = getattr(torch, entry["dtype"])
        shape = [int(size) for size in entry["shape"]]
        loaded[entry["key"]] = values[digest].view(dtype).reshape(shape)
    assert_same_state(loaded, state)


def test_some_of_an_export_are_imported(server, other, tmp_path):
    folder = tmp_path / "export"
    with server.client() as client:
        names = fill(client, tmp_path)
    CommandLine(server).done("admin", "export", folder, *names.values())
    cli = CommandLine(other)
    got = cli.done("admin", "import", folder, "aliases/best", "--json").json()
    assert list(got["checkpoints"]) == [names["tied"]]
    with other.client() as client:
        assert_same_state(client.state_dict("aliases/best"), tied())
    ran = cli.run("admin", "import", folder, "aliases/nobody")
    assert ran.code == FAILED
    assert "aliases/nobody" in ran.err


def test_what_an_architecture_needs_comes_along(server, other, tmp_path):
    folder = tmp_path / "export"
    with server.client() as client:
        names = fill(client, tmp_path)
    CommandLine(server).done("admin", "export", folder, names["registered"])
    cli = CommandLine(other)
    got = cli.done("admin", "import", folder, names["registered"], "--json").json()
    # Its initial values, too.
    assert len(got["checkpoints"]) == 2
    with other.client() as client:
        assert client.get_architecture("Table").initial_values


@pytest.mark.parametrize("policy", ["fail", "keep", "move"])
def test_an_alias_that_is_taken(server, other, tmp_path, policy):
    folder = tmp_path / "export"
    with server.client() as ours, other.client() as theirs:
        ours.save(tied(), alias="best")
        CommandLine(server).done("admin", "export", folder, "aliases/best")
        taken = theirs.save({"w": torch.ones(2)}, alias="best").checkpoint.name
        before = other.stored()
        ran = CommandLine(other).run(
            "admin", "import", folder, "--on-alias-conflict", policy
        )
        if policy == "fail":
            assert ran.code == FAILED
            assert "aliases/best" in ran.err
            assert other.stored() == before
        else:
            assert ran.code == 0, ran.err
            assert (theirs.get("aliases/best").name == taken) == (policy == "keep")


def test_labels_that_were_set_after_an_import_stay(server, other, tmp_path):
    folder, cli = tmp_path / "export", CommandLine(other)
    with server.client() as ours, other.client() as theirs:
        name = ours.save(tied(), labels={"stage": "dev", "a": "b"}).checkpoint.name
        CommandLine(server).done("admin", "export", folder, name)
        got = cli.done("admin", "import", folder, "--json").json()["checkpoints"]
        labels = dict(theirs.get(got[name]).labels)
        assert labels == {"stage": "dev", "a": "b", "imported-from": name}
        theirs.set_labels(got[name], labels | {"stage": "prod"})
        cli.done("admin", "import", folder)
        assert theirs.get(got[name]).labels["stage"] == "prod"


# Folders that nobody vouches for.


def exported(server, tmp_path):
    with server.client() as client:
        name = client.save({"w": torch.ones(3)}).checkpoint.name
    folder = tmp_path / "export"
    CommandLine(server).done("admin", "export", folder, name)
    return folder, folder / f"{name}.json"


def test_what_was_damaged_is_noticed(server, other, tmp_path):
    folder, _ = exported(server, tmp_path)
    [tensor] = (folder / "tensors").iterdir()
    data = bytearray(tensor.read_bytes())
    data[-1] ^= 1
    tensor.write_bytes(data)
    ran = CommandLine(other).run("admin", "import", folder)
    assert ran.code == FAILED
    assert "'w'" in ran.err
    tensor.write_bytes(data[:-1])
    assert CommandLine(other).run("admin", "import", folder).code == FAILED
    tensor.write_bytes(b"short")
    assert CommandLine(other).run("admin", "import", folder).code == FAILED
    tensor.unlink()
    ran = CommandLine(other).run("admin", "import", folder)
    assert ran.code == FAILED
    assert tensor.stem in ran.err
    assert other.stored() == ([], [], {}, [])


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r'"digest": "[0-9a-f]+"', '"digest": "../../../../etc/passwd"'),
        (r'"name": "checkpoints/\w+"', '"name": "checkpoints/../../x"'),
        (r'"architecture": ""', '"architecture": "architectures/../versions/../x"'),
        (r"\{", "["),
        (r'"key": "w"', '"nobody knows": "w"'),
        (r'"key": "w"', '"key": "../w"'),
    ],
)
def test_a_forged_export_is_refused(server, other, tmp_path, pattern, text):
    folder, path = exported(server, tmp_path)
    forged = re.sub(pattern, text, path.read_text(), count=1)
    assert forged != path.read_text()
    path.write_text(forged)
    ran = CommandLine(other).run("admin", "import", folder)
    assert ran.code == FAILED
    assert ran.err
    assert other.stored() == ([], [], {}, [])


def test_mistakes_are_told(server, tmp_path):
    cli = CommandLine(server)
    assert cli.run("admin", "export").code == USAGE
    assert (
        cli.run("admin", "import", tmp_path, "--on-alias-conflict", "x").code == USAGE
    )
    ran = cli.run("admin", "import", tmp_path)
    assert ran.code == FAILED
    assert "admin export" in ran.err
    ran = cli.run("admin", "export", tmp_path / "y", "aliases/nobody")
    assert ran.code == FAILED
    assert "aliases/nobody" in ran.err
