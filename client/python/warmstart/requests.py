"""Turns what Python code says comfortably into the API's messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from warmstart.v1 import checkpoints_pb2
from warmstart.v1.architectures_pb2 import Initializer
from warmstart.v1.matching_pb2 import (
    Combination,
    CoverageGate,
    InitializerOverride,
    KeyMatching,
    KeyRule,
    ShapeAdapter,
)
from warmstart.v1.model_initializer_pb2 import (
    DtypeMismatchPolicy,
    ShapeMismatchPolicy,
    Source,
)

# A handle, or a message where each source has its own subtree or weight.
SourceLike = str | Source

# One of several kinds, by its name in the API: "rows", {"rows": {"mean": True}}.
Choice = str | Mapping[str, object]

# A time, which is local where it has no zone, or a time from now on.
Expiration = datetime | timedelta


def sources(given: SourceLike | Sequence[SourceLike], subtree: str) -> list[Source]:
    """The sources; `subtree` is for those given as a handle."""
    if isinstance(given, (str, Source)):
        given = [given]
    return [
        one if isinstance(one, Source) else Source(checkpoint=one, subtree=subtree)
        for one in given
    ]


def key_rules(
    *,
    strip_prefix: str | None,
    rename: Mapping[str, str],
    rename_regex: Mapping[str, str],
    add_prefix: str | None,
    more: Iterable[KeyRule],
) -> list[KeyRule]:
    """The rules in the order of the parameters."""
    rules = []
    if strip_prefix is not None:
        rules.append(KeyRule(strip_prefix=strip_prefix))
    for old, new in rename.items():
        rules.append(KeyRule(rename={"from": old, "to": new}))
    for pattern, replacement in rename_regex.items():
        rules.append(KeyRule(regex={"pattern": pattern, "replacement": replacement}))
    if add_prefix is not None:
        rules.append(KeyRule(add_prefix=add_prefix))
    return [*rules, *more]


def patterns(given: str | Sequence[str]) -> list[str]:
    """One glob or several."""
    return [given] if isinstance(given, str) else list(given)


def expiration(expires: Expiration | None) -> dict[str, Timestamp | Duration]:
    """The field of a message's oneof `expiration`, as an argument."""
    if expires is None:
        return {}
    if isinstance(expires, timedelta):
        ttl = Duration()
        ttl.FromTimedelta(expires)
        return {"ttl": ttl}
    time = Timestamp()
    # Aware, since protobuf takes what has no zone for UTC.
    time.FromDatetime(expires.astimezone())
    return {"expire_time": time}


def combination(choice: Choice | None) -> Combination | None:
    """How several sources become one; None is overlay."""
    if choice is None or choice == "overlay":
        return None
    if choice == "average":
        choice = "weighted_average"
    return Combination(**_choice(Combination, choice))


def shape_adapters(choices: Mapping[str, Choice]) -> list[ShapeAdapter]:
    """Adapters by the glob of the keys that they are for."""
    return [
        ShapeAdapter(keys=keys, **_choice(ShapeAdapter, choice))
        for keys, choice in choices.items()
    ]


def initializers(choices: Mapping[str, Choice]) -> list[InitializerOverride]:
    """Initializers by the glob of the keys that they are for."""
    return [
        InitializerOverride(keys=keys, initializer=initializer(choice))
        for keys, choice in choices.items()
    ]


def initializer(choice: Initializer | Choice) -> Initializer:
    """An initializer: "zeros", {"normal": {"std": 0.02}}, or the message."""
    if isinstance(choice, Initializer):
        return choice
    return Initializer(**_choice(Initializer, choice))


def coverage_gates(fractions: Mapping[str, float]) -> list[CoverageGate]:
    """Minimum coverage by the glob of the keys that it is for."""
    return [
        CoverageGate(keys=keys, min_coverage=fraction)
        for keys, fraction in fractions.items()
    ]


def key_matching(name: str | None) -> KeyMatching | None:
    """The way that is called "exact" or "auto"."""
    return _enum_value(KeyMatching, "KEY_MATCHING_", name)


def shape_policy(name: str | None) -> ShapeMismatchPolicy | None:
    """The policy that is called "error", "skip" or "adapt"."""
    return _enum_value(ShapeMismatchPolicy, "SHAPE_MISMATCH_POLICY_", name)


def dtype_policy(name: str | None) -> DtypeMismatchPolicy | None:
    """The policy that is called "cast", "keep" or "error"."""
    return _enum_value(DtypeMismatchPolicy, "DTYPE_MISMATCH_POLICY_", name)


def file_format(name: str | None) -> checkpoints_pb2.FileFormat | None:
    """The format that is called "torch" or "safetensors"."""
    return _enum_value(checkpoints_pb2.FileFormat, "FILE_FORMAT_", name)


def download(
    handle: str | Mapping[str, str], name: str | None
) -> checkpoints_pb2.DownloadCheckpointRequest:
    """The request for one checkpoint, or for several by their keys."""
    if isinstance(handle, str):
        return checkpoints_pb2.DownloadCheckpointRequest(
            name=handle, format=file_format(name)
        )
    parts = [
        checkpoints_pb2.DownloadPart(key=key, checkpoint=one)
        for key, one in handle.items()
    ]
    return checkpoints_pb2.DownloadCheckpointRequest(
        parts=parts, format=file_format(name)
    )


def _choice(message, choice: Choice) -> dict[str, object]:
    """The field of a message's only oneof that `choice` sets, as an argument."""
    [oneof] = message.DESCRIPTOR.oneofs_by_name.values()
    known = [field.name for field in oneof.fields]
    given = {choice: {}} if isinstance(choice, str) else dict(choice)
    if len(given) != 1 or not set(given) <= set(known):
        raise ValueError(f"{choice!r} is none of {', '.join(known)}")
    return given


def _enum_value(enum, prefix: str, name: str | None):
    """A value by the part of its name that people use; None where none is given."""
    if name is None:
        return None
    known = [
        key.removeprefix(prefix).lower() for key, number in enum.items() if number != 0
    ]
    if name not in known:
        raise ValueError(f"{name!r} is none of {', '.join(known)}")
    return enum.Value(prefix + name.upper())
