// Reads one checkpoint file, whatever its format; and the readers that it
// chooses from, one for each format.

#ifndef WARMSTART_SERVER_FORMAT_READ_ONE_H_
#define WARMSTART_SERVER_FORMAT_READ_ONE_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/format/file_contents.h"

namespace warmstart::format {

// Recognises the format by content. FileStorage::file is 0 in the result. A file
// without tensors is no error here: a shard may have none.
//
// INVALID_ARGUMENT for anything malformed or unknown; the message starts with
// the file's name.
absl::StatusOr<FileContents> ReadOne(const FileView& file);

// INVALID_ARGUMENT when `contents` has no tensor, saying what was skipped.
absl::Status CheckHasTensors(const FileContents& contents);

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_READ_ONE_H_
