"""Writes files as torch.save did before 0.1.10, which PyTorch can still read."""

import io
import pickle
import struct
import tarfile

import torch

TAR_STORAGES = {
    torch.float32: torch.FloatStorage,
    torch.int64: torch.LongStorage,
    torch.uint8: torch.ByteStorage,
}


class TarSaver:
    """The algorithm of torch.save before 0.1.10, as torch.load reads it."""

    def __init__(self):
        self.tensors = {}
        self.storages = {}
        self.views = []

    def persistent_id(self, value):
        if isinstance(value, torch.Tensor):
            self.tensors[id(value)] = value
            return str(id(value))
        return None

    def save(self, value, path):
        tree = io.BytesIO()
        pickler = pickle.Pickler(tree, protocol=2)
        pickler.persistent_id = self.persistent_id
        pickler.dump(value)
        tensors = io.BytesIO()
        pickle.dump(len(self.tensors), tensors, protocol=2)
        for key, tensor in self.tensors.items():
            storage = tensor.untyped_storage()
            root = storage.data_ptr()
            self.storages[root] = (storage, tensor.dtype)
            # Every second tensor goes through a view of its storage.
            storage_key, offset = root, tensor.storage_offset()
            if len(self.views) < len(self.tensors) // 2 and offset > 0:
                storage_key = root + 1
                size = storage.nbytes() // tensor.element_size() - offset
                self.views.append((storage_key, root, offset, size))
                offset = 0
            kind = TAR_STORAGES[tensor.dtype]
            pickle.dump((key, storage_key, kind), tensors, protocol=2)
            tensors.write(struct.pack("<i", tensor.dim()) + bytes(4))
            tensors.write(struct.pack(f"<{tensor.dim()}q", *tensor.shape))
            tensors.write(struct.pack(f"<{tensor.dim()}q", *tensor.stride()))
            tensors.write(struct.pack("<q", offset))
        storages = io.BytesIO()
        pickle.dump(len(self.storages), storages, protocol=2)
        for key, (storage, dtype) in self.storages.items():
            pickle.dump((key, "cpu", TAR_STORAGES[dtype]), storages, protocol=2)
            raw = bytes(storage)
            size = torch.empty(0, dtype=dtype).element_size()
            storages.write(struct.pack("<q", len(raw) // size) + raw)
        pickle.dump(self.views, storages, protocol=2)
        with tarfile.open(path, "w:", format=tarfile.PAX_FORMAT) as tar:
            for name, part in [
                ("sys_info", b""),
                ("pickle", tree.getvalue()),
                ("tensors", tensors.getvalue()),
                ("storages", storages.getvalue()),
            ]:
                info = tarfile.TarInfo(name)
                info.size = len(part)
                tar.addfile(info, io.BytesIO(part))
