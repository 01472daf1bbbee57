// Manifest: what a checkpoint holds. Which tensor, by digest, stands under
// which key, in which order; no tensor bytes.

#ifndef WARMSTART_SERVER_MODEL_MANIFEST_H_
#define WARMSTART_SERVER_MODEL_MANIFEST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/model/digest.h"
#include "server/model/tensor_spec.h"

namespace warmstart {

// Where a tensor lies in a storage that it shares with other tensors, as
// torch.Tensor's untyped_storage(), storage_offset() and stride() tell it.
struct StorageView {
  int32_t storage = 0;           // index into Manifest::storages
  int64_t offset = 0;            // elements
  std::vector<int64_t> strides;  // elements, one for each dimension

  friend bool operator==(const StorageView&, const StorageView&) = default;
};

// A run of bytes that several tensors share.
struct SharedStorage {
  Digest digest;
  int64_t num_bytes = 0;

  friend bool operator==(const SharedStorage&, const SharedStorage&) = default;
};

struct ManifestEntry {
  // The path of the tensor in the file: the keys of nested dicts and the
  // indices of lists, joined with dots. Valid UTF-8, unique in its manifest.
  std::string key;
  TensorSpec spec;
  // Of the tensor's values: contiguous, row-major, little-endian.
  Digest digest;
  // Set when the tensor shares its storage with another entry (tied weights,
  // views). A written .pt file shares it again. Equal digests alone do not
  // mean that two tensors are one: two biases may both be zero.
  std::optional<StorageView> view;

  friend bool operator==(const ManifestEntry&, const ManifestEntry&) = default;
};

// `version` of a torch.nn.Module, as state_dict()._metadata records it.
struct ModuleVersion {
  std::string path;  // "" is the root module
  int64_t version = 1;

  friend bool operator==(const ModuleVersion&, const ModuleVersion&) = default;
};

struct Manifest {
  std::vector<ManifestEntry> entries;  // in the file's order
  std::vector<SharedStorage> storages;
  // Paths of the nested dicts that hold tensors at any depth, in file order,
  // the root left out: {"model_state": {...}, "step": 1} gives "model_state".
  std::vector<std::string> subtrees;
  // From the state_dicts' _metadata, the path of a nested one put before its
  // modules' paths; empty where the file has none.
  std::vector<ModuleVersion> module_versions;
  // The values that are no tensors, nested as in the file, as the text of one
  // JSON object; "" where there are none.
  std::string metadata_json;

  friend bool operator==(const Manifest&, const Manifest&) = default;
};

}  // namespace warmstart

#endif  // WARMSTART_SERVER_MODEL_MANIFEST_H_
