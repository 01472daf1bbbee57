"""Several checkpoints in one: averages, interpolation, task vectors, and PEFT."""

from __future__ import annotations

import peft
import pytest
import torch
import transformers
import warmstart
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from parity.published import assert_close_state, random_state, register

# PEFT's own use of deprecated functions.
pytestmark = pytest.mark.filterwarnings("ignore")


class Small(nn.Module):
    """A net with a buffer that counts, which is not to be averaged."""

    def __init__(self):
        """Makes the layers."""
        super().__init__()
        self.fc1 = nn.Linear(6, 5)
        self.bn = nn.BatchNorm1d(5)
        self.fc2 = nn.Linear(5, 3)


@pytest.fixture(scope="module")
def soup(client):
    """Three models that were saved, and their target."""
    register(client, "merging_small", Small())
    states = [random_state(Small(), seed) for seed in (1, 2, 3)]
    return [(client.save(state).checkpoint.name, state) for state in states]


def expect(client, soup, answer, combine):
    """What `combine` makes of each floating-point tensor; else the first's."""
    states = [state for _, state in soup]
    expected = {
        key: combine([state[key].double() for state in states]).float()
        if tensor.is_floating_point()
        else tensor
        for key, tensor in states[0].items()
    }
    got = client.state_dict(answer.checkpoint.name)
    assert_close_state(got, expected, computed=lambda key: "num" not in key)


def sources(soup, weights):
    return [
        warmstart.Source(checkpoint=handle, weight=weight)
        for (handle, _), weight in zip(soup, weights, strict=False)
    ]


def test_a_soup_is_the_mean(client, soup):
    started = client.warm_start(
        "merging_small", sources(soup, [1, 1, 1]), combine="average"
    )
    expect(client, soup, started, lambda tensors: sum(tensors) / 3)


def test_weights_are_relative(client, soup):
    started = client.warm_start(
        "merging_small", sources(soup, [2, 1, 1]), combine="average"
    )
    expect(client, soup, started, lambda t: 0.5 * t[0] + 0.25 * t[1] + 0.25 * t[2])


def test_a_moving_average_is_pytorchs(client, soup):
    started = client.warm_start(
        "merging_small",
        sources(soup, [1, 1, 1]),
        combine={"moving_average": {"decay": 0.75}},
    )
    model = Small()
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.75))
    for _, state in soup:
        model.load_state_dict(state)
        averaged.update_parameters(model)
    expected = {
        key.removeprefix("module."): tensor
        for key, tensor in averaged.state_dict().items()
        if key != "n_averaged"
    }
    got = client.state_dict(started.checkpoint.name)
    parameters = {name for name, _ in model.named_parameters()}
    assert_close_state(
        {key: got[key] for key in parameters},
        {key: expected[key] for key in parameters},
        computed=lambda _: True,
    )


def test_task_vectors_are_added_to_the_base(client, soup):
    started = client.warm_start(
        "merging_small", sources(soup, [1, 0.5, -0.25]), combine="task_arithmetic"
    )
    expect(
        client,
        soup,
        started,
        lambda t: t[0] + 0.5 * (t[1] - t[0]) - 0.25 * (t[2] - t[0]),
    )


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
def test_slerp_goes_along_the_sphere(client, soup, t):
    started = client.warm_start(
        "merging_small", sources(soup[:2], [1, 1]), combine={"slerp": {"t": t}}
    )

    def slerp(tensors):
        a, b = tensors[:2]
        cosine = (a.flatten() @ b.flatten()) / (a.norm() * b.norm())
        angle = torch.arccos(cosine.clamp(-1, 1))
        return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(
            angle
        )

    expected = {
        key: slerp([soup[0][1][key].double(), soup[1][1][key].double()]).float()
        if tensor.is_floating_point()
        else tensor
        for key, tensor in soup[0][1].items()
    }
    got = client.state_dict(started.checkpoint.name)
    assert_close_state(
        got, expected, computed=lambda key: "num" not in key, tolerance=1e-5
    )


def base_model(kind: str) -> nn.Module:
    if kind == "gpt2":
        return transformers.GPT2LMHeadModel(
            transformers.GPT2Config(
                n_embd=32, n_layer=2, n_head=4, vocab_size=64, n_positions=64
            )
        )
    config = transformers.LlamaConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=64,
    )
    return transformers.LlamaForCausalLM(config)


LORAS = {
    "linear": ("llama", ["q_proj", "v_proj", "down_proj"], {}),
    "rslora": ("llama", ["q_proj", "o_proj"], {"use_rslora": True}),
    "conv1d": ("gpt2", ["c_attn", "c_proj"], {"fan_in_fan_out": True}),
    "embedding": ("llama", ["embed_tokens", "k_proj"], {}),
}


@pytest.mark.parametrize("kind", LORAS)
def test_a_lora_adapter_is_merged_as_peft_does(client, tmp_path, kind):
    base_kind, modules, options = LORAS[kind]
    base = base_model(base_kind)
    base.load_state_dict(random_state(base, 7))
    name = f"merging_lora_{kind}"
    handle = client.save(
        {key: tensor.clone() for key, tensor in base.state_dict().items()}
    ).checkpoint.name
    config = peft.LoraConfig(r=4, lora_alpha=16, target_modules=modules, **options)
    tuned = peft.get_peft_model(base, config)
    with torch.no_grad():  # B starts as zeros, which would show nothing
        for key, parameter in tuned.named_parameters():
            if "lora_" in key:
                parameter.normal_(std=0.1)
    tuned.save_pretrained(tmp_path)
    adapter = client.save(tmp_path / "adapter_model.safetensors").checkpoint.name
    expected = tuned.merge_and_unload().state_dict()
    expected = {key: tensor.clone() for key, tensor in expected.items()}

    target = base_model(base_kind)
    register(client, name, target)
    rslora = options.get("use_rslora", False)
    lora = warmstart.LoraAdapter(alpha=16, rslora=rslora)
    started = client.warm_start(
        name,
        [
            warmstart.Source(checkpoint=handle),
            warmstart.Source(checkpoint=adapter, lora=lora),
        ],
        strict=True,
    )
    merged = {e.key for e in started.report.entries if e.derivation}
    assert len(merged) >= 3
    got = client.state_dict(started.checkpoint.name)
    assert_close_state(
        got, expected, computed=lambda key: key in merged, tolerance=1e-6
    )
