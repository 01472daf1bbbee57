// Finds files in a tar archive: POSIX ustar, pax and GNU, as Python's tarfile
// writes them. Nothing is extracted.

#ifndef WARMSTART_SERVER_FORMAT_TORCH_TAR_ARCHIVE_H_
#define WARMSTART_SERVER_FORMAT_TORCH_TAR_ARCHIVE_H_

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace warmstart::format {

// Whether `bytes` start with a tar header: a glance, no check.
bool LooksLikeTar(absl::string_view bytes);

// The regular files by name; names and data are parts of `bytes`.
// INVALID_ARGUMENT, with the byte offset, for a broken header or checksum, a
// file that is cut short, and a name that comes twice.
absl::StatusOr<absl::flat_hash_map<absl::string_view, absl::string_view>>
ReadTar(absl::string_view bytes);

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_TORCH_TAR_ARCHIVE_H_
