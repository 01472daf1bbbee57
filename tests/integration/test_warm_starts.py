"""Warm starts: policies that are not met, and what they leave."""

from __future__ import annotations

import grpc
import pytest
import torch
import warmstart
from harness.nets import NetA
from harness.server import Server
from harness.tensors import assert_same_state, assert_same_tensor
from warmstart import errors
from warmstart.v1 import (
    model_initializer_pb2,
    model_initializer_pb2_grpc,
    report_pb2,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for all tests of this module, which leave each other alone."""
    with Server(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@pytest.fixture
def partial(own_client):
    """The handle of a NetA without its last layer."""
    state = NetA().state_dict()
    del state["fc3.weight"], state["fc3.bias"]
    return own_client.save(state, alias="partial").checkpoint.name


def refused(server, client, *arguments, **options) -> warmstart.WarmstartError:
    """The error of a warm start that must leave no trace."""
    before = server.stored()
    with pytest.raises(warmstart.WarmstartError) as caught:
        client.warm_start(*arguments, **options)
    assert server.stored() == before
    assert caught.value.message
    return caught.value


def test_strict_fails_with_the_report(server, own_client, partial):
    error = refused(server, own_client, "NetB", partial, strict=True, alias="b")
    assert error.code == grpc.StatusCode.FAILED_PRECONDITION
    assert error.reason == "STRICT_NOT_MET"
    assert error.report.missing_keys == ["fc3.weight", "fc3.bias"]
    assert error.report.summary == error.message
    assert len(error.report.entries) == len(NetA().state_dict())


def test_coverage_fails_with_the_report(server, own_client, partial):
    report = own_client.warm_start("NetB", partial).report
    fraction = report.coverage.parameter_fraction
    assert 0.9 < fraction < 1
    own_client.warm_start("NetB", partial, min_coverage=fraction)
    error = refused(server, own_client, "NetB", partial, min_coverage=fraction + 0.0001)
    assert error.code == grpc.StatusCode.FAILED_PRECONDITION
    assert error.reason == "COVERAGE_NOT_MET"
    assert error.report.coverage == report.coverage


def test_a_shape_that_does_not_fit_fails_unless_skipped(server, own_client):
    state = NetA().state_dict()
    state["fc3.weight"] = torch.ones(100, 84)
    handle = own_client.save(state).checkpoint.name
    error = refused(server, own_client, "NetB", handle)
    assert error.code == grpc.StatusCode.FAILED_PRECONDITION
    assert error.reason == "SHAPE_MISMATCH"
    assert "size mismatch for fc3.weight" in error.message
    [mismatch] = error.report.mismatched_keys
    assert list(mismatch.source_shape) == [100, 84]
    assert list(mismatch.target_shape) == [10, 84]

    skipped = own_client.warm_start("NetB", handle, on_shape_mismatch="skip", seed=1)
    assert [m.key for m in skipped.report.mismatched_keys] == ["fc3.weight"]
    torch.manual_seed(1)
    result = own_client.state_dict(skipped.checkpoint.name)
    assert_same_tensor(
        "fc3.weight", result["fc3.weight"], NetA().state_dict()["fc3.weight"]
    )


def test_a_dtype_that_differs_is_cast_kept_or_refused(server, own_client):
    state = NetA().half().state_dict()
    handle = own_client.save(state).checkpoint.name
    cast = own_client.warm_start("NetB", handle).checkpoint.name
    assert_same_state(
        own_client.state_dict(cast), {key: t.float() for key, t in state.items()}
    )
    kept = own_client.warm_start("NetB", handle, on_dtype_mismatch="keep")
    assert_same_state(own_client.state_dict(kept.checkpoint.name), state)
    error = refused(server, own_client, "NetB", handle, on_dtype_mismatch="error")
    assert error.code == grpc.StatusCode.FAILED_PRECONDITION
    assert error.reason == "DTYPE_MISMATCH"


def test_a_dry_run_reports_and_stores_nothing(server, own_client, partial):
    before = server.stored()
    planned = own_client.warm_start("NetB", partial, dry_run=True, alias="b", seed=1)
    assert not planned.HasField("checkpoint")
    assert server.stored() == before
    done = own_client.warm_start("NetB", partial, alias="b", seed=1)
    assert done.report == planned.report


def test_a_retry_gets_the_checkpoint_of_the_first(server, own_client, partial):
    first = own_client.warm_start("NetB", partial, request_id="r", alias="b")
    stored = server.stored()
    assert own_client.warm_start("NetB", partial, request_id="r", alias="b") == first
    assert server.stored() == stored
    error = refused(server, own_client, "NetA", partial, request_id="r", alias="b")
    assert error.reason == "REQUEST_ID_REUSED"


def test_the_first_source_that_has_a_key_wins(own_client):
    ones = {"fc3.bias": torch.ones(10)}
    twos = {"fc3.bias": torch.full((10,), 2.0), "fc2.bias": torch.full((84,), 2.0)}
    handles = [own_client.save(state).checkpoint.name for state in (ones, twos)]
    started = own_client.warm_start("NetB", handles)
    result = own_client.state_dict(started.checkpoint.name)
    assert torch.equal(result["fc3.bias"], ones["fc3.bias"])
    assert torch.equal(result["fc2.bias"], twos["fc2.bias"])
    [shadowed] = [e for e in started.report.source_entries if e.key == "fc3.bias"][1:]
    assert shadowed.outcome == report_pb2.SOURCE_OUTCOME_SHADOWED
    assert started.checkpoint.origin.warm_start.sources == handles


def test_two_models_in_one_file_are_told_apart_by_subtree(own_client, tmp_path):
    nets = {name: NetA().state_dict() for name in ("generator", "critic")}
    torch.save(nets | {"step": 3}, tmp_path / "gan.pt")
    handle = own_client.save(tmp_path / "gan.pt").checkpoint.name
    for name, state in nets.items():
        started = own_client.warm_start("NetB", handle, subtree=name, strict=True)
        assert started.report.subtrees == [name]
        assert_same_state(own_client.state_dict(started.checkpoint.name), state)


def test_a_subtree_that_is_found_is_told(own_client):
    handle = own_client.save({"state_dict": NetA().state_dict()}).checkpoint.name
    report = own_client.warm_start("NetB", handle).report
    assert report.subtrees == ["state_dict"]
    assert any("state_dict" in note for note in report.notes)


def test_a_rule_that_matches_nothing_is_told(own_client, partial):
    report = own_client.warm_start("NetB", partial, rename={"nope": "neither"}).report
    assert [(use.rule, use.keys) for use in report.rules] == [
        ("--rename nope=neither", 0)
    ]
    assert any("nope" in note for note in report.notes)


CANNOT = {
    "no architecture": (
        {"architecture": "NoNet"},
        grpc.StatusCode.NOT_FOUND,
        "ARCHITECTURE_NOT_FOUND",
    ),
    "no checkpoint": (
        {"sources": "checkpoints/none"},
        grpc.StatusCode.NOT_FOUND,
        "CHECKPOINT_NOT_FOUND",
    ),
    "no alias": (
        {"sources": "aliases/none"},
        grpc.StatusCode.NOT_FOUND,
        "ALIAS_NOT_FOUND",
    ),
    "no subtree": (
        {"subtree": "nowhere"},
        grpc.StatusCode.NOT_FOUND,
        "SUBTREE_NOT_FOUND",
    ),
    "no source": ({"sources": []}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
    "no handle": (
        {"sources": "partial"},
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_FIELD",
    ),
    "a bad regular expression": (
        {"rename_regex": {"(": ""}},
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_RULE",
    ),
    "two keys that become one": (
        {"rename_regex": {".*": "fc1.weight"}},
        grpc.StatusCode.INVALID_ARGUMENT,
        "KEY_COLLISION",
    ),
    "a coverage above one": (
        {"min_coverage": 1.5},
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_FIELD",
    ),
    "a coverage that is no number": (
        {"min_coverage": float("nan")},
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_FIELD",
    ),
    "a device that is none": (
        {"device": "tpu"},
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_FIELD",
    ),
    "an alias that is none": (
        {"alias": "/"},
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_FIELD",
    ),
}


@pytest.mark.parametrize(("options", "code", "reason"), CANNOT.values(), ids=CANNOT)
def test_what_cannot_be_done_is_refused(
    server, own_client, partial, options, code, reason
):
    arguments = {"architecture": "NetB", "sources": partial} | options
    error = refused(server, own_client, **arguments)
    assert (error.code, error.reason) == (code, reason)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_cuda_where_there_is_none_is_refused(server, own_client, partial, device):
    error = refused(server, own_client, "NetB", partial, device=device)
    assert error.code == grpc.StatusCode.FAILED_PRECONDITION
    assert error.reason == "DEVICE_UNAVAILABLE"
    assert "cuda" in error.message.lower()
    with pytest.raises(warmstart.WarmstartError) as caught:
        own_client.save_fresh("NetA", device=device)
    assert caught.value.reason == "DEVICE_UNAVAILABLE"


def test_auto_takes_the_device_that_there_is(own_client, partial):
    started = own_client.warm_start("NetB", partial, device="auto")
    expected = "cuda:0" if torch.cuda.is_available() else "cpu"
    assert started.checkpoint.origin.warm_start.device == expected


@pytest.fixture
def unmatched(own_client):
    """A request that misses thousands of keys."""
    state = {f"block.{i}.a.rather.long.key.weight": torch.ones(1) for i in range(5000)}
    own_client.register_architecture(warmstart.architecture_of("Long", state))
    handle = own_client.save({"other": torch.ones(1)}).checkpoint.name
    return {"architecture": "Long", "sources": handle, "strict": True}


def test_a_report_of_thousands_of_keys_arrives_whole(server, own_client, unmatched):
    error = refused(server, own_client, **unmatched)
    assert error.code == grpc.StatusCode.FAILED_PRECONDITION
    assert error.reason == "STRICT_NOT_MET"
    assert len(error.report.missing_keys) == len(error.report.entries) == 5000
    assert error.message == error.report.summary


def test_a_client_of_small_errors_gets_a_report_that_was_cut(server, unmatched):
    request = model_initializer_pb2.WarmStartRequest(
        architecture=unmatched["architecture"],
        sources=[{"checkpoint": unmatched["sources"]}],
        strict=True,
    )
    with server.channel() as channel:
        stub = model_initializer_pb2_grpc.ModelInitializerStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.WarmStart(request)
    error = errors.from_rpc_error(caught.value)
    assert error.code == grpc.StatusCode.FAILED_PRECONDITION
    assert error.reason == "STRICT_NOT_MET"
    assert error.message.startswith("Error(s) in loading state_dict for Long:")
    assert 0 < len(error.report.missing_keys) < 5000
    assert any("cut" in note for note in error.report.notes)
