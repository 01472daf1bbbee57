"""What scripts can rely on: exit codes, and where output goes."""

from __future__ import annotations

import json

import pytest
import torch
from harness.cli import FAILED, NOT_MET, USAGE, CommandLine
from harness.nets import NetA


@pytest.fixture
def partial(cli, tmp_path):
    """The handle of a NetA without its last layer."""
    state = NetA().state_dict()
    del state["fc3.weight"], state["fc3.bias"]
    torch.save(state, tmp_path / "partial.pt")
    return cli.handle("save", tmp_path / "partial.pt")


def test_quiet_prints_the_handle_alone(cli):
    out = cli.done("save", "--architecture", "NetA", "--quiet").out
    assert out.startswith("checkpoints/")
    assert out.count("\n") == 1


def test_a_request_that_fails_ends_with_1(cli):
    ran = cli.run("show", "checkpoints/none")
    assert ran.code == FAILED
    assert ran.out == ""
    assert "checkpoints/none" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no-such-command"],
        ["save"],
        ["warm-start", "NetB"],
        ["warm-start", "NetB", "--from", "a", "--rename", "no-equals-sign"],
        ["warm-start", "NetB", "--from", "a", "--on-shape-mismatch", "pad"],
        ["warm-start", "NetB", "--from", "a", "--seed", "-1"],
        ["warm-start", "NetB", "--from", "a", "--min-coverage", "1.5"],
        ["list", "--no-such-flag"],
        ["download", "checkpoints/a"],
    ],
)
def test_a_command_that_makes_no_sense_ends_with_2(shared_server, arguments):
    ran = CommandLine(shared_server).run(*arguments)
    assert ran.code == USAGE
    assert ran.out == ""
    assert ran.err


@pytest.mark.parametrize(
    "demand",
    [["--strict"], ["--min-coverage", "0.999"]],
    ids=["strict", "coverage"],
)
def test_a_demand_that_is_not_met_ends_with_3(server, cli, partial, demand):
    before = server.stored()
    ran = cli.run("warm-start", "NetB", "--from", partial, *demand)
    assert ran.code == NOT_MET
    assert "fc3.weight" in ran.out
    assert server.stored() == before


def test_strict_prints_the_words_of_pytorch(cli, partial):
    ran = cli.run("warm-start", "NetB", "--from", partial, "--strict")
    assert "Error(s) in loading state_dict for NetB:" in ran.err
    assert 'Missing key(s) in state_dict: "fc3.weight", "fc3.bias". ' in ran.err


def test_json_prints_errors_as_json_too(cli, partial):
    ran = cli.run("warm-start", "NetB", "--from", partial, "--strict", "--json")
    assert ran.code == NOT_MET
    error = json.loads(ran.err)
    assert error["code"] == "FAILED_PRECONDITION"
    assert error["reason"] == "STRICT_NOT_MET"
    assert error["report"]["missing_keys"] == ["fc3.weight", "fc3.bias"]


def test_a_dry_run_stores_nothing(server, cli, partial):
    before = server.stored()
    ran = cli.done("warm-start", "NetB", "--from", partial, "--dry-run", "--json")
    assert "checkpoint" not in ran.json() or ran.json()["checkpoint"] is None
    assert ran.json()["report"]["missing_keys"] == ["fc3.weight", "fc3.bias"]
    assert server.stored() == before


def test_labels_and_aliases_can_be_listed_and_taken_away(cli):
    handle = cli.handle(
        *("save", "--architecture", "NetA", "--label", "team=vision"),
        *("--alias", "demo/net-a"),
    )
    other = cli.handle("save", "--architecture", "NetB")
    by_label = cli.done("list", "--label", "team=vision", "--quiet").out
    by_alias = cli.done("list", "--alias", "demo/*", "--quiet").out
    assert by_label == by_alias == f"{handle}\n"
    assert cli.done("list", "--quiet").out == f"{other}\n{handle}\n"

    cli.done("alias", "set", "demo/net-a", other)
    [alias] = cli.done("alias", "list", "--json").json()["aliases"]
    assert (alias["name"], alias["checkpoint"]) == ("aliases/demo/net-a", other)
    assert cli.run("delete", other).code == FAILED
    cli.done("alias", "delete", "demo/net-a")
    cli.done("delete", other)
    assert cli.done("list", "--quiet").out == f"{handle}\n"


def test_architectures_are_registered_from_a_file(cli, tmp_path):
    schema = {
        "name": "Head",
        "entries": [
            {
                "key": "fc.weight",
                "shape": [10, 768],
                "initializer": {"kaiming_uniform": {}},
            },
            {"key": "fc.bias", "shape": [10]},
        ],
    }
    (tmp_path / "head.json").write_text(json.dumps(schema))
    for _ in range(2):  # the same again is no error
        cli.done("architectures", "register", tmp_path / "head.json")
    listed = cli.done("architectures", "list", "--json").json()["architectures"]
    assert [a["name"] for a in listed] == [
        "architectures/NetA",
        "architectures/NetB",
        "architectures/Head/versions/1",
    ]
    shown = cli.done("architectures", "show", "Head", "--json").out
    # What is shown can be registered elsewhere.
    again = json.loads(shown) | {"name": "Head2"}
    cli.done("architectures", "register", "-", stdin=json.dumps(again))
    handle = cli.handle("save", "--architecture", "Head2", "--seed", 1)
    manifest = cli.done("show", handle, "--tensors", "--json").json()["entries"]
    assert [entry["key"] for entry in manifest] == ["fc.weight", "fc.bias"]


def test_another_schema_under_a_taken_name_is_its_next_version(cli):
    def register(*flags, shape):
        schema = {"name": "Net", "entries": [{"key": "a", "shape": shape}]}
        text = json.dumps(schema)
        return cli.done("architectures", "register", "-", *flags, stdin=text).out

    first, second = "architectures/Net/versions/1", "architectures/Net/versions/2"
    assert register(shape=[1]) == f"registered {first}: 1 key\n"
    assert register("--dry-run", shape=[2]) == f"would be {second}: 1 key\n"
    assert register(shape=[2]) == f"registered {second}: 1 key\n"
    assert register(shape=[1]) == f"registered {first}: 1 key\n"

    listed = cli.done("architectures", "list", "Net", "--json").json()
    assert [a["name"] for a in listed["architectures"]] == [second, first]
    handle = cli.handle("save", "--architecture", "Net/versions/1")
    shown = cli.done("show", handle, "--json").json()
    assert shown["architecture"] == first
    assert cli.done("list", "--architecture", "Net", "--quiet").out == f"{handle}\n"
    assert cli.done("list", "--architecture", second, "--quiet").out == ""

    assert cli.run("architectures", "delete", "Net").code == FAILED
    cli.done("architectures", "delete", second)
    assert cli.run("architectures", "show", second).code == FAILED
    assert cli.done("architectures", "show", "Net").out.startswith("Net/versions/1:")


def test_stored_values_begin_what_is_registered_with_them(cli):
    values = cli.handle("save", "--architecture", "NetA", "--seed", 7)
    shown = cli.done("architectures", "show", "NetA", "--json").json()
    for entry in shown["entries"]:
        entry["initializer"] = {"stored": {}}
    cli.done(
        *("architectures", "register", "-", "--name", "Mine"),
        *("--initial-values", values),
        stdin=json.dumps(shown),
    )
    fresh = cli.handle("save", "--architecture", "Mine")
    tensors = [
        cli.done("show", handle, "--tensors", "--json").json()["entries"]
        for handle in (values, fresh)
    ]
    assert tensors[0] == tensors[1]
    refused = cli.run("delete", values, "--force")
    assert refused.code == FAILED
    assert "architectures/Mine/versions/1" in refused.err
    cli.done("architectures", "delete", "Mine", "--force")
    cli.done("delete", values)


def test_no_server_is_an_error_that_names_it(server):
    cli = CommandLine(server)
    address = server.address
    server.stop()
    ran = cli.run("list")
    assert ran.code == FAILED
    assert address in ran.err


def test_the_tool_tells_whether_the_server_serves(cli):
    assert cli.done("health").out == "SERVING\n"
