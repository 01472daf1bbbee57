"""Turns the conversions that transformers knows into key rules.

transformers (5 and later) keeps, for each model type, how a checkpoint in its
published layout becomes the model's state_dict: renamings and conversions of
tensors. `rules_from_transformers` writes them as the rules of a warm start, so that
a server without Python does the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from warmstart.v1.matching_pb2 import ConvertStep, KeyRule

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# What ends a name in transformers' patterns: "weight" is no part of "weight_scale".
_NAME_CHARACTER = re.compile(r"[a-zA-Z0-9]$")


def rules_from_transformers(
    model: PreTrainedModel, *, reverse: bool = False
) -> list[KeyRule]:
    """The rules that load a checkpoint in its published layout into `model`.

    Args:
        model: The model, or the same on the meta device: its class and
            configuration decide.
        reverse: The rules of the way back, from the model's layout to the published
            one, as `save_pretrained` takes it.

    Raises:
        ValueError: A pattern that RE2 cannot express (look-around within it), or an
            operation that no rule does.
    """
    from transformers.conversion_mapping import (  # noqa: PLC0415  optional
        get_model_conversion_mapping,
    )
    from transformers.core_model_loading import (  # noqa: PLC0415
        WeightConverter,
        WeightRenaming,
    )

    transforms = get_model_conversion_mapping(model, add_legacy=not reverse)
    if reverse:
        transforms = [one.reverse_transform() for one in reversed(transforms)]
    renamings = [one for one in transforms if isinstance(one, WeightRenaming)]
    converters = [one for one in transforms if isinstance(one, WeightConverter)]
    # transformers renames first and converts then, whatever the list's order, and
    # the other way round on the way back.
    rules: list[KeyRule] = []
    for one in [*converters, *renamings] if reverse else [*renamings, *converters]:
        if isinstance(one, WeightConverter):
            rules += _converter_rules(one, model.config)
        else:
            rules += _renaming_rules(one)
    return rules


def _renaming_rules(transform) -> Iterator[KeyRule]:
    """A renaming replaces the first match of any of its patterns."""
    if type(transform).__name__ not in ("WeightRenaming", "PrefixChange"):
        raise ValueError(f"no rule does what {type(transform).__name__} does")
    if transform.scope_prefix:
        raise ValueError(f"{transform!r} is for the part {transform.scope_prefix!r}")
    for pattern in sorted(transform.source_patterns, key=len, reverse=True):
        yield KeyRule(regex=_regex(pattern, transform.target_patterns[0]))


def _regex(pattern: str, replacement: str) -> dict[str, str]:
    """A rule that replaces the first match alone, as transformers does."""
    anchored = pattern.startswith("^")
    body = pattern.removeprefix("^").replace("*.", r".*\.")
    # PrefixChange keeps a prefix from being added twice by a look-ahead.
    if "(?" in body:
        raise ValueError(f"RE2 has no look-around: {pattern!r}")
    ends_in_name = bool(_NAME_CHARACTER.search(body))
    groups = re.compile(body).groups
    head = "" if anchored else "(.*?)"
    tail = r"(\W.*|)" if ends_in_name else "(.*)"
    shift = 0 if anchored else 1
    shifted = re.sub(r"\\(\d)", lambda match: rf"\{int(match[1]) + shift}", replacement)
    last = groups + shift + 1
    return {
        "pattern": f"^{head}{body}{tail}$",
        "replacement": ("" if anchored else r"\1") + shifted + rf"\{last}",
    }


def _converter_rules(transform, config) -> Iterator[KeyRule]:
    """A converter meets its patterns anywhere in a key, at the end of a name."""
    if transform.scope_prefix:
        raise ValueError(f"{transform!r} is for the part {transform.scope_prefix!r}")
    steps, number_parts = _steps(transform, config)
    sources = [_literal(pattern) for pattern in transform.source_patterns]
    targets = [_literal(pattern) for pattern in transform.target_patterns]
    if number_parts is not None:
        [target] = targets
        targets = [target.replace("*", str(i)) for i in range(number_parts)]
    in_name = any(_NAME_CHARACTER.search(source) for source in sources)
    # A key ends where its pattern does, or goes on with another name.
    for tail in ["", ".{tail*}"] if in_name else ["{tail*}"]:
        yield KeyRule(
            convert={
                "from": [_template(source, tail) for source in sources],
                "to": [_template(target, tail) for target in targets],
                "steps": steps,
            }
        )


def _literal(pattern: str) -> str:
    """A converter's pattern as text in which "*" is a number."""
    text = pattern.replace(r"\.", ".")
    if re.search(r"[\\()\[\]|?+$]", text):
        raise ValueError(f"a conversion of {pattern!r} is more than a template")
    return text


def _template(text: str, tail: str) -> str:
    head = "" if text.startswith("^") else "{head*}"
    return head + text.removeprefix("^").replace("*", "{n}") + tail


def _steps(transform, config) -> tuple[list[ConvertStep], int | None]:
    """The steps, and into how many parts a numbered target is split."""
    steps: list[ConvertStep] = []
    number_parts = None
    for operation in transform.operations:
        if getattr(operation, "num_shards_attribute", None) is not None:
            if type(operation).__name__ != "Chunk":
                raise ValueError(f"no rule does what {operation!r} does")
            text_config = config.get_text_config()
            number_parts = getattr(text_config, operation.num_shards_attribute)
        steps += _step(operation, config)
    return steps, number_parts


def _step(operation, config) -> Iterator[ConvertStep]:
    """What one operation of transformers is here."""
    name = type(operation).__name__
    if name == "Concatenate":
        yield ConvertStep(concat={"dim": operation.dim})
    elif name in ("Chunk", "Split"):
        yield ConvertStep(split={"dim": operation.dim})
    elif name == "MergeModulelist":
        yield ConvertStep(stack={"dim": operation.dim})
    elif name == "SplitModulelist":
        yield ConvertStep(unstack={"dim": operation.dim})
    elif name == "Interleave":
        yield ConvertStep(
            deinterleave={"dim": operation.dim, "inverse": operation.inverse}
        )
    elif name == "Transpose" and not operation.check_dims:
        yield ConvertStep(transpose={"dim0": operation.dim0, "dim1": operation.dim1})
    elif name == "PermuteForRope" and operation.permute_layer_names is None:
        if operation.subconfig_key is not None:
            config = getattr(config, operation.subconfig_key, config)
        heads = getattr(config, "num_attention_heads", 1)
        yield ConvertStep(rope={"heads": heads, "inverse": operation.inverse})
    elif name == "Conv3dToLinear":
        yield ConvertStep(reshape={"sizes": [0, -1]})
    elif name == "LinearToConv3d":
        sizes = [0, operation.in_channels, *operation.kernel_size]
        yield ConvertStep(reshape={"sizes": sizes})
    else:
        raise ValueError(f"no rule does what {operation!r} does")
