#include "server/service/tensor_file.h"

#include <libdeflate.h>

#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/format/reader.h"
#include "server/model/digest.h"
#include "server/model/manifest.h"
#include "server/service/ingest.h"

namespace warmstart::service {
namespace {

using format::FileContents;
using format::FileTensor;
using format::FileView;

// Whether the file is a list: the readers name its tensors by their indices.
bool IsList(const FileContents& contents) {
  for (size_t i = 0; i < contents.tensors.size(); ++i) {
    if (contents.tensors[i].key != absl::StrCat(i)) return false;
  }
  return true;
}

// What a model would silently do without is refused.
absl::Status CheckPlain(const FileContents& contents) {
  if (contents.skipped.empty()) return absl::OkStatus();
  const format::SkippedValue& value = contents.skipped.front();
  return absl::InvalidArgumentError(
      absl::StrCat("'", value.path, "' is no plain tensor but ", value.reason));
}

// A few bytes can be expanded to tensors of any size.
absl::Status CheckSize(const FileContents& contents, int64_t max_bytes) {
  int64_t left = max_bytes;
  for (const FileTensor& tensor : contents.tensors) {
    if (tensor.spec.num_bytes() > left) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the file's tensors take more than ", max_bytes, " bytes"));
    }
    left -= tensor.spec.num_bytes();
  }
  return absl::OkStatus();
}

absl::Status CheckChecksums(const FileContents& contents,
                            const FileView& file) {
  for (const format::FileStorage& storage : contents.storages) {
    const absl::string_view bytes = format::StorageBytes({&file, 1}, storage);
    if (storage.crc32.has_value() &&
        *storage.crc32 != libdeflate_crc32(0, bytes.data(), bytes.size())) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the bytes at offset ", storage.offset,
          " do not have the CRC-32 that the file records: it is damaged"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ValuesOf(const FileContents& contents,
                                     const FileView& file,
                                     const FileTensor& tensor) {
  std::string values;
  values.reserve(tensor.spec.num_bytes());
  RETURN_IF_ERROR(format::ForEachPiece(contents, {&file, 1}, tensor,
                                       [&](absl::string_view piece) {
                                         absl::StrAppend(&values, piece);
                                         return absl::OkStatus();
                                       }));
  return values;
}

}  // namespace

absl::StatusOr<std::vector<NamedTensor>> ReadTensorFile(absl::string_view file,
                                                        int64_t max_bytes) {
  const FileView view{"input_file", file};
  ASSIGN_OR_RETURN(const FileContents contents, format::ReadFiles({&view, 1}));
  RETURN_IF_ERROR(CheckPlain(contents));
  RETURN_IF_ERROR(CheckSize(contents, max_bytes));
  RETURN_IF_ERROR(CheckChecksums(contents, view));
  const bool is_list = IsList(contents);
  std::vector<NamedTensor> tensors;
  for (const FileTensor& tensor : contents.tensors) {
    ASSIGN_OR_RETURN(std::string values, ValuesOf(contents, view, tensor));
    tensors.push_back(
        {is_list ? "" : tensor.key, {tensor.spec, std::move(values)}});
  }
  return tensors;
}

absl::StatusOr<std::string> WriteTensorFile(
    absl::Span<const backend::ModelOutput> tensors, FileFormat format) {
  Manifest manifest;
  absl::flat_hash_map<Digest, absl::string_view> bytes;
  absl::flat_hash_map<Digest, uint32_t> checksums;
  for (const backend::ModelOutput& output : tensors) {
    const store::Blob blob = MakeBlob(output.tensor.bytes);
    bytes[blob.digest] = output.tensor.bytes;
    checksums[blob.digest] = blob.crc32;
    manifest.entries.push_back({.key = output.name,
                                .spec = output.tensor.spec,
                                .digest = blob.digest});
  }
  const auto crc32_of = [&](const Digest& digest) -> absl::StatusOr<uint32_t> {
    return checksums.at(digest);
  };
  ASSIGN_OR_RETURN(const format::FileLayout layout,
                   LayoutFile(manifest, format, crc32_of));
  std::string file;
  file.reserve(layout.num_bytes);
  for (const format::Segment& segment : layout.segments) {
    absl::StrAppend(&file,
                    segment.is_blob ? bytes.at(segment.blob) : segment.literal);
  }
  return file;
}

}  // namespace warmstart::service
