"""torchvision's models: other heads, wrapped models, and automatic matching."""

from __future__ import annotations

import json
import shlex

import pytest
import torch
import torchvision
import warmstart
from google.protobuf import json_format
from harness.tensors import assert_same_state

from parity.published import random_state, register

ARCHITECTURES = [
    "resnet18",
    "mobilenet_v3_small",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "efficientnet_b0",
    "regnet_y_400mf",
    "densenet121",
]


def make(arch: str, **options) -> torch.nn.Module:
    return getattr(torchvision.models, arch)(weights=None, **options)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_model_with_another_head_skips_what_does_not_fit(client, arch):
    state = random_state(make(arch), 1)
    model = make(arch, num_classes=10)
    name = f"torchvision_{arch}"
    register(client, name, model)
    handle = client.save(state).checkpoint.name
    started = client.warm_start(name, handle, on_shape_mismatch="skip")

    own = model.state_dict()
    fitting = {k: t for k, t in state.items() if t.shape == own[k].shape}
    result = model.load_state_dict(fitting, strict=False)
    assert list(started.report.missing_keys) == result.missing_keys
    assert list(started.report.unexpected_keys) == result.unexpected_keys
    assert_same_state(client.state_dict(started.checkpoint.name), model.state_dict())


WRAPPERS = {
    "data_parallel": lambda key: f"module.{key}",
    "compiled": lambda key: f"_orig_mod.{key}",
    "both": lambda key: f"module._orig_mod.{key}",
    "lightning": lambda key: f"model.{key}",
    "inner_fsdp": lambda key: key.replace(
        "layer1.0.", "layer1._fsdp_wrapped_module.0._fsdp_wrapped_module."
    ),
    "inner_checkpoint": lambda key: key.replace(
        "layer2.1.", "layer2.1._checkpoint_wrapped_module."
    ),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_what_wrappers_add_is_taken_off(client, wrapper):
    model = make("resnet18")
    register(client, f"torchvision_wrapped_{wrapper}", model)
    state = random_state(model, 2)
    wrapped = {WRAPPERS[wrapper](key): tensor for key, tensor in state.items()}
    handle = client.save(wrapped).checkpoint.name

    plain = client.warm_start(f"torchvision_wrapped_{wrapper}", handle, dry_run=True)
    assert plain.report.suggestions, "unmatched keys get suggestions"

    started = client.warm_start(
        f"torchvision_wrapped_{wrapper}", handle, match="auto", strict=True
    )
    assert started.report.summary == "<All keys matched successfully>"
    assert any(rule.automatic for rule in started.report.rules)
    assert_same_state(client.state_dict(started.checkpoint.name), state)


def test_an_automatic_match_is_what_its_rules_do(client):
    """The rules that automatic matching reports do the same when they are given."""
    model = make("squeezenet1_1")
    register(client, "torchvision_explicit", model)
    state = random_state(model, 3)
    wrapped = {f"module.{key}": tensor for key, tensor in state.items()}
    handle = client.save(wrapped).checkpoint.name
    found = client.warm_start("torchvision_explicit", handle, match="auto")
    rules = []
    for use in found.report.rules:
        flag, value = shlex.split(use.rule)[0], use.rule.split(" ", 1)[1]
        if flag == "--strip-prefix":
            rules.append(warmstart.KeyRule(strip_prefix=value))
        elif flag == "--rule":
            text = json.loads(value.strip("'"))
            rules.append(json_format.ParseDict(text, warmstart.KeyRule()))
        else:
            pytest.fail(f"unknown {use.rule}")
    again = client.warm_start("torchvision_explicit", handle, key_rules=rules)
    assert_same_state(
        client.state_dict(again.checkpoint.name),
        client.state_dict(found.checkpoint.name),
    )
