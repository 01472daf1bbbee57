"""What the client sends, and what it makes of the answers."""

from __future__ import annotations

import io
import subprocess
import sys
from collections import OrderedDict
from datetime import datetime, timedelta, timezone

import grpc
import pytest
import torch
import warmstart
from client.python.fake_server import Failure
from google.protobuf import empty_pb2
from google.rpc import error_details_pb2
from warmstart.v1 import (
    architectures_pb2,
    checkpoints_pb2,
    lineage_pb2,
    matching_pb2,
    model_initializer_pb2,
    report_pb2,
)

UNAVAILABLE = Failure(grpc.StatusCode.UNAVAILABLE, "not there")
SAVED = model_initializer_pb2.SaveModelResponse(
    checkpoint=checkpoints_pb2.Checkpoint(name="checkpoints/a")
)
STARTED = model_initializer_pb2.WarmStartResponse(
    checkpoint=checkpoints_pb2.Checkpoint(name="checkpoints/b")
)


def uploaded_bytes(messages) -> bytes:
    return b"".join(message.chunk for message in messages)


# Saving.


def test_a_state_dict_goes_as_a_file_that_torch_reads(fake, fake_client):
    fake.answer("SaveModel", SAVED)
    state = OrderedDict(weight=torch.arange(6.0).reshape(2, 3))
    saved = fake_client.save(
        state, architecture="NetA", labels={"team": "vision"}, alias="best"
    )
    assert saved == SAVED
    [messages] = fake.requests["SaveModel"]
    header = messages[0].header
    assert header.architecture == "NetA"
    assert dict(header.labels) == {"team": "vision"}
    assert header.alias == "best"
    assert header.request_id
    data = uploaded_bytes(messages)
    assert messages[1].file.size == len(data)
    loaded = torch.load(io.BytesIO(data), weights_only=True)
    assert torch.equal(loaded["weight"], state["weight"])


def test_a_checkpoint_expires_after_a_time_or_at_one(fake, fake_client):
    fake.answer("SaveModel", SAVED, SAVED)
    fake.answer("WarmStart", STARTED)
    checkpoint = checkpoints_pb2.Checkpoint(name="checkpoints/a")
    fake.answer("UpdateCheckpoint", checkpoint, checkpoint)
    fake_client.save_fresh("NetA", expires=timedelta(days=7, microseconds=1))
    then = datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1)))
    fake_client.save_fresh("NetA", expires=then)
    fake_client.warm_start("NetB", "checkpoints/a", expires=timedelta(hours=1))
    fake_client.set_expiration("aliases/a", then.replace(tzinfo=None))
    fake_client.set_expiration("aliases/a", None)

    after, at = (messages[0].header for messages in fake.requests["SaveModel"])
    assert after.ttl.ToTimedelta() == timedelta(days=7, microseconds=1)
    assert at.expire_time.ToSeconds() == then.timestamp()
    [started] = fake.requests["WarmStart"]
    assert started.ttl.seconds == 3600
    local, never = fake.requests["UpdateCheckpoint"]
    assert local.update_mask.paths == never.update_mask.paths == ["expire_time"]
    # What has no zone is local.
    assert (
        local.checkpoint.expire_time.ToSeconds()
        == then.replace(tzinfo=None).timestamp()
    )
    assert never.checkpoint.WhichOneof("expiration") is None


def test_a_large_file_goes_in_pieces(fake, fake_client, tmp_path):
    fake.answer("SaveModel", SAVED)
    data = bytes(range(256)) * 10_000
    (tmp_path / "model.pt").write_bytes(data)
    fake_client.save(str(tmp_path / "model.pt"))
    [messages] = fake.requests["SaveModel"]
    assert uploaded_bytes(messages) == data
    assert max(len(message.chunk) for message in messages) <= 1 << 20
    assert messages[1].file.name == "model.pt"


def test_a_sharded_set_goes_file_by_file(fake, fake_client, tmp_path):
    fake.answer("SaveModel", SAVED)
    paths = [tmp_path / name for name in ("a.bin", "b.bin", "all.index.json")]
    for path in paths:
        path.write_text(path.name)
    fake_client.save(paths)
    [messages] = fake.requests["SaveModel"]
    kinds = [message.WhichOneof("payload") for message in messages]
    assert kinds == ["header", *["file", "chunk"] * 3]
    assert [message.file.name for message in messages[1::2]] == [p.name for p in paths]


def test_a_missing_file_is_noticed_before_anything_is_sent(fake, fake_client, tmp_path):
    with pytest.raises(FileNotFoundError):
        fake_client.save(tmp_path / "nowhere.pt")
    assert fake.requests == {}


def test_a_fresh_model_is_asked_for_by_a_header_alone(fake, fake_client):
    fake.answer("SaveModel", SAVED)
    fake_client.save_fresh("NetA", seed=0, device="cpu")
    [[message]] = fake.requests["SaveModel"]
    assert message.header.architecture == "NetA"
    assert message.header.HasField("seed")
    assert message.header.seed == 0


def test_a_seed_that_is_not_given_is_not_sent(fake, fake_client):
    fake.answer("SaveModel", SAVED)
    fake_client.save_fresh("NetA")
    [[message]] = fake.requests["SaveModel"]
    assert not message.header.HasField("seed")


# Warm starts.


def test_a_warm_start_says_all_that_was_asked_for(fake, fake_client):
    fake.answer("WarmStart", STARTED)
    fake_client.warm_start(
        "NetB",
        ["checkpoints/a", warmstart.Source(checkpoint="aliases/b", subtree="ema")],
        subtree="model",
        strip_prefix="module.",
        rename={"fc3.weight": "head.weight"},
        rename_regex={r"^l(\d)": r"layer\1"},
        add_prefix="net.",
        key_rules=[warmstart.KeyRule(strip_prefix="net.x.")],
        include="fc*",
        exclude=["*.bias", "bn*"],
        strict=True,
        on_shape_mismatch="skip",
        on_dtype_mismatch="keep",
        min_coverage=0.5,
        seed=3,
        device="auto",
        dry_run=True,
        labels={"a": "b"},
        alias="x/y",
        request_id="r1",
    )
    [request] = fake.requests["WarmStart"]
    assert request == model_initializer_pb2.WarmStartRequest(
        architecture="NetB",
        sources=[
            {"checkpoint": "checkpoints/a", "subtree": "model"},
            {"checkpoint": "aliases/b", "subtree": "ema"},
        ],
        key_rules=[
            {"strip_prefix": "module."},
            {"rename": {"from": "fc3.weight", "to": "head.weight"}},
            {"regex": {"pattern": r"^l(\d)", "replacement": r"layer\1"}},
            {"add_prefix": "net."},
            {"strip_prefix": "net.x."},
        ],
        include=["fc*"],
        exclude=["*.bias", "bn*"],
        strict=True,
        on_shape_mismatch="SHAPE_MISMATCH_POLICY_SKIP",
        on_dtype_mismatch="DTYPE_MISMATCH_POLICY_KEEP",
        min_coverage=0.5,
        seed=3,
        device="auto",
        validate_only=True,
        labels={"a": "b"},
        alias="x/y",
        request_id="r1",
    )


def test_what_is_not_asked_for_is_left_to_the_server(fake, fake_client):
    fake.answer("WarmStart", STARTED)
    fake_client.warm_start("NetB", "checkpoints/a")
    [request] = fake.requests["WarmStart"]
    assert request.request_id
    request.request_id = ""
    assert request == model_initializer_pb2.WarmStartRequest(
        architecture="NetB", sources=[{"checkpoint": "checkpoints/a"}]
    )


@pytest.mark.parametrize("policy", ["on_shape_mismatch", "on_dtype_mismatch"])
@pytest.mark.parametrize("name", ["SKIP", "unspecified", ""])
def test_a_policy_that_is_none_is_refused(fake, fake_client, policy, name):
    with pytest.raises(ValueError, match="is none of"):
        fake_client.warm_start("NetB", "checkpoints/a", **{policy: name})
    assert fake.requests == {}


def test_a_warm_start_says_how_tensors_are_matched(fake, fake_client):
    fake.answer("WarmStart", STARTED)
    fake_client.warm_start(
        "NetB",
        [
            warmstart.Source(checkpoint="checkpoints/a", weight=0.5),
            warmstart.Source(
                checkpoint="checkpoints/b", lora=warmstart.LoraAdapter(alpha=16)
            ),
        ],
        key_rules=[
            warmstart.KeyRule(template={"to": "h.{i}", "from": "h.{2*i}"}),
            warmstart.KeyRule(
                convert={
                    "from": ["q", "k"],
                    "to": ["qk"],
                    "steps": [warmstart.ConvertStep(concat={"dim": 0})],
                }
            ),
        ],
        invert_key_rules=True,
        match="auto",
        combine={"slerp": {"t": 0.25}},
        adapt={"head.*": {"rows": {"mean": True}}, "*": "auto"},
        widen=[warmstart.Widening(outputs=[{"key": "fc.weight"}])],
        initialize={"*.proj": "zeros"},
        coverage={"conv*": 1.0},
        expected_missing="head",
        expected_unexpected=["a", "b"],
        refuse_non_finite=True,
        on_shape_mismatch="adapt",
    )
    [request] = fake.requests["WarmStart"]
    assert request.sources[0].weight == 0.5
    assert request.sources[1].lora.alpha == 16
    assert request.key_rules[0].template.to == "h.{i}"
    assert request.key_rules[1].convert.steps[0].WhichOneof("step") == "concat"
    assert request.invert_key_rules
    assert request.key_matching == matching_pb2.KEY_MATCHING_AUTO
    assert request.combination.slerp.t == 0.25
    assert [a.WhichOneof("kind") for a in request.shape_adapters] == ["rows", "auto"]
    assert request.shape_adapters[0].rows.mean
    assert request.widenings[0].outputs[0].key == "fc.weight"
    assert request.initializers[0].initializer.WhichOneof("kind") == "zeros"
    assert request.coverage_gates[0].keys == "conv*"
    assert list(request.expected_missing) == ["head"]
    assert list(request.expected_unexpected) == ["a", "b"]
    assert request.refuse_non_finite
    policy = model_initializer_pb2.SHAPE_MISMATCH_POLICY_ADAPT
    assert request.on_shape_mismatch == policy


def test_every_initializer_can_be_named(fake, fake_client):
    fake.answer("WarmStart", STARTED)
    kinds = architectures_pb2.Initializer.DESCRIPTOR.oneofs_by_name["kind"].fields
    names = [field.name for field in kinds]
    fake_client.warm_start(
        "NetB",
        "checkpoints/a",
        initialize={
            **{name: name for name in names},
            "head": {"trunc_normal": {"std": 0.02, "b": 1}},
        },
    )
    [request] = fake.requests["WarmStart"]
    given = [one.initializer for one in request.initializers]
    assert [one.WhichOneof("kind") for one in given] == [*names, "trunc_normal"]
    assert (given[-1].trunc_normal.std, given[-1].trunc_normal.b) == (0.02, 1)


@pytest.mark.parametrize(
    "options",
    [
        {"combine": "mean"},
        {"adapt": {"*": "row"}},
        {"adapt": {"*": {"rows": {}, "auto": {}}}},
        {"initialize": {"*": "xavier"}},
        {"match": "fuzzy"},
    ],
)
def test_a_choice_that_is_none_is_refused(fake, fake_client, options):
    with pytest.raises(ValueError, match="is none of"):
        fake_client.warm_start("NetB", "checkpoints/a", **options)
    assert fake.requests == {}


def test_checkpoints_are_compared(fake, fake_client):
    answer = checkpoints_pb2.DiffCheckpointsResponse(base="checkpoints/a")
    fake.answer("DiffCheckpoints", answer)
    assert fake_client.diff("aliases/a", "checkpoints/b") == answer
    [request] = fake.requests["DiffCheckpoints"]
    assert (request.base, request.other) == ("aliases/a", "checkpoints/b")


def test_the_lineage_of_all_pages_is_told(fake, fake_client):
    tensors = [
        lineage_pb2.TensorLineage(steps=[lineage_pb2.LineageStep(key=key)])
        for key in ("a", "b")
    ]
    fake.answer(
        "GetLineage",
        lineage_pb2.GetLineageResponse(tensors=tensors[:1], next_page_token="1"),
        lineage_pb2.GetLineageResponse(tensors=tensors[1:]),
    )
    assert list(fake_client.lineage("aliases/a", keys="fc.*")) == tensors
    first, second = fake.requests["GetLineage"]
    assert (first.name, list(first.keys), first.page_token) == (
        "aliases/a",
        ["fc.*"],
        "",
    )
    assert second.page_token == "1"


def test_what_became_of_all_checkpoints_is_told(fake, fake_client):
    results = [
        lineage_pb2.ReproduceCheckpointResponse(checkpoint="checkpoints/a"),
        lineage_pb2.ReproduceCheckpointResponse(reason="it was deleted"),
    ]
    lost = Failure(grpc.StatusCode.UNAVAILABLE)
    fake.answer("ReproduceCheckpoint", [results[0], lost], results)
    assert fake_client.reproduce("aliases/a", direct=True) == results
    assert fake.requests["ReproduceCheckpoint"][0].direct


# Failures.


def test_an_error_carries_reason_and_report(fake, fake_client):
    info = error_details_pb2.ErrorInfo(
        reason="STRICT_NOT_MET", domain="warmstart", metadata={"key": "fc3.bias"}
    )
    report = report_pb2.MatchReport(missing_keys=["fc3.bias"])
    message = 'Error(s) in loading state_dict for NetB:\n\tMissing key(s) "ключ"'
    fake.answer(
        "WarmStart",
        Failure(grpc.StatusCode.FAILED_PRECONDITION, message, [info, report]),
    )
    with pytest.raises(warmstart.WarmstartError) as caught:
        fake_client.warm_start("NetB", "checkpoints/a", strict=True)
    error = caught.value
    assert error.code == grpc.StatusCode.FAILED_PRECONDITION
    assert error.message == message
    assert error.reason == "STRICT_NOT_MET"
    assert error.metadata == {"key": "fc3.bias"}
    assert error.report == report
    assert str(error) == f"FAILED_PRECONDITION: {message}"


def test_the_report_of_a_large_model_arrives_with_an_error(fake, fake_client):
    report = report_pb2.MatchReport(missing_keys=[f"layer.{i}" for i in range(50_000)])
    fake.answer(
        "WarmStart", Failure(grpc.StatusCode.FAILED_PRECONDITION, "no", [report])
    )
    with pytest.raises(warmstart.WarmstartError) as caught:
        fake_client.warm_start("NetB", "checkpoints/a")
    assert caught.value.report == report


def test_every_call_says_how_large_an_error_it_takes(fake, fake_client, tmp_path):
    fake.answer("SaveModel", SAVED)
    fake.answer("WarmStart", STARTED)
    fake.answer("DeleteCheckpoint", empty_pb2.Empty())
    fake.answer("DownloadCheckpoint", download_answers(b"data"))
    fake_client.save_fresh("NetA")
    fake_client.warm_start("NetB", "checkpoints/a")
    fake_client.delete("checkpoints/a")
    fake_client.download("checkpoints/a", tmp_path / "a.pt")
    assert len(fake.metadata) == 4
    for [metadata] in fake.metadata.values():
        assert int(metadata["warmstart-max-error-bytes"]) >= 1 << 20


def test_an_error_without_details_has_no_reason(fake, fake_client):
    fake.answer("GetCheckpoint", Failure(grpc.StatusCode.NOT_FOUND, "none such"))
    with pytest.raises(warmstart.WarmstartError) as caught:
        fake_client.get("checkpoints/x")
    assert caught.value.code == grpc.StatusCode.NOT_FOUND
    assert caught.value.reason == ""
    assert caught.value.report is None
    assert len(fake.requests["GetCheckpoint"]) == 1


def test_an_upload_is_sent_again_under_its_request_id(fake, fake_client, tmp_path):
    fake.answer("SaveModel", UNAVAILABLE, UNAVAILABLE, SAVED)
    (tmp_path / "model.pt").write_bytes(b"bytes")
    assert fake_client.save(tmp_path / "model.pt") == SAVED
    tries = fake.requests["SaveModel"]
    assert len(tries) == 3
    assert tries[0] == tries[1] == tries[2]


def test_a_warm_start_is_tried_again_under_its_request_id(fake, fake_client):
    deleted = Failure(grpc.StatusCode.ABORTED, "a source was deleted")
    fake.answer("WarmStart", UNAVAILABLE, deleted, STARTED)
    assert fake_client.warm_start("NetB", "checkpoints/a") == STARTED
    tries = fake.requests["WarmStart"]
    assert len(tries) == 3
    assert len({request.request_id for request in tries}) == 1


def test_two_requests_have_two_request_ids(fake, fake_client):
    fake.answer("WarmStart", STARTED, STARTED)
    for _ in range(2):
        fake_client.warm_start("NetB", "checkpoints/a")
    assert len({r.request_id for r in fake.requests["WarmStart"]}) == 2


def test_the_last_failure_is_raised(fake, fake_client):
    fake.answer("GetCheckpoint", *[UNAVAILABLE] * 9)
    with pytest.raises(warmstart.WarmstartError, match="not there"):
        fake_client.get("checkpoints/a")
    assert len(fake.requests["GetCheckpoint"]) == 4


@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("DeleteCheckpoint", lambda client: client.delete("checkpoints/a")),
        ("DeleteAlias", lambda client: client.delete_alias("best")),
        ("DeleteArchitecture", lambda client: client.delete_architecture("Net")),
    ],
)
def test_what_must_not_run_twice_is_tried_once(fake, fake_client, method, call):
    fake.answer(method, UNAVAILABLE, empty_pb2.Empty())
    with pytest.raises(warmstart.WarmstartError):
        call(fake_client)
    assert len(fake.requests[method]) == 1


def test_no_server_is_an_error_that_says_so():
    with (
        warmstart.Client("127.0.0.1:1", attempts=1) as client,
        pytest.raises(warmstart.WarmstartError) as caught,
    ):
        client.get("checkpoints/a")
    assert caught.value.code == grpc.StatusCode.UNAVAILABLE


# Reading.


def download_answers(data: bytes, piece: int = 4) -> list:
    first, *rest = [data[i : i + piece] for i in range(0, len(data), piece)]
    response = checkpoints_pb2.DownloadCheckpointResponse
    return [
        response(file_size=len(data), checkpoint="checkpoints/a", chunk=first),
        *(response(chunk=chunk) for chunk in rest),
    ]


def test_a_broken_download_goes_on_where_it_was(fake, fake_client, tmp_path):
    data = b"0123456789abcdef"
    fake.answer(
        "DownloadCheckpoint",
        [*download_answers(data)[:2], UNAVAILABLE],
        UNAVAILABLE,
        download_answers(data[8:]),
    )
    path = tmp_path / "model.pt"
    name = fake_client.download("aliases/best", path, format="safetensors")
    assert name == "checkpoints/a"
    assert path.read_bytes() == data
    assert [(r.name, r.offset) for r in fake.requests["DownloadCheckpoint"]] == [
        ("aliases/best", 0),
        ("checkpoints/a", 8),
        ("checkpoints/a", 8),
    ]
    formats = {r.format for r in fake.requests["DownloadCheckpoint"]}
    assert formats == {checkpoints_pb2.FILE_FORMAT_SAFETENSORS}


def test_a_download_that_fails_leaves_the_file_that_was_there(
    fake, fake_client, tmp_path
):
    lost = Failure(grpc.StatusCode.DATA_LOSS, "rotten")
    fake.answer("DownloadCheckpoint", [*download_answers(b"new bytes"), lost])
    path = tmp_path / "model.pt"
    path.write_bytes(b"old")
    with pytest.raises(warmstart.WarmstartError, match="rotten"):
        fake_client.download("checkpoints/a", path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_state_dict_comes_back_as_it_was_saved(fake, fake_client):
    state = OrderedDict(b=torch.ones(2), a=torch.zeros(3, dtype=torch.int8))
    file = io.BytesIO()
    torch.save(state, file)
    fake.answer("DownloadCheckpoint", download_answers(file.getvalue(), 1000))
    result = fake_client.state_dict("checkpoints/a")
    assert list(result) == ["b", "a"]
    assert torch.equal(result["b"], state["b"])
    assert torch.equal(result["a"], state["a"])


def test_lists_go_through_all_pages(fake, fake_client):
    page = checkpoints_pb2.ListCheckpointsResponse
    fake.answer(
        "ListCheckpoints",
        page(checkpoints=[{"name": "a"}, {"name": "b"}], next_page_token="t"),
        page(next_page_token="u"),
        page(checkpoints=[{"name": "c"}]),
    )
    listed = fake_client.list(labels={"k": "v"}, architecture="Net", page_size=2)
    assert [checkpoint.name for checkpoint in listed] == ["a", "b", "c"]
    requests = fake.requests["ListCheckpoints"]
    assert [request.page_token for request in requests] == ["", "t", "u"]
    for request in requests:
        assert dict(request.labels) == {"k": "v"}
        assert (request.architecture, request.page_size) == ("Net", 2)


def test_architectures_are_registered_and_listed_by_version(fake, fake_client):
    architecture = architectures_pb2.Architecture(name="Net/versions/2")
    fake.answer("RegisterArchitecture", *[architecture] * 2)
    fake_client.register_architecture(architecture, validate_only=True)
    fake_client.register_architecture(architecture)
    dry, real = fake.requests["RegisterArchitecture"]
    assert (dry.validate_only, real.validate_only) == (True, False)
    assert dry.architecture == real.architecture == architecture

    fake.answer(
        "ListArchitectures",
        architectures_pb2.ListArchitecturesResponse(next_page_token="t"),
        architectures_pb2.ListArchitecturesResponse(
            architectures=[{"name": "architectures/Net/versions/1", "version": 1}]
        ),
        architectures_pb2.ListArchitecturesResponse(),
    )
    listed = list(fake_client.architectures("Net", page_size=3))
    assert [summary.version for summary in listed] == [1]
    assert list(fake_client.architectures()) == []
    requests = fake.requests["ListArchitectures"]
    assert [(r.architecture, r.page_size, r.page_token) for r in requests] == [
        ("Net", 3, ""),
        ("Net", 3, "t"),
        ("", 0, ""),
    ]


def test_the_full_view_is_asked_for_by_its_name(fake, fake_client):
    fake.answer("GetCheckpoint", *[checkpoints_pb2.Checkpoint()] * 2)
    fake_client.get("checkpoints/a")
    fake_client.get("checkpoints/a", full=True)
    assert [request.view for request in fake.requests["GetCheckpoint"]] == [
        checkpoints_pb2.CHECKPOINT_VIEW_BASIC,
        checkpoints_pb2.CHECKPOINT_VIEW_FULL,
    ]


def test_torch_is_not_imported_before_it_is_needed():
    code = "import sys, warmstart; sys.exit('torch' in sys.modules)"
    path = ":".join(sys.path)
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": path})
