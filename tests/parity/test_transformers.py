"""transformers' own loading, with real model code and random weights."""

from __future__ import annotations

import pytest
import torch
import transformers
import warmstart
from harness.tensors import assert_same_tensor
from transformers.core_model_loading import revert_weight_conversion

from parity.published import random_state, register

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 64,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
MOE = {
    "num_local_experts": 4,
    "num_experts": 4,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "moe_num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 24,
    "shared_expert_intermediate_size": 24,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 0,
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
}

# Model types whose published layout is not the model's: mixtures of experts with a
# tensor for each expert, and renamed parts.
CONVERTED = [
    "mixtral",
    "qwen2_moe",
    "qwen3_moe",
    "olmoe",
    "phimoe",
    "jamba",
    "deepseek_v3",
    "dots1",
    "glm4_moe",
    "minimax",
    "flex_olmo",
    "granitemoe",
]


def small_model(model_type: str) -> transformers.PreTrainedModel:
    config = transformers.AutoConfig.for_model(model_type)
    for name, value in {**SMALL, **MOE}.items():
        if hasattr(config, name):
            setattr(config, name, value)
    if model_type == "jamba":
        config.attn_layer_period, config.attn_layer_offset = 2, 0
        config.expert_layer_period, config.expert_layer_offset = 1, 0
        config.use_mamba_kernels = False
    if model_type == "minimax":
        config.layer_types = ["full_attention"] * config.num_hidden_layers
    return transformers.AutoModelForCausalLM.from_config(config)


@pytest.mark.parametrize("model_type", CONVERTED)
def test_published_layouts_become_the_models_own(client, model_type):
    model = small_model(model_type)
    model.load_state_dict(random_state(model, 1))
    own = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    published = revert_weight_conversion(model, dict(own))
    assert set(published) != set(own), "the layouts differ"

    name = f"transformers_{model_type}"
    register(client, name, model)
    handle = client.save(
        {key: tensor.contiguous() for key, tensor in published.items()}
    ).checkpoint.name
    started = client.warm_start(
        name, handle, key_rules=warmstart.rules_from_transformers(model), strict=True
    )
    assert started.report.summary == "<All keys matched successfully>"
    got = client.state_dict(started.checkpoint.name)
    assert list(got) == list(own)
    for key, tensor in own.items():
        assert_same_tensor(key, got[key], tensor)

    # And back: the same rules undone by transformers' own reverse mapping.
    back = f"{name}_published"
    client.register_architecture(warmstart.architecture_of(back, published))
    returned = client.warm_start(
        back,
        started.checkpoint.name,
        key_rules=warmstart.rules_from_transformers(model, reverse=True),
        strict=True,
    )
    got = client.state_dict(returned.checkpoint.name)
    for key, tensor in published.items():
        assert_same_tensor(key, got[key], tensor)


def from_pretrained(cls, folder, **options):
    """The model and what transformers says of its keys, fresh tensors filled."""
    return cls.from_pretrained(folder, output_loading_info=True, **options)


def bert() -> transformers.BertConfig:
    return transformers.BertConfig(**{k: v for k, v in SMALL.items() if "key" not in k})


def gpt2() -> transformers.GPT2Config:
    return transformers.GPT2Config(
        n_embd=32, n_layer=2, n_head=4, vocab_size=64, n_positions=64, pad_token_id=0
    )


PAIRS = {
    "bert_base_to_classifier": (
        bert,
        transformers.BertModel,
        transformers.BertForSequenceClassification,
    ),
    "bert_pretraining_to_classifier": (
        bert,
        transformers.BertForPreTraining,
        transformers.BertForSequenceClassification,
    ),
    "bert_classifier_to_base": (
        bert,
        transformers.BertForSequenceClassification,
        transformers.BertModel,
    ),
    "gpt2_lm_to_classifier": (
        gpt2,
        transformers.GPT2LMHeadModel,
        transformers.GPT2ForSequenceClassification,
    ),
    "gpt2_base_to_lm": (gpt2, transformers.GPT2Model, transformers.GPT2LMHeadModel),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_a_head_is_added_or_taken_off(client, tmp_path, pair):
    make_config, source_class, target_class = PAIRS[pair]
    config = make_config()
    source = source_class(config)
    source.load_state_dict(random_state(source, 2))
    source.save_pretrained(tmp_path)
    expected, info = from_pretrained(target_class, tmp_path)

    name = f"transformers_{pair}"
    register(client, name, target_class(config))
    handle = client.save(tmp_path / "model.safetensors").checkpoint.name
    started = client.warm_start(
        name,
        handle,
        match="auto",
        expected_missing=expected._keys_to_ignore_on_load_missing or (),
        expected_unexpected=expected._keys_to_ignore_on_load_unexpected or (),
    )
    tied = {entry.key for entry in started.report.entries if entry.tied_to}
    missing = set(started.report.missing_keys) - tied
    assert missing == set(info["missing_keys"])
    got = client.state_dict(started.checkpoint.name)
    for key, tensor in expected.state_dict().items():
        if key not in missing:
            assert_same_tensor(key, got[key], tensor)


def test_mismatched_sizes_are_ignored_alike(client, tmp_path):
    config = bert()
    config.num_labels = 7
    source = transformers.BertForSequenceClassification(config)
    source.load_state_dict(random_state(source, 3))
    source.save_pretrained(tmp_path)
    expected, info = from_pretrained(
        transformers.BertForSequenceClassification,
        tmp_path,
        num_labels=3,
        ignore_mismatched_sizes=True,
    )
    register(
        client,
        "transformers_mismatched",
        transformers.BertForSequenceClassification(expected.config),
    )
    handle = client.save(tmp_path / "model.safetensors").checkpoint.name
    started = client.warm_start(
        "transformers_mismatched", handle, on_shape_mismatch="skip"
    )
    assert {key.key for key in started.report.mismatched_keys} == {
        key for key, *_ in info["mismatched_keys"]
    }
    got = client.state_dict(started.checkpoint.name)
    for key, tensor in expected.state_dict().items():
        if not key.startswith("classifier."):
            assert_same_tensor(key, got[key], tensor)


@pytest.mark.parametrize("size", [50, 80])
def test_a_resized_vocabulary_keeps_the_common_rows(client, size):
    model = transformers.GPT2LMHeadModel(gpt2())
    model.load_state_dict(random_state(model, 4))
    handle = client.save(model.state_dict()).checkpoint.name
    model.resize_token_embeddings(size, mean_resizing=False)
    expected = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    name = f"transformers_vocabulary_{size}"
    register(client, name, model)
    started = client.warm_start(
        name, handle, adapt={"*wte.weight": "rows", "lm_head.weight": "rows"}
    )
    got = client.state_dict(started.checkpoint.name)
    rows = min(size, 64)
    for key, tensor in expected.items():
        if tensor.shape[0] == size:
            assert torch.equal(got[key][:rows], tensor[:rows]), key
        else:
            assert_same_tensor(key, got[key], tensor)
    wte, head = got["transformer.wte.weight"], got["lm_head.weight"]
    assert wte.data_ptr() == head.data_ptr(), "tied, in the file too"


def test_tied_embeddings_stay_tied(client, tmp_path):
    model = transformers.GPT2LMHeadModel(gpt2())
    model.load_state_dict(random_state(model, 5))
    expected = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    # safetensors holds one of the two; the other is found again by its tie.
    model.save_pretrained(tmp_path)
    register(client, "transformers_tied", model)
    handle = client.save(tmp_path / "model.safetensors").checkpoint.name
    started = client.warm_start("transformers_tied", handle)
    got = client.state_dict(started.checkpoint.name)
    for key, tensor in expected.items():
        assert_same_tensor(key, got[key], tensor)
    wte, head = got["transformer.wte.weight"], got["lm_head.weight"]
    assert wte.data_ptr() == head.data_ptr()
