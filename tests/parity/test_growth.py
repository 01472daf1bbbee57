"""Growing a network so that it computes what it did: Net2Net, and zero branches."""

from __future__ import annotations

import torch
import warmstart
from torch import nn

from parity.published import random_state, register


class Narrow(nn.Module):
    """Two convolutions with a norm between, and a head."""

    def __init__(self, width=6, hidden=8):
        """Makes the layers."""
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3)
        self.bn = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, 4, 3)
        self.fc1 = nn.Linear(4, hidden)
        self.fc2 = nn.Linear(hidden, 5)

    def forward(self, x):
        """Runs it."""
        x = torch.relu(self.bn(self.conv1(x)))
        x = torch.relu(self.conv2(x)).mean((2, 3))
        return self.fc2(torch.relu(self.fc1(x)))


def slices(*pairs):
    return [{"key": key, "dim": dim} for key, dim in pairs]


def test_a_wider_network_computes_the_same(client):
    narrow = Narrow()
    state = random_state(narrow, 1)
    state["bn.running_var"].abs_().add_(0.1)
    narrow.load_state_dict(state)
    wide = Narrow(width=15, hidden=11)
    register(client, "growth_wide", wide)
    handle = client.save(state).checkpoint.name
    bn = [(f"bn.{name}", 0) for name in ("weight", "bias", "running_mean")]
    started = client.warm_start(
        "growth_wide",
        handle,
        widen=[
            warmstart.Widening(
                outputs=slices(
                    ("conv1.weight", 0), ("conv1.bias", 0), *bn, ("bn.running_var", 0)
                ),
                inputs=slices(("conv2.weight", 1)),
            ),
            warmstart.Widening(
                outputs=slices(("fc1.weight", 0), ("fc1.bias", 0)),
                inputs=slices(("fc2.weight", 1)),
            ),
        ],
        strict=True,
    )
    wide.load_state_dict(client.state_dict(started.checkpoint.name))
    image = torch.randn(2, 3, 9, 9)
    with torch.no_grad():
        expected, got = narrow.eval()(image), wide.eval()(image)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
    assert not torch.equal(
        client.state_dict(started.checkpoint.name)["conv2.weight"][:, :6],
        state["conv2.weight"],
    ), "what takes units in is divided"


class Residual(nn.Module):
    """Blocks x + proj(relu(fc(x)))."""

    def __init__(self, depth):
        """Makes the blocks."""
        super().__init__()
        self.h = nn.ModuleList(
            nn.ModuleDict({"fc": nn.Linear(6, 12), "proj": nn.Linear(12, 6)})
            for _ in range(depth)
        )
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        """Runs it."""
        for block in self.h:
            x = x + block["proj"](torch.relu(block["fc"](x)))
        return self.head(x)


def test_a_deeper_network_computes_the_same(client):
    shallow, deep = Residual(3), Residual(6)
    state = random_state(shallow, 2)
    shallow.load_state_dict(state)
    register(client, "growth_deep", deep)
    handle = client.save(state).checkpoint.name
    # Old layers take the even places; the new ones between start as zero branches.
    started = client.warm_start(
        "growth_deep",
        handle,
        key_rules=[
            warmstart.KeyRule(
                regex={"pattern": rf"^h\.{i}\.", "replacement": f"h.{2 * i}."}
            )
            for i in reversed(range(3))
        ],
        initialize={"h.*.proj.*": "zeros", "h.*.fc.*": {"normal": {"std": 0.02}}},
        seed=1,
    )
    deep.load_state_dict(client.state_dict(started.checkpoint.name))
    x = torch.randn(4, 6)
    with torch.no_grad():
        torch.testing.assert_close(deep(x), shallow(x), rtol=1e-6, atol=1e-6)


def test_each_layer_twice_and_every_other_layer(client):
    shallow, deep = Residual(3), Residual(6)
    state = random_state(shallow, 3)
    register(client, "growth_stacked", deep)
    handle = client.save(state).checkpoint.name
    template = {"to": "h.{i}.{rest*}", "from": "h.{i/2}.{rest*}"}
    started = client.warm_start(
        "growth_stacked",
        handle,
        key_rules=[warmstart.KeyRule(template=template)],
        strict=True,
    )
    got = client.state_dict(started.checkpoint.name)
    for i in range(6):
        assert torch.equal(got[f"h.{i}.fc.weight"], state[f"h.{i // 2}.fc.weight"])

    register(client, "growth_halved", shallow)
    template = {"to": "h.{i}.{rest*}", "from": "h.{2*i}.{rest*}"}
    halved = client.warm_start(
        "growth_halved",
        started.checkpoint.name,
        key_rules=[warmstart.KeyRule(template=template)],
        strict=True,
    )
    back = client.state_dict(halved.checkpoint.name)
    assert all(torch.equal(back[key], tensor) for key, tensor in state.items())
