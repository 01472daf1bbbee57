"""When the stubs are made anew."""

import os

import generate_stubs
import pytest


@pytest.fixture
def protos(tmp_path, monkeypatch):
    """A folder with one proto, and stubs that go beside it."""
    monkeypatch.setattr(generate_stubs, "HERE", tmp_path)
    monkeypatch.setattr(generate_stubs, "STUBS", tmp_path / "warmstart" / "v1")
    folder = tmp_path / "proto" / "warmstart" / "v1"
    folder.mkdir(parents=True)
    (tmp_path / "warmstart").mkdir()
    (folder / "a.proto").write_text('syntax = "proto3"; message A { int32 b = 1; }')
    return tmp_path / "proto"


def test_stubs_are_made_where_there_are_none(protos):
    stubs = generate_stubs.generate(protos)
    made = sorted(path.name for path in stubs.iterdir())
    assert made == ["__init__.py", "a_pb2.py", "a_pb2.pyi", "a_pb2_grpc.py"]
    assert not list(protos.parent.glob(".stubs-*"))


def test_stubs_are_left_alone_while_they_are_new(protos):
    stubs = generate_stubs.generate(protos)
    (stubs / "a_pb2.py").write_text("mine")
    generate_stubs.generate(protos)
    assert (stubs / "a_pb2.py").read_text() == "mine"


def test_stubs_follow_a_changed_proto(protos):
    stubs = generate_stubs.generate(protos)
    proto = protos / "warmstart" / "v1" / "a.proto"
    proto.write_text('syntax = "proto3"; message A { int32 c = 1; }')
    newer = (stubs / "__init__.py").stat().st_mtime + 10
    os.utime(proto, (newer, newer))
    generate_stubs.generate(protos)
    assert "c: int" in (stubs / "a_pb2.pyi").read_text()


def test_a_malformed_proto_is_an_error(protos):
    (protos / "warmstart" / "v1" / "a.proto").write_text("no proto")
    with pytest.raises(RuntimeError, match="protoc"):
        generate_stubs.generate(protos)


def test_no_protos_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        generate_stubs.generate(tmp_path)
