"""Where tensors come from, and the proof of it: by the real server and its clients."""

from __future__ import annotations

import pytest
import torch
import warmstart
from harness.cli import FAILED
from harness.nets import NetA
from harness.tensors import assert_same_state
from warmstart import Source
from warmstart.v1 import lineage_pb2

AGREES = lineage_pb2.REPRODUCTION_VERDICT_AGREES
CANNOT = lineage_pb2.REPRODUCTION_VERDICT_CANNOT


def partial_state(seed: int) -> dict[str, torch.Tensor]:
    """A NetA without its last layer, as DataParallel saves it."""
    torch.manual_seed(seed)
    state = NetA().state_dict()
    return {f"module.{key}": state[key] for key in list(state)[:-2]}


@pytest.fixture
def chain(own_client, tmp_path):
    """Handles: two uploads, a warm start with a fresh head, an average, a cut.

    Names, rules, seeds, averages and adapters: the last has been through all.
    """
    torch.save(partial_state(1), tmp_path / "one.pt")
    torch.save(partial_state(2), tmp_path / "two.pt")
    one = own_client.save(tmp_path / "one.pt").checkpoint.name
    two = own_client.save(tmp_path / "two.pt").checkpoint.name
    headed = own_client.warm_start("NetB", one, strip_prefix="module.")
    averaged = own_client.warm_start(
        "NetB",
        [headed.checkpoint.name, Source(checkpoint=two, weight=0.3)],
        strip_prefix="module.",
        combine="average",
    )
    wide = NetA().state_dict() | {
        "fc3.weight": torch.zeros(12, 84),
        "fc3.bias": torch.zeros(12),
    }
    own_client.register_architecture(warmstart.architecture_of("Wide", wide))
    adapted = own_client.warm_start(
        "Wide", averaged.checkpoint.name, adapt={"fc3.*": "rows"}
    )
    return {
        "one": one,
        "two": two,
        "headed": headed.checkpoint.name,
        "averaged": averaged.checkpoint.name,
        "adapted": adapted.checkpoint.name,
    }


def steps_of(client, handle, key):
    """The steps of one tensor."""
    [tensor] = client.lineage(handle, keys=key)
    return tensor.steps


def test_every_tensor_is_followed_back_to_the_files(own_client, chain):
    name_of = {handle: name for name, handle in chain.items()}
    tensors = list(own_client.lineage(chain["adapted"]))
    assert [t.steps[0].key for t in tensors] == list(NetA().state_dict())
    for tensor in tensors[:-2]:
        way = [(name_of[step.checkpoint], step.key) for step in tensor.steps]
        key = tensor.steps[0].key
        assert way == [
            ("adapted", key),
            ("averaged", key),
            ("headed", key),
            ("two", f"module.{key}"),
            ("one", f"module.{key}"),
        ]
        assert [list(step.sources) for step in tensor.steps] == [
            [1],
            [2, 3],
            [4],
            [],
            [],
        ]
        assert tensor.steps[4].kind == lineage_pb2.LINEAGE_KIND_UPLOADED


def test_fresh_values_have_the_initializer_and_seed_that_made_them(own_client, chain):
    steps = steps_of(own_client, chain["adapted"], "fc3.weight")
    assert [step.checkpoint for step in steps] == [
        chain["adapted"],
        chain["averaged"],
        chain["headed"],
    ]
    assert steps[0].adaptation
    assert steps[0].kind == lineage_pb2.LINEAGE_KIND_LOADED
    head = steps[2]
    assert head.kind == lineage_pb2.LINEAGE_KIND_INITIALIZED
    assert head.initializer == "kaiming_uniform"
    # As told, so made: a fresh model of that seed has the same values.
    fresh = own_client.save_fresh("NetB", seed=head.seed).checkpoint.name
    assert torch.equal(
        own_client.state_dict(fresh)["fc3.weight"],
        own_client.state_dict(chain["headed"])["fc3.weight"],
    )


def test_the_whole_chain_is_made_again_bit_for_bit(server, own_client, chain):
    before = server.stored()
    results = own_client.reproduce(chain["adapted"])
    assert [result.checkpoint for result in results] == [
        chain[name] for name in ("adapted", "averaged", "headed", "two", "one")
    ]
    assert [result.verdict for result in results] == [AGREES] * 5, results
    assert not any(result.reason for result in results)
    assert server.stored() == before


def test_it_is_made_again_after_a_restart(server, cli, own_client, chain):
    own_client.set_alias("best", chain["adapted"])
    assert server.stop() == 0
    server.restart()
    assert cli.done("reproduce", "aliases/best").out.count("agrees") == len(chain)


def test_a_deleted_source_is_told_by_both(own_client, cli, chain):
    own_client.delete(chain["one"])
    steps = steps_of(own_client, chain["headed"], "fc1.weight")
    assert steps[1].kind == lineage_pb2.LINEAGE_KIND_DELETED
    told = cli.done("lineage", chain["headed"]).out
    assert f"<- {chain['one']} module.*: deleted since" in told

    results = {r.checkpoint: r for r in own_client.reproduce(chain["averaged"])}
    assert results[chain["averaged"]].verdict == AGREES
    assert results[chain["headed"]].verdict == CANNOT
    assert chain["one"] in results[chain["headed"]].reason
    assert results[chain["one"]].reason == "it was deleted"
    ran = cli.run("reproduce", chain["averaged"])
    assert ran.code == FAILED
    assert "2 of 4 checkpoints could not be made again" in ran.err


def test_people_see_what_came_the_same_way_together(cli, chain):
    told = cli.done("lineage", chain["headed"]).out
    assert (
        "8 tensors: conv1.weight, conv1.bias, conv2.weight and 5 more\n"
        f"  {chain['headed']}: renamed, --strip-prefix module.\n"
        f"  <- {chain['one']} module.*: uploaded in one.pt\n"
    ) in told
    assert "initialized, kaiming_uniform, seed " in told
    [tensor] = cli.done(
        "lineage", chain["headed"], "--key", "fc3.bias", "--json"
    ).json()["tensors"]
    assert tensor["steps"][0]["kind"] == "LINEAGE_KIND_INITIALIZED"


def test_a_fresh_model_is_as_python_makes_it_and_is_made_again(own_client):
    fresh = own_client.save_fresh("NetA", seed=5).checkpoint.name
    torch.manual_seed(5)
    assert_same_state(own_client.state_dict(fresh), NetA().state_dict())
    [result] = own_client.reproduce(fresh)
    assert result.verdict == AGREES
    steps = steps_of(own_client, fresh, "fc1.bias")
    assert (steps[0].initializer, steps[0].seed) == ("fan_in_uniform", 5)
