"""Writes what torch.nn makes of the modules that server/torch/declared declares.

Usage: make_declared_expectations.py OUTPUT.json

A case is a module, its declaration, and some inputs. Of each there is what its
constructor draws, what its state_dict is, and what it computes in evaluation
with a state that is not its fresh one.
"""

import json
import sys
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from make_torch_expectations import sha256, whole
from torch import nn

SEEDS = [0, 2**32 + 5]


class Chain(nn.Sequential):
    """A Sequential as the server extends it: a layer that gives several tensors
    passes its first one on, and attention attends to its one tensor."""

    def forward(self, x):
        for module in self:
            x = run(module, [x])[0]
        return x


def build(declaration):
    kind = declaration["type"]
    options = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in declaration.get("options", {}).items()
    }
    if "dtype" in options:
        options["dtype"] = getattr(torch, options["dtype"])
    children = [
        (child.get("name", str(i)), build(child))
        for i, child in enumerate(declaration.get("children", []))
    ]
    if kind == "Sequential":
        return Chain(OrderedDict(children))
    if kind == "TransformerEncoder":
        (_, layer), *norm = children
        return nn.TransformerEncoder(
            layer, norm=norm[0][1] if norm else None, **options
        )
    return getattr(nn, kind)(**options)


def run(module, inputs):
    """The tensors that it gives; None is an input that is left out."""
    if isinstance(module, nn.MultiheadAttention):
        inputs = inputs * 3 if len(inputs) == 1 else inputs
        named = dict(zip(INPUTS["MultiheadAttention"], inputs, strict=False))
        return [module(**named, need_weights=False)[0]]
    if isinstance(module, nn.LSTM):
        output, (h, c) = module(inputs[0], tuple(inputs[1:]) or None)
        return [output, h, c]
    result = module(*inputs)
    return list(result) if isinstance(result, tuple) else [result]


INPUTS = {
    "Bilinear": ["input1", "input2"],
    "GRU": ["input", "h_0"],
    "LSTM": ["input", "h_0", "c_0"],
    "MultiheadAttention": ["query", "key", "value", "key_padding_mask", "attn_mask"],
    "RNN": ["input", "h_0"],
    "TransformerEncoder": ["src", "mask", "src_key_padding_mask"],
    "TransformerEncoderLayer": ["src", "src_mask", "src_key_padding_mask"],
}


def layer(kind, *children, name=None, **options):
    declaration = {"type": kind, "options": options}
    if children:
        declaration["children"] = list(children)
    if name is not None:
        declaration["name"] = name
    return declaration


@dataclass
class Case:
    declaration: dict
    inputs: list = field(default_factory=list)
    # Relative, where the server does not call the very kernels that Python does.
    tolerance: float = 0


_generator = torch.Generator().manual_seed(1)


def rand(*shape, dtype=torch.float32):
    return torch.randn(shape, generator=_generator).to(dtype)


def indices(high, *shape, dtype=torch.int64):
    return torch.randint(0, high, shape, generator=_generator, dtype=dtype)


def linear_cases() -> Iterator[Case]:
    yield Case(layer("Linear", in_features=5, out_features=3), [rand(4, 5)])
    yield Case(
        layer("Linear", in_features=5, out_features=3, bias=False), [rand(2, 3, 5)]
    )
    yield Case(
        layer("Linear", in_features=40, out_features=30, dtype="float64"),
        [rand(40, dtype=torch.float64)],
    )
    yield Case(
        layer("Linear", in_features=6, out_features=4, dtype="bfloat16"),
        [rand(2, 6, dtype=torch.bfloat16)],
    )
    yield Case(
        layer("Bilinear", in1_features=3, in2_features=4, out_features=2),
        [rand(5, 3), rand(5, 4)],
    )
    yield Case(
        layer("Bilinear", in1_features=3, in2_features=4, out_features=2, bias=False),
        [rand(5, 3), rand(5, 4)],
    )
    yield Case(
        layer("Embedding", num_embeddings=7, embedding_dim=4), [indices(7, 2, 3)]
    )
    for padding in [0, 3, -1]:
        yield Case(
            layer("Embedding", num_embeddings=7, embedding_dim=4, padding_idx=padding),
            [indices(7, 5, dtype=torch.int32)],
        )


def convolution_cases() -> Iterator[Case]:
    sizes = {1: [20], 2: [12, 13], 3: [7, 8, 6]}
    for rank, size in sizes.items():
        conv, transposed = f"Conv{rank}d", f"ConvTranspose{rank}d"
        channels = {"in_channels": 4, "out_channels": 6}
        for options in [
            {"kernel_size": 3},
            {"kernel_size": [2, 3, 1][:rank], "stride": [2, 1, 2][:rank]},
            {"kernel_size": 3, "padding": 1, "dilation": 2, "bias": False},
            {"kernel_size": 2, "groups": 2, "padding": [1, 0, 1][:rank]},
        ]:
            yield Case(layer(conv, **channels, **options), [rand(2, 4, *size)])
            yield Case(layer(transposed, **channels, **options), [rand(2, 4, *size)])
        yield Case(
            layer(transposed, **channels, kernel_size=3, stride=2, output_padding=1),
            [rand(4, *size)],
        )
        yield Case(layer(conv, **channels, kernel_size=3), [rand(4, *size)])
        for padding in ["same", "valid", 1]:
            for mode in ["zeros", "reflect", "replicate", "circular"]:
                options = {"kernel_size": [4, 3, 2][:rank], "dilation": 2}
                options |= {"padding": padding, "padding_mode": mode}
                yield Case(layer(conv, **channels, **options), [rand(2, 4, *size)])
    yield Case(
        layer("Conv2d", in_channels=4, out_channels=4, kernel_size=3, groups=4),
        [rand(1, 4, 9, 9)],
    )


def normalization_cases() -> Iterator[Case]:
    yield Case(layer("LayerNorm", normalized_shape=6), [rand(3, 6)])
    yield Case(
        layer("LayerNorm", normalized_shape=[3, 6], eps=0.1, bias=False),
        [rand(2, 3, 6)],
    )
    yield Case(
        layer("LayerNorm", normalized_shape=[6], elementwise_affine=False), [rand(3, 6)]
    )
    yield Case(layer("RMSNorm", normalized_shape=6), [rand(3, 6)])
    yield Case(layer("RMSNorm", normalized_shape=[3, 6], eps=0.1), [rand(2, 3, 6)])
    yield Case(
        layer("RMSNorm", normalized_shape=6, elementwise_affine=False), [rand(3, 6)]
    )
    yield Case(layer("GroupNorm", num_groups=2, num_channels=6), [rand(2, 6, 5)])
    yield Case(
        layer("GroupNorm", num_groups=3, num_channels=6, affine=False, eps=0.1),
        [rand(2, 6, 5, 4)],
    )
    for rank, size in {1: [5], 2: [5, 4], 3: [3, 4, 2]}.items():
        for options in [
            {},
            {"affine": True, "track_running_stats": True, "eps": 0.1},
            {"affine": False, "track_running_stats": False},
            {"track_running_stats": True, "momentum": None},
        ]:
            for kind in ["BatchNorm", "InstanceNorm"]:
                yield Case(
                    layer(f"{kind}{rank}d", num_features=4, **options),
                    [rand(3, 4, *size)],
                )
        yield Case(layer(f"InstanceNorm{rank}d", num_features=4), [rand(4, *size)])
    yield Case(layer("BatchNorm1d", num_features=4), [rand(3, 4)])


def activation_cases() -> Iterator[Case]:
    plain = ["Hardsigmoid", "Hardswish", "LogSigmoid", "Mish", "ReLU", "ReLU6"]
    plain += ["SELU", "SiLU", "Sigmoid", "Softsign", "Tanh", "Tanhshrink", "RReLU"]
    plain += ["CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardtanh", "LeakyReLU"]
    plain += ["Softplus", "Softshrink", "Identity", "Dropout", "AlphaDropout"]
    plain += ["FeatureAlphaDropout", "Dropout2d", "Softmax", "Softmin", "LogSoftmax"]
    for kind in plain:
        yield Case(layer(kind), [3 * rand(2, 3, 6, 4)])
    yield Case(layer("Dropout1d", p=0.1), [rand(2, 3, 4)])
    yield Case(layer("Dropout3d", p=1, inplace=True), [rand(2, 3, 2, 2, 2)])
    yield Case(layer("ReLU", inplace=True), [rand(5)])
    yield Case(layer("CELU", alpha=0.5), [rand(5)])
    yield Case(layer("ELU", alpha=0.5, inplace=True), [rand(5)])
    yield Case(layer("GELU", approximate="tanh"), [rand(50)])
    yield Case(layer("GLU", dim=0), [rand(4, 3)])
    yield Case(layer("Hardshrink", lambd=0.2), [rand(9)])
    yield Case(layer("Softshrink", lambd=0.2), [rand(9)])
    yield Case(layer("Hardtanh", min_val=-0.3, max_val=0.2), [rand(9)])
    yield Case(layer("LeakyReLU", negative_slope=0.3), [rand(9)])
    yield Case(layer("RReLU", lower=0.1, upper=0.2), [rand(9)])
    yield Case(layer("Softplus", beta=2, threshold=1), [rand(9)])
    yield Case(layer("Threshold", threshold=0.1, value=-7), [rand(9)])
    yield Case(layer("Softmax2d"), [rand(2, 3, 4, 5)])
    for kind in ["Softmax", "Softmin", "LogSoftmax"]:
        yield Case(layer(kind, dim=-1), [rand(2, 9)])
        yield Case(layer(kind, dim=None), [rand(2, 3, 4)])
    yield Case(layer("PReLU"), [rand(2, 3)])
    yield Case(layer("PReLU", num_parameters=3, init=0.1), [rand(2, 3, 4)])


def pooling_cases() -> Iterator[Case]:
    for rank, size in {1: [11], 2: [11, 12], 3: [7, 8, 6]}.items():
        for options in [
            {"kernel_size": 2},
            {"kernel_size": [3, 2, 2][:rank], "stride": 2, "ceil_mode": True},
            {"kernel_size": 3, "padding": 1, "stride": None},
        ]:
            yield Case(layer(f"MaxPool{rank}d", **options), [rand(2, 3, *size)])
            yield Case(layer(f"AvgPool{rank}d", **options), [rand(2, 3, *size)])
        yield Case(
            layer(f"MaxPool{rank}d", kernel_size=2, dilation=2), [rand(3, *size)]
        )
        yield Case(
            layer(f"AvgPool{rank}d", kernel_size=3, padding=1, count_include_pad=False),
            [rand(3, *size)],
        )
        if rank > 1:
            yield Case(
                layer(f"AvgPool{rank}d", kernel_size=2, divisor_override=3),
                [rand(2, 3, *size)],
            )
        for output_size in [1, [3, 2, 4][:rank]]:
            for kind in [f"AdaptiveAvgPool{rank}d", f"AdaptiveMaxPool{rank}d"]:
                yield Case(layer(kind, output_size=output_size), [rand(2, 3, *size)])
    yield Case(layer("AdaptiveAvgPool2d", output_size=[None, 3]), [rand(2, 3, 4, 5)])
    yield Case(layer("AdaptiveMaxPool2d", output_size=[3, None]), [rand(2, 3, 4, 5)])


def reshaping_cases() -> Iterator[Case]:
    yield Case(layer("Flatten"), [rand(2, 3, 4)])
    yield Case(layer("Flatten", start_dim=0, end_dim=1), [rand(2, 3, 4)])
    yield Case(layer("Unflatten", dim=1, unflattened_size=[2, -1]), [rand(2, 6)])
    yield Case(layer("PixelShuffle", upscale_factor=2), [rand(1, 8, 3, 2)])
    yield Case(layer("PixelUnshuffle", downscale_factor=2), [rand(1, 2, 4, 6)])
    yield Case(layer("ChannelShuffle", groups=2), [rand(1, 4, 3, 2)])
    sizes = {1: [5], 2: [5, 4], 3: [4, 5, 6]}
    for rank, size in sizes.items():
        for padding in [1, list(range(1, 2 * rank + 1))]:
            x = rand(2, 3, *[extent + 5 for extent in size])
            for kind in ["Circular", "Reflection", "Replication", "Zero"]:
                yield Case(layer(f"{kind}Pad{rank}d", padding=padding), [x])
            yield Case(layer(f"ConstantPad{rank}d", padding=padding, value=2.5), [x])
        yield Case(layer(f"ZeroPad{rank}d", padding=-1), [rand(2, 3, *size)])
    modes = {1: ["linear"], 2: ["bilinear", "bicubic"], 3: ["trilinear"]}
    for rank, size in sizes.items():
        x = rand(2, 3, *size)
        for mode in ["nearest", "nearest-exact", *modes[rank]]:
            yield Case(layer("Upsample", scale_factor=2, mode=mode), [x])
            yield Case(layer("Upsample", size=7, mode=mode), [x])
            yield Case(layer("Upsample", size=[7, 6, 5][:rank], mode=mode), [x])
            factors = [1.5, 2.5, 0.7][:rank]
            yield Case(layer("Upsample", scale_factor=factors, mode=mode), [x])
            yield Case(
                layer(
                    "Upsample",
                    scale_factor=1.7,
                    mode=mode,
                    recompute_scale_factor=True,
                ),
                [x],
            )
        for mode in modes[rank]:
            yield Case(
                layer("Upsample", scale_factor=2, mode=mode, align_corners=True), [x]
            )


def recurrent_cases() -> Iterator[Case]:
    sizes = {"input_size": 4, "hidden_size": 6}
    for kind in ["RNN", "GRU", "LSTM"]:
        variants = [
            {},
            {"num_layers": 2, "bidirectional": True},
            {"batch_first": True, "bias": False, "dropout": 0.5, "num_layers": 3},
        ]
        if kind == "LSTM":
            variants += [{"proj_size": 3, "num_layers": 2, "bidirectional": True}]
        if kind == "RNN":
            variants += [{"nonlinearity": "relu"}]
        for options in variants:
            yield Case(layer(kind, **sizes, **options), [rand(5, 3, 4)])
            yield Case(layer(kind, **sizes, **options), [rand(5, 4)])
    yield Case(layer("GRU", **sizes), [rand(5, 3, 4), rand(1, 3, 6)])
    yield Case(layer("RNN", **sizes), [rand(5, 4), rand(1, 6)])
    yield Case(
        layer("LSTM", **sizes, proj_size=3, batch_first=True),
        [rand(2, 5, 4), rand(1, 2, 3), rand(1, 2, 6)],
    )
    yield Case(
        layer("LSTM", **sizes, dtype="float64"), [rand(5, 3, 4, dtype=torch.float64)]
    )


def attention_cases() -> Iterator[Case]:
    heads = {"embed_dim": 8, "num_heads": 2}
    causal = torch.ones(5, 5).triu(1).bool()
    padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2, [False] * 5])
    for options in [
        {},
        {"bias": False},
        {"add_bias_kv": True},
        {"add_zero_attn": True},
        {"add_bias_kv": True, "add_zero_attn": True},
    ]:
        attention = layer("MultiheadAttention", **heads, **options)
        x = rand(5, 3, 8)
        yield Case(attention, [rand(4, 3, 8), rand(5, 3, 8), rand(5, 3, 8)])
        yield Case(attention, [x, x.clone(), x.clone(), padding, causal])
        yield Case(attention, [rand(4, 8), rand(5, 8), rand(5, 8)])
        yield Case(layer("Sequential", attention), [x])
    for options in [{"kdim": 3, "vdim": 5}, {"kdim": 3, "vdim": 5, "bias": False}]:
        yield Case(
            layer("MultiheadAttention", **heads, **options, batch_first=True),
            [rand(3, 4, 8), rand(3, 5, 3), rand(3, 5, 5), padding],
        )
    masks = rand(6, 5, 5)
    x = rand(3, 5, 8)
    first = layer("MultiheadAttention", **heads, batch_first=True)
    yield Case(first, [x, x.clone(), x.clone(), None, masks])
    yield Case(first, [x, x.clone(), x.clone(), rand(3, 5)])
    yield Case(layer("Sequential", first), [x])
    yield Case(
        layer("Sequential", layer("MultiheadAttention", embed_dim=9, num_heads=3)),
        [rand(5, 3, 9)],
    )


def transformer_cases() -> Iterator[Case]:
    causal = torch.ones(5, 5).triu(1).bool()
    padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2, [False] * 5])
    sizes = {"d_model": 8, "nhead": 2, "dim_feedforward": 12}
    for options in [
        {},
        {"batch_first": True},
        {"batch_first": True, "norm_first": True, "activation": "gelu"},
        {"norm_first": True, "activation": "gelu", "layer_norm_eps": 0.1},
        {"batch_first": True, "bias": False},
        {"bias": False, "dropout": 0.3},
    ]:
        encoder_layer = layer("TransformerEncoderLayer", **sizes, **options)
        x = rand(3, 5, 8) if options.get("batch_first") else rand(5, 3, 8)
        encoder = layer("TransformerEncoder", encoder_layer, num_layers=3)
        for module in [encoder_layer, encoder]:
            yield Case(module, [x])
            yield Case(module, [rand(5, 8)])
            yield Case(module, [x, None, padding])
            yield Case(module, [x, rand(5, 5)])
            # PyTorch's encoder sees that a mask is causal and lets its kernel
            # make its own.
            tolerance = 1e-5 if module is encoder else 0
            yield Case(module, [x, causal], tolerance)
            yield Case(module, [x, causal, padding])
    options = {"num_layers": 2, "enable_nested_tensor": False}
    first = layer("TransformerEncoderLayer", **sizes, batch_first=True)
    norm = layer("LayerNorm", normalized_shape=8)
    x = rand(3, 5, 8)
    yield Case(layer("TransformerEncoder", first, norm, **options), [x, None, padding])
    yield Case(
        layer("TransformerEncoder", first, norm, num_layers=1, mask_check=False),
        [x, None, padding.flip(1)],
    )
    yield Case(
        layer("TransformerEncoder", first, norm, num_layers=2),
        [x, None, padding.flip(1)],
    )


def sequential_cases() -> Iterator[Case]:
    yield Case(
        layer(
            "Sequential",
            layer(
                "Sequential",
                layer("Conv2d", in_channels=3, out_channels=4, kernel_size=3),
                layer("BatchNorm2d", num_features=4),
                layer("ReLU", inplace=True, name="act"),
                name="stem",
            ),
            layer("AdaptiveAvgPool2d", output_size=1),
            layer("Flatten"),
            layer("Linear", in_features=4, out_features=2, name="head"),
        ),
        [rand(2, 3, 8, 8)],
    )
    encoder_layer = layer(
        "TransformerEncoderLayer", d_model=8, nhead=2, dim_feedforward=16
    )
    yield Case(
        layer(
            "Sequential",
            layer("Embedding", num_embeddings=11, embedding_dim=8, padding_idx=0),
            layer("TransformerEncoder", encoder_layer, num_layers=2),
            layer("LSTM", input_size=8, hidden_size=6, bidirectional=True),
            layer("MultiheadAttention", embed_dim=12, num_heads=3),
            layer("Linear", in_features=12, out_features=2),
        ),
        [indices(11, 5, 3)],
    )


def cases() -> Iterator[Case]:
    yield from linear_cases()
    yield from convolution_cases()
    yield from normalization_cases()
    yield from activation_cases()
    yield from pooling_cases()
    yield from reshaping_cases()
    yield from recurrent_cases()
    yield from attention_cases()
    yield from transformer_cases()
    yield from sequential_cases()


def randomize(module):
    for key, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            values = torch.randn(tensor.shape, generator=_generator)
            tensor.copy_(values.abs() + 0.5 if key.endswith("running_var") else values)


def fresh(declaration, seed):
    torch.manual_seed(seed)
    return build(declaration).state_dict()


def with_parameters(declaration):
    """What has no parameters is no architecture alone."""
    if build(declaration).state_dict():
        return declaration
    return layer("Sequential", layer("PReLU"), declaration)


def expectation(case):
    declaration = with_parameters(case.declaration)
    module = build(declaration).eval()
    randomize(module)
    state = module.state_dict()
    parameters = dict(module.named_parameters())
    names = INPUTS.get(declaration["type"], ["input"])
    with torch.no_grad():
        outputs = run(module, case.inputs)
    return {
        "module": declaration,
        "state": [
            {"key": key, "parameter": key in parameters, **whole(tensor)}
            for key, tensor in state.items()
        ],
        "metadata": [
            {"path": path, "version": entry["version"]}
            for path, entry in state._metadata.items()
        ],
        "fresh": [
            {
                "seed": seed,
                "sha256": [sha256(t) for t in fresh(declaration, seed).values()],
            }
            for seed in SEEDS
        ],
        "inputs": [
            {"name": name, **whole(x)}
            for name, x in zip(names, case.inputs, strict=False)
            if x is not None
        ],
        "outputs": [whole(x) for x in outputs],
        "tolerance": case.tolerance,
    }


def main():
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)  # as the server does
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump([expectation(case) for case in cases()], file)


if __name__ == "__main__":
    main()
