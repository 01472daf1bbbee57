// Writes checkpoints as .pt and .safetensors files.
//
// A written file is a list of segments: bytes that are given (headers, pickles,
// padding) and the values of tensors, by digest. So its size is known before a
// byte is read, it can be streamed from any offset, and the same manifest
// always gives the same bytes. All functions are pure and thread-safe.

#ifndef WARMSTART_SERVER_FORMAT_WRITER_H_
#define WARMSTART_SERVER_FORMAT_WRITER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/model/digest.h"
#include "server/model/manifest.h"

namespace warmstart::format {

// Either literal bytes, or the bytes of a blob (a tensor's values or a shared
// storage).
struct Segment {
  bool is_blob = false;
  std::string literal;    // where !is_blob
  Digest blob;            // where is_blob
  int64_t num_bytes = 0;  // of either
};

struct FileLayout {
  std::vector<Segment> segments;
  int64_t num_bytes = 0;  // of the whole file
};

// One of several checkpoints in one file, and its key there, which has no dots.
struct FilePart {
  std::string key;
  Manifest manifest;
};

// The CRC-32 of a blob, which zip archives record.
using Crc32Of = absl::FunctionRef<absl::StatusOr<uint32_t>(const Digest&)>;

// What torch.save(state_dict) writes: a zip whose pickle is an OrderedDict of
// the manifest's keys in their order, with _metadata where the manifest has
// module versions. torch.load reads it, with weights_only=True and mmap=True
// too. Entries with a StorageView share their storage again.
absl::StatusOr<FileLayout> LayoutTorchFile(const Manifest& manifest,
                                           Crc32Of crc32_of);

// What torch.save({key: state_dict, ...}) writes.
absl::StatusOr<FileLayout> LayoutTorchFile(absl::Span<const FilePart> parts,
                                           Crc32Of crc32_of);

// A .safetensors file. Entries stand in the manifest's order, but those of
// wider element types first, so that each tensor is aligned in a file that may
// have no gaps; the format cannot share storages, so each entry's values are
// written. FAILED_PRECONDITION, naming the key, for a dtype that safetensors
// lacks.
absl::StatusOr<FileLayout> LayoutSafetensorsFile(const Manifest& manifest);

// The same of several: the format has no nested dicts, so each key begins with
// that of its part and a dot.
absl::StatusOr<FileLayout> LayoutSafetensorsFile(
    absl::Span<const FilePart> parts);

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_WRITER_H_
