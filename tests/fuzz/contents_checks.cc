#include "tests/fuzz/contents_checks.h"

#include <algorithm>
#include <cstddef>
#include <tuple>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "server/format/key_check.h"
#include "server/format/reader.h"
#include "server/model/utf8.h"
#include "tests/fuzz/require.h"

namespace warmstart::fuzz {
namespace {

using format::FileContents;
using format::FileStorage;
using format::FileTensor;
using format::FileView;

void CheckStorages(absl::Span<const FileView> files,
                   const std::vector<FileStorage>& storages) {
  std::vector<std::tuple<int32_t, int64_t, int64_t>> extents;
  for (const FileStorage& storage : storages) {
    Require(
        storage.file >= 0 && static_cast<size_t>(storage.file) < files.size(),
        "a storage is in one of the files");
    const int64_t size = static_cast<int64_t>(files[storage.file].bytes.size());
    Require(
        storage.offset >= 0 && storage.num_bytes >= 0 &&
            storage.offset <= size &&
            storage.num_bytes <= size - storage.offset,
        "a storage lies inside of its file",
        absl::StrCat(storage.offset, " + ", storage.num_bytes, " of ", size));
    if (storage.num_bytes > 0) {
      extents.emplace_back(storage.file, storage.offset, storage.num_bytes);
    }
  }
  std::sort(extents.begin(), extents.end());
  for (size_t i = 1; i < extents.size(); ++i) {
    const auto& [file, offset, num_bytes] = extents[i - 1];
    Require(file != std::get<0>(extents[i]) ||
                offset + num_bytes <= std::get<1>(extents[i]),
            "storages do not overlap", absl::StrCat("at ", offset));
  }
}

// In 128 bits, where nothing that fits in the fields overflows.
void CheckInside(const FileTensor& tensor, const FileStorage& storage) {
  const absl::Span<const int64_t> sizes = tensor.spec.shape().sizes();
  Require(tensor.strides.size() == sizes.size(),
          "there is a stride for each dimension", tensor.key);
  Require(tensor.element_offset >= 0, "offsets are not negative", tensor.key);
  __extension__ using Wide = __int128;
  Wide last = tensor.element_offset;
  for (size_t i = 0; i < sizes.size(); ++i) {
    Require(tensor.strides[i] >= 0, "strides are not negative", tensor.key);
    if (sizes[i] > 0) last += Wide{sizes[i] - 1} * tensor.strides[i];
  }
  if (tensor.spec.num_elements() == 0) return;
  Require((last + 1) * DTypeSize(tensor.spec.dtype()) <= storage.num_bytes,
          "elements lie inside of the storage", tensor.key);
}

void CheckTensors(const FileContents& contents) {
  absl::flat_hash_set<absl::string_view> keys;
  for (const FileTensor& tensor : contents.tensors) {
    Require(format::CheckKey(tensor.key).ok(), "keys keep the rule",
            tensor.key);
    Require(keys.insert(tensor.key).second, "keys are unique", tensor.key);
    Require(tensor.storage >= 0 &&
                static_cast<size_t>(tensor.storage) < contents.storages.size(),
            "a tensor has a storage", tensor.key);
    CheckInside(tensor, contents.storages[tensor.storage]);
  }
}

void CheckText(const FileContents& contents) {
  for (const format::SkippedValue& value : contents.skipped) {
    Require(IsUtf8(value.path), "paths of skipped values are UTF-8");
    Require(IsUtf8(value.reason), "reasons for skipping are UTF-8", value.path);
  }
  for (const std::string& subtree : contents.subtrees) {
    Require(IsUtf8(subtree), "subtrees are UTF-8");
  }
  for (const ModuleVersion& module : contents.module_versions) {
    Require(IsUtf8(module.path), "paths of modules are UTF-8");
  }
  if (contents.metadata_json.empty()) return;
  Require(IsUtf8(contents.metadata_json), "metadata is UTF-8");
  const nlohmann::json metadata = nlohmann::json::parse(
      contents.metadata_json, nullptr, /*allow_exceptions=*/false);
  Require(metadata.is_object() && !metadata.empty(),
          "metadata is a JSON object with members", contents.metadata_json);
}

// What the contents take in memory, about.
size_t Weight(const FileContents& contents) {
  size_t weight = contents.metadata_json.size() +
                  contents.storages.size() * sizeof(FileStorage);
  for (const FileTensor& tensor : contents.tensors) {
    weight += sizeof(tensor) + tensor.key.size() +
              tensor.strides.size() * 2 * sizeof(int64_t);
  }
  for (const format::SkippedValue& value : contents.skipped) {
    weight += sizeof(value) + value.path.size() + value.reason.size();
  }
  for (const std::string& subtree : contents.subtrees) {
    weight += sizeof(std::string) + subtree.size();
  }
  for (const ModuleVersion& module : contents.module_versions) {
    weight += sizeof(module) + module.path.size();
  }
  return weight;
}

void CheckProportion(absl::Span<const FileView> files,
                     const FileContents& contents) {
  // Small values that a pickle shares have a path each, which makes this factor
  // larger than one would like.
  constexpr size_t kFactor = 1000;
  constexpr size_t kAllowance = 1 << 20;
  size_t size = kAllowance;
  for (const FileView& file : files) size += kFactor * file.bytes.size();
  Require(Weight(contents) <= size, "contents are in proportion to the files",
          absl::StrCat(Weight(contents), " bytes"));
}

bool IsInside(absl::string_view part, absl::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() &&
          part.data() + part.size() <= whole.data() + whole.size());
}

}  // namespace

void CheckContents(absl::Span<const FileView> files,
                   const FileContents& contents) {
  CheckStorages(files, contents.storages);
  CheckTensors(contents);
  CheckText(contents);
  CheckProportion(files, contents);
}

std::optional<std::string> ReadValues(absl::Span<const FileView> files,
                                      const FileContents& contents,
                                      const FileTensor& tensor,
                                      int64_t max_bytes) {
  constexpr size_t kMaxPieceBytes = size_t{8} << 20;
  const bool contiguous = IsContiguous(contents, tensor);
  const absl::string_view storage =
      StorageBytes(files, contents.storages[tensor.storage]);
  std::string values;
  int pieces = 0;
  const absl::Status status = format::ForEachPiece(
      contents, files, tensor, [&](absl::string_view piece) {
        ++pieces;
        Require(contiguous ? pieces == 1 && IsInside(piece, storage)
                           : piece.size() <= kMaxPieceBytes,
                "values come from the file or in small pieces", tensor.key);
        if (static_cast<int64_t>(values.size() + piece.size()) > max_bytes) {
          return absl::CancelledError("enough");
        }
        absl::StrAppend(&values, piece);
        return absl::OkStatus();
      });
  if (absl::IsCancelled(status)) return std::nullopt;
  Require(status.ok(), "values can be read", status.ToString());
  Require(static_cast<int64_t>(values.size()) == tensor.spec.num_bytes(),
          "there are as many values as the shape says", tensor.key);
  return values;
}

}  // namespace warmstart::fuzz
