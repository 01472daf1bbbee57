// Reads .safetensors files, as strictly as the format's own reader.
//
// On disk: 8 bytes, the header's length, little-endian; the header, a JSON
// object, {"key": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
// ..., "__metadata__": {"name": "text", ...}}, padded with spaces; the data.
// Offsets count from the start of the data and cover it without gap or overlap.

#ifndef WARMSTART_SERVER_FORMAT_SAFETENSORS_SAFETENSORS_READER_H_
#define WARMSTART_SERVER_FORMAT_SAFETENSORS_SAFETENSORS_READER_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "server/format/file_contents.h"

namespace warmstart::format {

// The limit of the format's own reader.
inline constexpr uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;

// The key that no tensor can have.
inline constexpr char kSafetensorsMetadataKey[] = "__metadata__";

// Tensors come in the order of their data, as safetensors.torch.load_file
// returns them. Those of types that are smaller than a byte (F4, F6) are
// skipped. INVALID_ARGUMENT, with a message of its own for each way in which a
// file can be malformed.
absl::StatusOr<FileContents> ReadSafetensors(const FileView& file);

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_SAFETENSORS_SAFETENSORS_READER_H_
