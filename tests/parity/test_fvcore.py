"""fvcore's Checkpointer: what it strips, skips and reports."""

from __future__ import annotations

import pytest
import torchvision
from fvcore.common.checkpoint import Checkpointer
from harness.tensors import assert_same_state

from parity.published import random_state, register


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("classes", [1000, 10])
def test_the_checkpointers_verdict_is_the_servers(client, prefix, classes):
    state = random_state(torchvision.models.resnet18(weights=None), 1)
    del state["layer3.0.conv1.weight"]
    state["extra.weight"] = state["fc.bias"].clone()
    model = torchvision.models.resnet18(weights=None, num_classes=classes)
    name = f"fvcore_{classes}_{len(prefix)}"
    register(client, name, model)
    file = {f"{prefix}{key}": tensor for key, tensor in state.items()}
    handle = client.save({"model": file}).checkpoint.name
    started = client.warm_start(
        name, handle, subtree="model", match="auto", on_shape_mismatch="skip"
    )
    verdict = Checkpointer(model)._load_model({"model": dict(file)})
    mismatched = {key for key, *_ in verdict.incorrect_shapes}
    assert {key.key for key in started.report.mismatched_keys} == mismatched
    missing = [key for key in started.report.missing_keys if key not in mismatched]
    assert missing == [key for key in verdict.missing_keys if key not in mismatched]
    assert list(started.report.unexpected_keys) == list(verdict.unexpected_keys)
    assert_same_state(client.state_dict(started.checkpoint.name), model.state_dict())
