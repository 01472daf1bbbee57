// FileFormat: the formats that files are written in.

#ifndef WARMSTART_SERVER_SERVICE_FILE_FORMAT_H_
#define WARMSTART_SERVER_SERVICE_FILE_FORMAT_H_

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/format/writer.h"
#include "server/model/manifest.h"

namespace warmstart::service {

enum class FileFormat { kTorch, kSafetensors };

// FAILED_PRECONDITION, with a reason, for a dtype that the format lacks; else
// the errors of `crc32_of`.
absl::StatusOr<format::FileLayout> LayoutFile(const Manifest& manifest,
                                              FileFormat format,
                                              format::Crc32Of crc32_of);
absl::StatusOr<format::FileLayout> LayoutFile(
    absl::Span<const format::FilePart> parts, FileFormat format,
    format::Crc32Of crc32_of);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_FILE_FORMAT_H_
