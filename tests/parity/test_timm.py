"""timm's own loaders, and the same by adapters.

Keys and values are those that timm's loader leaves in the model: bit for bit where
nothing is computed, within 1e-6 of the largest value where float32 arithmetic is.
"""

from __future__ import annotations

import pytest
import timm
import torch
from timm.models import swin_transformer, vision_transformer
from timm.models._builder import load_pretrained
from timm.models._manipulate import adapt_input_conv

from parity.published import assert_close_state, random_state, register

# timm's own use of deprecated functions.
pytestmark = pytest.mark.filterwarnings("ignore")


def timm_loads(model, state, **config):
    """timm's load_pretrained with a checkpoint at hand, as create_model calls it."""
    config = {"state_dict": state, "num_classes": 1000, **config}
    load_pretrained(
        model,
        pretrained_cfg=config,
        num_classes=model.num_classes,
        in_chans=config.pop("in_chans"),
        strict=False,
    )
    return model.state_dict()


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6, 7])
@pytest.mark.parametrize("arch", ["resnet18", "resnet18d"])
def test_resnet_with_other_classes_and_input_channels(client, arch, channels):
    state = random_state(timm.create_model(arch), 1)
    model = timm.create_model(arch, num_classes=10, in_chans=channels)
    first_conv = model.default_cfg["first_conv"]
    name = f"timm_{arch}_{channels}"
    register(client, name, model)
    handle = client.save(state).checkpoint.name
    started = client.warm_start(
        name,
        handle,
        exclude="fc.*",
        adapt={f"{first_conv}.weight": "input_channels"},
    )
    expected = timm_loads(
        model,
        dict(state),
        first_conv=first_conv,
        classifier="fc",
        in_chans=channels,
    )
    got = client.state_dict(started.checkpoint.name)
    assert_close_state(got, expected, computed=lambda key: first_conv in key)
    assert list(started.report.missing_keys) == ["fc.weight", "fc.bias"]
    assert list(started.report.unexpected_keys) == []


@pytest.mark.parametrize("channels", [1, 2, 4, 5])
def test_other_kernels_and_rows_of_channels(client, channels):
    """adapt_input_conv alone: three channels, and a space-to-depth stem."""
    for source_channels in (3, 12):
        weight = torch.randn(8, source_channels, 5, 5)
        try:
            expected = adapt_input_conv(channels, weight)
        except NotImplementedError:
            continue
        # To one channel, a space-to-depth stem keeps one for each place.
        made = expected.shape[1]
        name = f"timm_conv_{source_channels}_{made}"
        register(client, name, torch.nn.Conv2d(made, 8, 5, bias=False))
        handle = client.save({"weight": weight}).checkpoint.name
        started = client.warm_start(name, handle, adapt={"*": "input_channels"})
        got = client.state_dict(started.checkpoint.name)["weight"]
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("size", "patch"), [(128, 16), (384, 16), (224, 8), (224, 32), (192, 12)]
)
def test_vit_at_another_image_and_patch_size(client, size, patch):
    arch = "vit_tiny_patch16_224"
    state = random_state(timm.create_model(arch), 2)
    model = timm.create_model(arch, img_size=size, patch_size=patch)
    name = f"timm_vit_{size}_{patch}"
    register(client, name, model)
    handle = client.save(state).checkpoint.name
    started = client.warm_start(
        name,
        handle,
        adapt={
            "pos_embed": "position_embedding",
            "patch_embed.proj.weight": "patch_embedding",
        },
    )
    expected = vision_transformer.checkpoint_filter_fn(dict(state), model)
    got = client.state_dict(started.checkpoint.name)
    computed = {"pos_embed", "patch_embed.proj.weight"}
    assert_close_state(
        {key: got[key] for key in expected},
        expected,
        computed=lambda key: key in computed,
        tolerance=1e-5,
    )
    assert started.report.summary == "<All keys matched successfully>"


def test_vit_adapts_by_itself_where_asked(client):
    arch = "vit_tiny_patch16_224"
    state = random_state(timm.create_model(arch), 3)
    model = timm.create_model(arch, img_size=128, num_classes=10, in_chans=1)
    register(client, "timm_vit_auto", model)
    handle = client.save(state).checkpoint.name
    report = client.warm_start(
        "timm_vit_auto", handle, on_shape_mismatch="adapt", dry_run=True
    ).report
    adapted = {e.key: e.adaptation for e in report.entries if e.adaptation}
    assert set(adapted) == {
        "pos_embed",
        "patch_embed.proj.weight",
        "head.weight",
        "head.bias",
    }
    assert report.coverage.keys_loaded == report.coverage.keys_total


@pytest.mark.parametrize(("window", "size"), [(7, 224), (8, 256), (12, 384)])
def test_swin_at_another_window(client, window, size):
    arch = "swin_tiny_patch4_window7_224"
    state = random_state(timm.create_model(arch), 4)
    model = timm.create_model(arch, img_size=size, window_size=window)
    name = f"timm_swin_{window}"
    register(client, name, model)
    handle = client.save(state).checkpoint.name
    started = client.warm_start(
        name,
        handle,
        adapt={"*relative_position_bias_table": "relative_position_bias"},
    )
    expected = swin_transformer.checkpoint_filter_fn(dict(state), model)
    got = client.state_dict(started.checkpoint.name)
    loaded = [key for key in expected if key in got]
    assert_close_state(
        {key: got[key] for key in loaded},
        {key: expected[key] for key in loaded},
        computed=lambda key: "bias_table" in key and window != 7,
        tolerance=1e-5,
    )
