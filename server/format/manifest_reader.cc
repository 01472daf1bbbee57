#include "server/format/manifest_reader.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/base/status_macros.h"
#include "server/format/key_check.h"
#include "server/format/pickle/plain_value.h"
#include "server/format/strict_json.h"
#include "server/format/torch/pickled_tensor.h"
#include "server/format/torch/state_tree.h"
#include "server/format/torch/tensor_table.h"
#include "server/model/utf8.h"

namespace warmstart::format {
namespace {

absl::Status Error(absl::string_view what) {
  return absl::InvalidArgumentError(what);
}

// Of the storages and of the tensors that have one of their own, at most what
// an int64 holds.
int64_t TotalBytes(const Manifest& manifest) {
  int64_t total = 0;
  const auto add = [&total](int64_t num_bytes) {
    if (__builtin_add_overflow(total, num_bytes, &total)) {
      total = std::numeric_limits<int64_t>::max();
    }
  };
  for (const SharedStorage& storage : manifest.storages) {
    add(storage.num_bytes);
  }
  for (const ManifestEntry& entry : manifest.entries) {
    if (!entry.view.has_value()) add(entry.spec.num_bytes());
  }
  return total;
}

int32_t AddStorage(int64_t num_bytes, FileContents& contents) {
  FileStorage storage;
  storage.file = static_cast<int32_t>(contents.storages.size());
  storage.num_bytes = num_bytes;
  contents.storages.push_back(storage);
  return storage.file;
}

absl::Status AddStorages(const Manifest& manifest, FileContents& contents) {
  for (size_t i = 0; i < manifest.storages.size(); ++i) {
    const int64_t num_bytes = manifest.storages[i].num_bytes;
    if (num_bytes <= 0) {
      return Error(absl::StrCat("storage ", i, " has ", num_bytes, " bytes"));
    }
    AddStorage(num_bytes, contents);
  }
  return absl::OkStatus();
}

absl::Status CheckView(const Manifest& manifest, const ManifestEntry& entry) {
  const int32_t storage = entry.view->storage;
  if (storage < 0 || static_cast<size_t>(storage) >= manifest.storages.size()) {
    return Error(absl::StrCat("tensor ", QuoteForMessage(entry.key),
                              " is in storage ", storage, " of ",
                              manifest.storages.size()));
  }
  if (entry.spec.num_elements() == 0) {
    return Error(absl::StrCat("tensor ", QuoteForMessage(entry.key),
                              " has no elements, and so shares no storage"));
  }
  return absl::OkStatus();
}

// Where the tensor lies: in a shared storage, or in one that is made for it.
absl::StatusOr<StorageWindow> WindowOf(const Manifest& manifest,
                                       const ManifestEntry& entry,
                                       FileContents& contents) {
  if (!entry.view.has_value()) {
    const int64_t num_bytes = entry.spec.num_bytes();
    return StorageWindow{AddStorage(num_bytes, contents), 0, num_bytes};
  }
  RETURN_IF_ERROR(CheckView(manifest, entry));
  const int32_t storage = entry.view->storage;
  return StorageWindow{storage, 0, manifest.storages[storage].num_bytes};
}

PickledTensor TensorOf(const ManifestEntry& entry) {
  const absl::Span<const int64_t> sizes = entry.spec.shape().sizes();
  PickledTensor tensor;
  tensor.sizes.assign(sizes.begin(), sizes.end());
  tensor.offset = entry.view.has_value() ? entry.view->offset : 0;
  tensor.strides = entry.view.has_value()
                       ? entry.view->strides
                       : entry.spec.shape().ContiguousStrides();
  return tensor;
}

absl::Status AddTensors(const Manifest& manifest, FileContents& contents) {
  if (manifest.entries.empty()) return Error("it has no entries");
  TensorTable table(TotalBytes(manifest), &contents);
  std::vector<bool> viewed(manifest.storages.size());
  for (const ManifestEntry& entry : manifest.entries) {
    ASSIGN_OR_RETURN(const StorageWindow window,
                     WindowOf(manifest, entry, contents));
    RETURN_IF_ERROR(
        table.Add(entry.key, entry.spec.dtype(), window, TensorOf(entry)));
    if (entry.view.has_value()) viewed[window.storage] = true;
  }
  const auto lost = std::find(viewed.begin(), viewed.end(), false);
  if (lost == viewed.end()) return absl::OkStatus();
  return Error(absl::StrCat("storage ", lost - viewed.begin(),
                            " is shared by no entry"));
}

absl::Status CheckSubtrees(const Manifest& manifest) {
  if (manifest.subtrees.empty()) return absl::OkStatus();
  std::vector<absl::string_view> keys;
  for (const ManifestEntry& entry : manifest.entries) keys.push_back(entry.key);
  std::sort(keys.begin(), keys.end());
  for (const std::string& subtree : manifest.subtrees) {
    const std::string prefix = absl::StrCat(subtree, ".");
    const auto first = std::lower_bound(keys.begin(), keys.end(), prefix);
    if (first == keys.end() || !absl::StartsWith(*first, prefix)) {
      return Error(absl::StrCat("no tensor is in the subtree ",
                                QuoteForMessage(subtree)));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckModuleVersions(const Manifest& manifest) {
  absl::flat_hash_set<absl::string_view> seen;
  for (const ModuleVersion& module : manifest.module_versions) {
    if (!IsUtf8(module.path)) {
      return Error(absl::StrCat("the module ", QuoteForMessage(module.path),
                                " is not valid UTF-8"));
    }
    if (!seen.insert(module.path).second) {
      return Error(absl::StrCat("the module ", QuoteForMessage(module.path),
                                " has two versions"));
    }
  }
  return absl::OkStatus();
}

absl::Status ReadMetadata(const std::string& text, FileContents& contents) {
  if (text.empty()) return absl::OkStatus();
  if (text.size() > kMaxMetadataBytes) {
    return Error(absl::StrCat("its metadata has more than ", kMaxMetadataBytes,
                              " bytes"));
  }
  const absl::Status status =
      ParseStrictJson(text, kMaxNesting, [](const JsonEvent& event) {
        return event.depth > 0 || event.kind == JsonEvent::Kind::kObjectStart ||
                       event.kind == JsonEvent::Kind::kObjectEnd
                   ? absl::OkStatus()
                   : Error("JSON: no object");
      });
  if (!status.ok()) {
    return Error(absl::StrCat("its metadata: ", status.message()));
  }
  Json object = Json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  contents.metadata_json =
      MetadataText(std::move(object), kMaxMetadataBytes, &contents.skipped);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<FileContents> ReadManifest(const Manifest& manifest) {
  FileContents contents;
  RETURN_IF_ERROR(AddStorages(manifest, contents));
  RETURN_IF_ERROR(AddTensors(manifest, contents));
  RETURN_IF_ERROR(CheckSubtrees(manifest));
  RETURN_IF_ERROR(CheckModuleVersions(manifest));
  RETURN_IF_ERROR(ReadMetadata(manifest.metadata_json, contents));
  contents.subtrees = manifest.subtrees;
  contents.module_versions = manifest.module_versions;
  return contents;
}

}  // namespace warmstart::format
