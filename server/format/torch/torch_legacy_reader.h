// What torch.save wrote before PyTorch 1.6, and writes still with
// _use_new_zipfile_serialization=False: pickles, then the raw storages.

#ifndef WARMSTART_SERVER_FORMAT_TORCH_TORCH_LEGACY_READER_H_
#define WARMSTART_SERVER_FORMAT_TORCH_TORCH_LEGACY_READER_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/format/file_contents.h"

namespace warmstart::format {

// Whether `bytes` look like such a file: a glance at the start, no check.
bool LooksLikeTorchLegacy(absl::string_view bytes);

// INVALID_ARGUMENT for a malformed file, with the byte offset or the key.
absl::StatusOr<FileContents> ReadTorchLegacy(const FileView& file);

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_TORCH_TORCH_LEGACY_READER_H_
