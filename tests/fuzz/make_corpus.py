"""Writes the first inputs of the fuzzers: FOLDER/<fuzzer>/<file>.

Usage: make_corpus.py FOLDER

They come from the files that the reader's tests read, which PyTorch writes, and
from safetensors; large ones are left out, since a fuzzer gets slow with them.
"""

import hashlib
import itertools
import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import safetensors.torch
import torch

MAX_BYTES = 16 << 10
TESTDATA = pathlib.Path(__file__).parents[1] / "format" / "make_testdata.py"
FUZZER_OF_SUFFIX = {
    ".legacy.pt": "fuzz_torch_legacy",
    ".tar.pt": "fuzz_torch_tar",
    ".pt": "fuzz_torch_zip",
}
# What they expand to up to the reader's bound takes most of a second.
SLOW = "doubling"
WITHOUT_CHECKSUMS = {"no_crc32.zip.pt"}
FILE_SEPARATOR = b"\n--file--\n"
STORAGE_SIZES = b"\nstorages:"
SHARD_OF_KEYS = b"keys:\n"


class Corpus:
    def __init__(self, folder):
        self.folder = folder

    def add(self, fuzzer, data):
        if len(data) > MAX_BYTES:
            return
        path = self.folder / fuzzer
        path.mkdir(parents=True, exist_ok=True)
        (path / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def fuzzer_of(path):
    for suffix, fuzzer in FUZZER_OF_SUFFIX.items():
        if path.name.endswith(suffix):
            return fuzzer
    return None


def pickle_of(path):
    """The pickle of an archive, and the sizes of its storages, which follow it."""
    with zipfile.ZipFile(path) as archive:
        sizes = {i.filename.split("/", 1)[1]: i.file_size for i in archive.infolist()}
        names = itertools.takewhile(
            sizes.__contains__, map("data/{}".format, itertools.count())
        )
        storages = ",".join(str(sizes[name]) for name in names)
        folder = archive.namelist()[0].split("/")[0]
        return archive.read(f"{folder}/data.pkl") + STORAGE_SIZES + storages.encode()


def add_torch(corpus):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, TESTDATA, folder], check=True)
        for path in sorted(pathlib.Path(folder).iterdir()):
            fuzzer = fuzzer_of(path)
            if fuzzer is None or path.name.startswith(SLOW):
                continue
            corpus.add(fuzzer, path.read_bytes())
            if fuzzer == "fuzz_torch_zip" and path.name not in WITHOUT_CHECKSUMS:
                corpus.add("fuzz_pickle", pickle_of(path))


def state_dicts():
    torch.manual_seed(0)
    yield {}
    yield torch.nn.Linear(3, 2).state_dict()
    yield {
        "half": torch.ones(2, 3).half(),
        "scalar": torch.tensor(5),
        "empty": torch.zeros(0, 4),
        "float8": torch.zeros(3).to(torch.float8_e4m3fn),
    }


def add_safetensors(corpus):
    for state in state_dicts():
        for metadata in (None, {"format": "pt", "note": 'with "quotes"'}):
            data = safetensors.torch.save(state, metadata)
            length = int.from_bytes(data[:8], "little")
            corpus.add("fuzz_safetensors", data)
            corpus.add("fuzz_safetensors_header", data[8 : 8 + length])
    small = {"q": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}
    corpus.add("fuzz_safetensors_header", json.dumps(small).encode())


def sharded(*files):
    return FILE_SEPARATOR.join(name.encode() + b"\n" + data for name, data in files)


def keys(*names):
    return SHARD_OF_KEYS + "\n".join(names).encode()


def index(weight_map, **metadata):
    return json.dumps({"metadata": metadata, "weight_map": weight_map}).encode()


def add_sharded(corpus):
    first, second = keys("a", "b.c"), keys("d")
    weights = {"d": "2", "a": "1", "b.c": "1"}
    for files in (
        [("1", first), ("2", second)],
        [("1", first), ("2", second), ("i", index(weights, total_size=3))],
        [("i", index(weights, nested={"a": [1, None]})), ("2", second), ("1", first)],
        [("1", keys("a", "x")), ("i", index({"a": "1"}))],
        [("1", first), ("1", second)],
        [("1", keys("a")), ("2", keys("a"))],
        [("i", index({"a": "../1"})), ("1", keys("a"))],
        [("1", safetensors.torch.save({"t": torch.ones(2)})), ("2", first)],
    ):
        corpus.add("fuzz_sharded_set", sharded(*files))


def main():
    corpus = Corpus(pathlib.Path(sys.argv[1]))
    add_torch(corpus)
    add_safetensors(corpus)
    add_sharded(corpus)


if __name__ == "__main__":
    main()
