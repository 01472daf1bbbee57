"""NetA and NetB, as the recipe defines them, made by the server and by Python."""

from __future__ import annotations

import pytest
import torch
import warmstart
from harness.nets import NetA, NetB
from harness.tensors import assert_same_state

NETS = pytest.mark.parametrize("net", [NetA, NetB])


@NETS
@pytest.mark.parametrize("seed", [0, 7, 2**31, 2**63 + 1, 2**64 - 1])
def test_fresh_weights_equal_those_of_python(client, net, seed):
    saved = client.save_fresh(net.__name__, seed=seed)
    # manual_seed takes seeds from 2**63 as negative numbers, which are the same.
    torch.manual_seed(seed if seed < 2**63 else seed - 2**64)
    expected = net().state_dict()
    assert_same_state(client.state_dict(saved.checkpoint.name), expected)
    assert saved.checkpoint.origin.initialization.seed == seed


@NETS
def test_schema_is_that_of_python(client, net):
    served = client.get_architecture(net.__name__)
    described = warmstart.architecture_of(net.__name__, net())
    assert [(e.key, list(e.shape), e.dtype, e.buffer) for e in served.entries] == [
        (e.key, list(e.shape), e.dtype, e.buffer) for e in described.entries
    ]
    assert served.modules == described.modules
    assert served.built_in


@NETS
def test_missing_keys_get_the_fresh_weights_of_the_seed(client, net, tmp_path):
    source = net().state_dict()
    del source["fc3.weight"], source["conv1.bias"]
    handle = client.save(source).checkpoint.name
    started = client.warm_start(net.__name__, handle, seed=11)

    torch.manual_seed(11)
    target = net()
    result = target.load_state_dict(source, strict=False)
    assert started.report.summary == repr(result)
    assert_same_state(client.state_dict(started.checkpoint.name), target.state_dict())


def test_the_recipe_itself(client, tmp_path):
    torch.manual_seed(1)
    net_a, net_b = NetA(), NetB()
    torch.save(net_a.state_dict(), tmp_path / "model.pt")
    saved = client.save(tmp_path / "model.pt", architecture="NetA")
    assert saved.report.summary == "<All keys matched successfully>"
    started = client.warm_start("NetB", saved.checkpoint.name)
    assert started.report.summary == "<All keys matched successfully>"

    client.download(started.checkpoint.name, tmp_path / "net_b.pt")
    net_b.load_state_dict(torch.load(tmp_path / "net_b.pt", weights_only=True))
    image = torch.randn(1, 3, 32, 32)
    assert torch.equal(net_a(image), net_b(image))
