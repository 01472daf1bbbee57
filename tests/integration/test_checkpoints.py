"""Reading, listing, labelling, naming, deleting and downloading."""

from __future__ import annotations

import grpc
import pytest
import safetensors.torch
import torch
import warmstart
from harness.nets import NetA
from harness.tensors import assert_same_state, assert_same_tensor
from warmstart.v1 import checkpoints_pb2, checkpoints_pb2_grpc


def error_of(call) -> warmstart.WarmstartError:
    with pytest.raises(warmstart.WarmstartError) as caught:
        call()
    return caught.value


# Lists.


def test_lists_come_newest_first_in_pages(own_client):
    names = [
        own_client.save({"w": torch.full((2,), i)}).checkpoint.name for i in range(7)
    ]
    listed = [c.name for c in own_client.list(page_size=3)]
    assert listed == names[::-1]
    assert [c.name for c in own_client.list()] == listed


def test_a_page_token_stays_good_while_others_come_and_go(server, own_client):
    names = [own_client.save_fresh("NetA").checkpoint.name for _ in range(4)]
    pages = own_client.list(page_size=2)
    assert [next(pages).name, next(pages).name] == [names[3], names[2]]
    own_client.save_fresh("NetA")
    own_client.delete(names[2])
    assert [checkpoint.name for checkpoint in pages] == [names[1], names[0]]


def test_filters_narrow_each_other(own_client):
    def save(architecture, alias, **labels):
        return own_client.save_fresh(
            architecture, alias=alias, labels=labels
        ).checkpoint.name

    one = save("NetA", "prod/one", team="vision", tier="1")
    two = save("NetA", "prod/two", team="vision", tier="2")
    three = save("NetB", "test/three", team="vision")

    def listed(**filters):
        return [checkpoint.name for checkpoint in own_client.list(**filters)]

    assert listed(architecture="NetA") == [two, one]
    assert listed(architecture="architectures/NetB") == [three]
    assert listed(labels={"team": "vision"}) == [three, two, one]
    assert listed(labels={"team": "vision", "tier": "1"}) == [one]
    assert listed(alias="prod/*") == [two, one]
    assert listed(alias="prod/two") == [two]
    assert listed(alias="prod/two", labels={"tier": "1"}) == []
    assert listed(labels={"team": "audio"}) == []


@pytest.mark.parametrize(
    "options",
    [{"page_token": "garbage"}, {"page_size": -1}],
    ids=str,
)
def test_a_list_that_makes_no_sense_is_refused(shared_server, options):
    with shared_server.channel() as channel:
        stub = checkpoints_pb2_grpc.CheckpointsStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.ListCheckpoints(checkpoints_pb2.ListCheckpointsRequest(**options))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


# Labels and aliases.


def test_labels_are_replaced_and_nothing_else(own_client):
    saved = own_client.save_fresh("NetA", labels={"a": "1", "b": "2"}).checkpoint
    updated = own_client.set_labels(saved.name, {"b": "3"})
    assert dict(updated.labels) == {"b": "3"}
    updated.labels.clear()
    updated.labels.update(saved.labels)
    assert updated == saved
    assert dict(own_client.get(saved.name).labels) == {"b": "3"}


def test_another_field_than_labels_cannot_be_updated(shared_server, client):
    name = client.save_fresh("NetA").checkpoint.name
    request = checkpoints_pb2.UpdateCheckpointRequest(
        checkpoint={"name": name, "architecture": "architectures/NetB"},
        update_mask={"paths": ["architecture"]},
    )
    with shared_server.channel() as channel:
        stub = checkpoints_pb2_grpc.CheckpointsStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.UpdateCheckpoint(request)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_an_alias_is_a_handle_that_can_be_moved(own_client):
    one, two = (own_client.save_fresh("NetA").checkpoint.name for _ in range(2))
    alias = own_client.set_alias("net/prod", one)
    assert (alias.name, alias.checkpoint) == ("aliases/net/prod", one)
    assert own_client.get("aliases/net/prod").name == one
    assert own_client.get(one).aliases == ["aliases/net/prod"]
    own_client.set_alias("net/prod", two)
    assert own_client.get("aliases/net/prod").name == two
    assert own_client.get(one).aliases == []
    own_client.delete_alias("net/prod")
    assert own_client.get(two).aliases == []
    error = error_of(lambda: own_client.get("aliases/net/prod"))
    assert (error.code, error.reason) == (
        grpc.StatusCode.NOT_FOUND,
        "ALIAS_NOT_FOUND",
    )


def test_aliases_are_listed_by_name_in_pages(own_client):
    name = own_client.save_fresh("NetA").checkpoint.name
    aliases = ["b", "a/x", "c", "a"]
    for alias in aliases:
        own_client.set_alias(alias, name)
    listed = [alias.name for alias in own_client.aliases(page_size=3)]
    assert listed == [f"aliases/{alias}" for alias in sorted(aliases)]


@pytest.mark.parametrize("alias", ["", "/a", "a//b", "../a", "a b", "a" * 129, "ä"])
def test_a_name_that_is_no_alias_is_refused(client, alias):
    name = client.save_fresh("NetA").checkpoint.name
    error = error_of(lambda: client.set_alias(alias, name))
    assert error.code == grpc.StatusCode.INVALID_ARGUMENT


# Deleting.


def test_a_checkpoint_is_deleted_with_the_tensors_that_are_its_own(server, own_client):
    shared, own = torch.randn(50_000), torch.randn(200_000)
    one = own_client.save({"shared": shared}).checkpoint.name
    two = own_client.save({"shared": shared, "own": own}).checkpoint.name
    own_client.delete(two)
    assert error_of(lambda: own_client.get(two)).code == grpc.StatusCode.NOT_FOUND
    assert_same_state(own_client.state_dict(one), {"shared": shared})
    assert sum(server.packs().values()) < 300_000
    own_client.delete(one)
    assert server.packs() == {}


def test_a_warm_start_outlives_its_source(own_client):
    state = NetA().state_dict()
    source = own_client.save(state).checkpoint.name
    started = own_client.warm_start("NetB", source).checkpoint.name
    own_client.delete(source)
    assert_same_state(own_client.state_dict(started), state)


def test_a_checkpoint_with_an_alias_is_deleted_by_force_alone(own_client):
    name = own_client.save_fresh("NetA", alias="prod").checkpoint.name
    error = error_of(lambda: own_client.delete(name))
    assert error.code == grpc.StatusCode.FAILED_PRECONDITION
    assert error.reason == "CHECKPOINT_IN_USE"
    assert "prod" in error.message
    own_client.delete(name, force=True)
    assert list(own_client.aliases()) == []


def test_no_alias_decides_what_is_deleted(own_client):
    name = own_client.save_fresh("NetA", alias="prod").checkpoint.name
    error = error_of(lambda: own_client.delete("aliases/prod", force=True))
    assert error.code == grpc.StatusCode.INVALID_ARGUMENT
    assert own_client.get(name).name == name


def test_what_is_not_there_cannot_be_deleted(client):
    for call in (
        lambda: client.delete("checkpoints/none"),
        lambda: client.delete_alias("none"),
        lambda: client.delete_architecture("None"),
    ):
        assert error_of(call).code == grpc.StatusCode.NOT_FOUND


# Architectures.


def test_an_architecture_that_checkpoints_name_is_deleted_by_force_alone(own_client):
    own_client.register_architecture(
        warmstart.architecture_of("Net", {"w": torch.ones(2)})
    )
    name = own_client.save_fresh("Net").checkpoint.name
    error = error_of(lambda: own_client.delete_architecture("Net"))
    assert error.reason == "ARCHITECTURE_IN_USE"
    own_client.delete_architecture("Net", force=True)
    assert error_of(lambda: own_client.get_architecture("Net")).code == (
        grpc.StatusCode.NOT_FOUND
    )
    assert_same_state(own_client.state_dict(name), {"w": torch.zeros(2)})


def test_built_in_architectures_stay(client):
    error = error_of(lambda: client.delete_architecture("NetA", force=True))
    assert error.code == grpc.StatusCode.FAILED_PRECONDITION
    assert error.reason == "ARCHITECTURE_BUILT_IN"


def test_architectures_are_listed_in_pages_the_built_in_first(own_client):
    for name in ("Zed", "Abc", "Mid"):
        own_client.register_architecture(
            warmstart.architecture_of(name, {"w": torch.ones(2, 3)})
        )
    listed = list(own_client.architectures(page_size=2))
    names = [summary.name.removeprefix("architectures/") for summary in listed]
    stored = [f"{name}/versions/1" for name in ("Abc", "Mid", "Zed")]
    assert names == ["NetA", "NetB", *stored]
    assert [summary.built_in for summary in listed] == [True, True] + [False] * 3
    assert (listed[2].entry_count, listed[2].parameter_count) == (1, 6)
    assert listed[2].size_bytes == 24


def test_a_version_is_registered_found_and_deleted_alone(own_client):
    one, two = (
        warmstart.architecture_of("Net", {"w": torch.ones(size)}) for size in (2, 3)
    )
    dry = own_client.register_architecture(one, validate_only=True)
    assert dry.name == "architectures/Net/versions/1"
    assert error_of(lambda: own_client.get_architecture("Net")).code == (
        grpc.StatusCode.NOT_FOUND
    )
    first = own_client.register_architecture(one)
    second = own_client.register_architecture(two)
    assert own_client.register_architecture(first) == first
    assert own_client.get_architecture("Net") == second
    listed = [summary.version for summary in own_client.architectures("Net")]
    assert listed == [2, 1]
    own_client.delete_architecture(second.name)
    assert own_client.get_architecture("Net") == first


# Downloads.


def test_a_download_reads_everywhere(client, tmp_path):
    tied = torch.randn(3, 2)
    state = {
        "tied.a": tied,
        "scalar": torch.tensor(7),
        "half": torch.randn(3, dtype=torch.bfloat16),
        "mask": torch.tensor([True, False]),
        "empty": torch.zeros(0, 4),
        "tied.b": tied,
    }
    name = client.save(state).checkpoint.name
    client.download(name, tmp_path / "a.pt")
    for mmap in (False, True):
        loaded = torch.load(tmp_path / "a.pt", weights_only=True, mmap=mmap)
        assert_same_state(loaded, state)
    assert loaded["tied.a"].data_ptr() == loaded["tied.b"].data_ptr()
    client.download(name, tmp_path / "a.safetensors", format="safetensors")
    loaded = safetensors.torch.load_file(tmp_path / "a.safetensors")
    assert set(loaded) == set(state)
    for key, tensor in state.items():
        assert_same_tensor(key, loaded[key], tensor)


@pytest.mark.parametrize("file_format", ["torch", "safetensors"])
def test_a_download_resumes_at_any_offset(shared_server, client, tmp_path, file_format):
    name = client.save({"w": torch.randn(1000), "v": torch.randn(7)}).checkpoint.name
    client.download(name, tmp_path / "whole", format=file_format)
    client.download(name, tmp_path / "again", format=file_format)
    whole = (tmp_path / "whole").read_bytes()
    assert (tmp_path / "again").read_bytes() == whole

    with shared_server.channel() as channel:
        stub = checkpoints_pb2_grpc.CheckpointsStub(channel)

        def read(offset: int) -> tuple[bytes, list]:
            request = checkpoints_pb2.DownloadCheckpointRequest(
                name=name, format=f"FILE_FORMAT_{file_format.upper()}", offset=offset
            )
            answers = list(stub.DownloadCheckpoint(request))
            return b"".join(answer.chunk for answer in answers), answers

        for offset in [0, 1, 63, 64, 500, len(whole) - 1, len(whole)]:
            rest, answers = read(offset)
            assert rest == whole[offset:]
            assert answers[0].file_size == len(whole)
            assert answers[0].checkpoint == name
        for offset in (-1, len(whole) + 1):
            with pytest.raises(grpc.RpcError) as caught:
                read(offset)
            assert caught.value.code() in (
                grpc.StatusCode.OUT_OF_RANGE,
                grpc.StatusCode.INVALID_ARGUMENT,
            )


def test_a_large_download_comes_in_pieces(shared_server, client):
    name = client.save({"w": torch.randn(1 << 20)}).checkpoint.name
    with shared_server.channel() as channel:
        stub = checkpoints_pb2_grpc.CheckpointsStub(channel)
        request = checkpoints_pb2.DownloadCheckpointRequest(name=name)
        sizes = [len(answer.chunk) for answer in stub.DownloadCheckpoint(request)]
    assert sum(sizes) > 4 << 20
    assert max(sizes) <= 1 << 20


def test_a_dtype_that_safetensors_lacks_is_named(client, tmp_path):
    name = client.save({"w": torch.zeros(2, dtype=torch.complex128)}).checkpoint.name
    error = error_of(
        lambda: client.download(name, tmp_path / "a", format="safetensors")
    )
    assert error.code == grpc.StatusCode.FAILED_PRECONDITION
    assert error.reason == "FORMAT_LACKS_DTYPE"
    assert "complex128" in error.message
    assert not (tmp_path / "a").exists()


def test_the_manifest_tells_equal_tensors_by_their_digest(client):
    one = {"a": torch.ones(3), "b": torch.ones(3), "c": torch.ones(3, 1)}
    entries = list(client.manifest(client.save(one).checkpoint.name))
    assert [(e.key, e.dtype, list(e.shape)) for e in entries] == [
        ("a", "float32", [3]),
        ("b", "float32", [3]),
        ("c", "float32", [3, 1]),
    ]
    assert len({entry.digest for entry in entries}) == 1
    assert [entry.shared_storage for entry in entries] == [0, 0, 0]
