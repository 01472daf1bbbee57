"""PyTorch's warm-start recipe, from the first file to the last, both ways."""

from __future__ import annotations

import pytest
import torch
from harness.nets import NetA, NetB
from harness.tensors import assert_same_state, assert_same_tensor

ALL_MATCHED = "<All keys matched successfully>"


@pytest.fixture
def net_a():
    """A trained NetA."""
    torch.manual_seed(3)
    return NetA()


@pytest.fixture
def file(net_a, tmp_path):
    """Its state_dict, as the recipe saves it."""
    path = tmp_path / "model.pt"
    torch.save(net_a.state_dict(), path)
    return path


def test_recipe_by_the_command_line(cli, net_a, file, tmp_path):
    saved = cli.done("save", file, "--architecture", "NetA", "--json").json()
    assert saved["report"]["summary"] == ALL_MATCHED
    handle = saved["checkpoint"]["name"]

    started = cli.done("warm-start", "NetB", "--from", handle, "--json").json()
    assert started["report"]["summary"] == ALL_MATCHED
    assert started["checkpoint"]["architecture"] == "architectures/NetB"
    assert started["checkpoint"]["origin"]["warm_start"]["sources"] == [handle]

    result = tmp_path / "net_b.pt"
    cli.done("download", started["checkpoint"]["name"], "-o", result)
    net_b = NetB()
    net_b.load_state_dict(torch.load(result, weights_only=True, mmap=True))
    image = torch.randn(2, 3, 32, 32)
    assert torch.equal(net_a(image), net_b(image))


def test_recipe_by_python(own_client, net_a, file):
    saved = own_client.save(file, architecture="NetA", alias="net-a/best")
    started = own_client.warm_start("NetB", "aliases/net-a/best")
    assert started.report.summary == saved.report.summary == ALL_MATCHED
    assert started.checkpoint.origin.warm_start.sources == [saved.checkpoint.name]
    assert_same_state(
        own_client.state_dict(started.checkpoint.name), net_a.state_dict()
    )


def test_keys_that_are_missing_are_initialized(own_client, net_a):
    state = net_a.state_dict()
    del state["fc3.weight"], state["fc3.bias"]
    handle = own_client.save(state).checkpoint.name
    started = own_client.warm_start("NetB", handle, seed=5)
    assert started.report.summary == (
        "_IncompatibleKeys(missing_keys=['fc3.weight', 'fc3.bias'], unexpected_keys=[])"
    )
    torch.manual_seed(5)
    expected = NetB()
    expected.load_state_dict(state, strict=False)
    assert_same_state(
        own_client.state_dict(started.checkpoint.name), expected.state_dict()
    )


def test_keys_that_are_too_many_are_reported_and_left_out(own_client, net_a):
    state = net_a.state_dict()
    state["fc4.weight"] = torch.ones(2, 10)
    handle = own_client.save(state).checkpoint.name
    started = own_client.warm_start("NetB", handle)
    assert started.report.summary == (
        "_IncompatibleKeys(missing_keys=[], unexpected_keys=['fc4.weight'])"
    )
    del state["fc4.weight"]
    assert_same_state(own_client.state_dict(started.checkpoint.name), state)


def test_keys_that_are_renamed_feed_another_layer(own_client, cli, net_a):
    state = net_a.state_dict()
    state["classifier.weight"] = state.pop("fc3.weight")
    handle = own_client.save(state).checkpoint.name
    started = cli.done(
        *("warm-start", "NetB", "--from", handle, "--json"),
        *("--rename", "classifier.weight=fc3.weight"),
    ).json()
    assert started["report"]["summary"] == ALL_MATCHED
    [entry] = [e for e in started["report"]["entries"] if e["key"] == "fc3.weight"]
    assert entry["outcome"] == "TARGET_OUTCOME_RENAMED"
    assert entry["source_key"] == "classifier.weight"
    assert entry["rules"] == ["--rename classifier.weight=fc3.weight"]
    result = own_client.state_dict(started["checkpoint"]["name"])
    assert_same_tensor(
        "fc3.weight", result["fc3.weight"], net_a.state_dict()["fc3.weight"]
    )


def test_a_fresh_model_is_one_of_python(own_client, cli):
    handle = cli.handle("save", "--architecture", "NetA", "--seed", 7)
    torch.manual_seed(7)
    assert_same_state(own_client.state_dict(handle), NetA().state_dict())
