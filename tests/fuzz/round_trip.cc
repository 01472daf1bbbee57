#include "tests/fuzz/round_trip.h"

#include <libdeflate.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/format/reader.h"
#include "server/format/safetensors/safetensors_reader.h"
#include "server/format/torch/torch_zip_reader.h"
#include "server/format/writer.h"
#include "server/model/manifest.h"
#include "tests/fuzz/contents_checks.h"
#include "tests/fuzz/require.h"

namespace warmstart::fuzz {
namespace {

using format::FileContents;
using format::FileLayout;
using format::FileStorage;
using format::FileTensor;
using format::FileView;

constexpr int64_t kMaxBytes = 1 << 18;

// What a store makes of uploaded files, in memory.
class MemoryStore {
 public:
  // False where it would be too much.
  bool Save(absl::Span<const FileView> files, const FileContents& contents) {
    manifest_.module_versions = contents.module_versions;
    std::vector<int> uses(contents.storages.size(), 0);
    for (const FileTensor& tensor : contents.tensors) ++uses[tensor.storage];
    std::vector<int> shared(contents.storages.size(), -1);
    for (const FileTensor& tensor : contents.tensors) {
      std::optional<std::string> values =
          ReadValues(files, contents, tensor, kMaxBytes);
      if (!values.has_value()) return false;
      ManifestEntry entry;
      entry.key = tensor.key;
      entry.spec = tensor.spec;
      entry.digest = Add(*values);
      const FileStorage& storage = contents.storages[tensor.storage];
      if (uses[tensor.storage] > 1 && !storage.byte_swapped) {
        if (shared[tensor.storage] < 0) {
          shared[tensor.storage] = static_cast<int>(manifest_.storages.size());
          manifest_.storages.push_back(
              {Add(StorageBytes(files, storage)), storage.num_bytes});
        }
        entry.view = StorageView{shared[tensor.storage], tensor.element_offset,
                                 tensor.strides};
      }
      manifest_.entries.push_back(std::move(entry));
      if (num_bytes_ > kMaxBytes) return false;
    }
    return true;
  }

  const Manifest& manifest() const { return manifest_; }

  absl::string_view Blob(const Digest& digest) const {
    return blobs_.at(digest);
  }

  uint32_t Crc32(const Digest& digest) const {
    return libdeflate_crc32(0, Blob(digest).data(), Blob(digest).size());
  }

  std::string Assemble(const FileLayout& layout) const {
    std::string file;
    for (const format::Segment& segment : layout.segments) {
      const absl::string_view bytes = segment.is_blob
                                          ? Blob(segment.blob)
                                          : absl::string_view(segment.literal);
      Require(static_cast<int64_t>(bytes.size()) == segment.num_bytes,
              "segments have the size that they say");
      absl::StrAppend(&file, bytes);
    }
    Require(static_cast<int64_t>(file.size()) == layout.num_bytes,
            "layouts have the size that they say");
    return file;
  }

 private:
  Digest Add(absl::string_view bytes) {
    num_bytes_ += static_cast<int64_t>(bytes.size());
    const Digest digest = Digest::Of(bytes);
    blobs_.emplace(digest, bytes);
    return digest;
  }

  Manifest manifest_;
  absl::flat_hash_map<Digest, std::string> blobs_;
  int64_t num_bytes_ = 0;
};

void CheckSame(const MemoryStore& store, const ManifestEntry& entry,
               absl::Span<const FileView> file, const FileContents& contents,
               const FileTensor& tensor) {
  Require(tensor.key == entry.key, "keys come back in order", entry.key);
  Require(tensor.spec == entry.spec, "types and shapes come back", entry.key);
  const std::optional<std::string> values =
      ReadValues(file, contents, tensor, kMaxBytes);
  Require(values.has_value() && *values == store.Blob(entry.digest),
          "values come back", entry.key);
}

void CheckTorch(const MemoryStore& store) {
  const absl::StatusOr<FileLayout> layout =
      format::LayoutTorchFile(store.manifest(), [&store](const Digest& digest) {
        return absl::StatusOr<uint32_t>(store.Crc32(digest));
      });
  Require(layout.ok(), "what was read can be written",
          layout.status().ToString());
  const std::string bytes = store.Assemble(*layout);
  const FileView file = {"written.pt", bytes};
  const absl::StatusOr<FileContents> again = format::ReadTorchZip(file);
  Require(again.ok(), "what was written can be read",
          again.status().ToString());
  CheckContents({&file, 1}, *again);

  const std::vector<ManifestEntry>& entries = store.manifest().entries;
  Require(again->tensors.size() == entries.size(), "all tensors come back");
  absl::flat_hash_map<int32_t, int32_t> storage_of_view;
  for (size_t i = 0; i < entries.size(); ++i) {
    const FileTensor& tensor = again->tensors[i];
    CheckSame(store, entries[i], {&file, 1}, *again, tensor);
    if (!entries[i].view.has_value()) continue;
    const auto [known, is_new] =
        storage_of_view.try_emplace(entries[i].view->storage, tensor.storage);
    Require(is_new || known->second == tensor.storage ||
                tensor.spec.num_elements() == 0,
            "tensors are tied again", tensor.key);
  }
  Require(again->module_versions == store.manifest().module_versions,
          "module versions come back");
}

void CheckSafetensors(const MemoryStore& store) {
  const absl::StatusOr<FileLayout> layout =
      format::LayoutSafetensorsFile(store.manifest());
  if (absl::IsFailedPrecondition(layout.status())) return;
  Require(layout.ok(), "what was read can be written",
          layout.status().ToString());
  const std::string bytes = store.Assemble(*layout);
  const FileView file = {"written.safetensors", bytes};
  const absl::StatusOr<FileContents> again = format::ReadSafetensors(file);
  Require(again.ok(), "what was written can be read",
          again.status().ToString());
  CheckContents({&file, 1}, *again);

  absl::flat_hash_map<absl::string_view, const ManifestEntry*> entries;
  for (const ManifestEntry& entry : store.manifest().entries) {
    entries[entry.key] = &entry;
  }
  Require(again->tensors.size() == entries.size(), "all tensors come back");
  for (const FileTensor& tensor : again->tensors) {
    const auto entry = entries.find(tensor.key);
    Require(entry != entries.end(), "keys come back", tensor.key);
    CheckSame(store, *entry->second, {&file, 1}, *again, tensor);
  }
}

}  // namespace

void CheckRoundTrip(absl::Span<const FileView> files,
                    const FileContents& contents) {
  MemoryStore store;
  if (!store.Save(files, contents)) return;
  CheckTorch(store);
  CheckSafetensors(store);
}

}  // namespace warmstart::fuzz
