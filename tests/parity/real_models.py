"""Model code of others, by name: small, where its configuration allows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import timm
import torchvision
import transformers
from torch import nn
from torchvision.models import convnext, densenet, resnet, segmentation, video

Factory = Callable[[], nn.Module]

_tv = torchvision.models

TORCHVISION: dict[str, Factory] = {
    "resnet": lambda: resnet.ResNet(resnet.Bottleneck, [1, 1, 1, 1], 10),
    "resnext": lambda: resnet.ResNet(
        resnet.Bottleneck, [1, 1, 1, 1], 10, True, groups=8, width_per_group=4
    ),
    "vit": lambda: _tv.VisionTransformer(32, 8, 2, 2, 32, 64, num_classes=10),
    "swin": lambda: _tv.SwinTransformer(
        [4, 4], 24, [2, 2], [2, 4], [7, 7], num_classes=10
    ),
    "swin_v2": lambda: _tv.SwinTransformer(
        [4, 4],
        24,
        [2, 2],
        [2, 4],
        [8, 8],
        num_classes=10,
        block=_tv.swin_transformer.SwinTransformerBlockV2,
        downsample_layer=_tv.swin_transformer.PatchMergingV2,
    ),
    "convnext": lambda: _tv.ConvNeXt(
        [convnext.CNBlockConfig(24, 48, 2), convnext.CNBlockConfig(48, None, 2)],
        num_classes=10,
    ),
    "densenet": lambda: densenet.DenseNet(8, (2, 2, 2, 2), 16, num_classes=10),
    "mobilenet_v2": lambda: _tv.mobilenet_v2(width_mult=0.25),
    "mobilenet_v3": lambda: _tv.mobilenet_v3_small(num_classes=10),
    "efficientnet": lambda: _tv.efficientnet_b0(num_classes=10),
    "shufflenet": lambda: _tv.shufflenet_v2_x0_5(num_classes=10),
    "squeezenet": lambda: _tv.squeezenet1_1(num_classes=10),
    "mnasnet": lambda: _tv.mnasnet0_5(num_classes=10),
    "regnet": lambda: _tv.regnet_y_400mf(num_classes=10),
    "lraspp": lambda: segmentation.lraspp_mobilenet_v3_large(
        weights_backbone=None, num_classes=5
    ),
    "r3d": lambda: video.VideoResNet(
        video.resnet.BasicBlock,
        [video.resnet.Conv3DSimple] * 4,
        [1, 1, 1, 1],
        video.resnet.BasicStem,
        num_classes=5,
    ),
}

TIMM: dict[str, Factory] = {
    name: partial(timm.create_model, name, num_classes=10, **options)
    for name, options in {
        "resnet18d": {"channels": (16, 16, 32, 32)},
        "vit_tiny_patch16_224": {"depth": 2, "img_size": 64},
        "deit_tiny_distilled_patch16_224": {"depth": 2, "img_size": 64},
        "beit_base_patch16_224": {"depth": 2, "embed_dim": 64, "num_heads": 2},
        "eva02_tiny_patch14_224": {"depth": 2},
        "swin_tiny_patch4_window7_224": {"embed_dim": 24, "depths": (2, 2)},
        "convnext_atto": {"dims": (16, 32, 48, 64)},
        "convnextv2_atto": {"dims": (16, 32, 48, 64)},
        "cait_xxs24_224": {"depth": 2},
        "levit_128s": {},
        "mobilevit_xxs": {},
        "regnety_002": {},
        "ghostnet_050": {},
        "test_nfnet": {},
        "test_maxvit": {},
        "test_efficientnet": {},
    }.items()
}

_SIZES = {
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
    "embedding_size": 16,
    "head_dim": 8,
    "num_local_experts": 4,
    # Of GPT-2 and its kin.
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 64,
    # Of T5.
    "d_ff": 48,
    "d_kv": 8,
    "num_layers": 2,
    "num_decoder_layers": 2,
    "num_heads": 4,
    # Of BART and Whisper.
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    # Of DistilBERT.
    "dim": 32,
    "hidden_dim": 48,
    "n_layers": 2,
    "n_heads": 4,
}


def _small(auto: str, model_type: str) -> nn.Module:
    config = transformers.AutoConfig.for_model(model_type)
    for name, value in _SIZES.items():
        if hasattr(config, name):
            setattr(config, name, value)
    return getattr(transformers, auto).from_config(config)


TRANSFORMERS: dict[str, Factory] = {
    model_type: partial(_small, auto, model_type)
    for auto, model_types in {
        "AutoModel": ["bert", "distilbert", "albert", "electra", "vit", "dinov2"],
        "AutoModelForMaskedLM": ["roberta", "deberta-v2"],
        "AutoModelForCausalLM": [
            "gpt2",
            "llama",
            "mistral",
            "qwen2",
            "gemma",
            "opt",
            "bloom",
            "gpt_neox",
            "mixtral",
            "gptj",
            "mamba",
        ],
        "AutoModelForSeq2SeqLM": ["t5", "bart"],
        "AutoModelForSpeechSeq2Seq": ["whisper"],
    }.items()
    for model_type in model_types
}

ALL: dict[str, Factory] = {
    f"{library}_{name}": factory
    for library, factories in {
        "torchvision": TORCHVISION,
        "timm": TIMM,
        "transformers": TRANSFORMERS,
    }.items()
    for name, factory in factories.items()
}
