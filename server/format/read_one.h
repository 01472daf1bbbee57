// ReadOne: dispatch by content, for one checkpoint file.

#ifndef WARMSTART_SERVER_FORMAT_READ_ONE_H_
#define WARMSTART_SERVER_FORMAT_READ_ONE_H_

#include "absl/status/statusor.h"
#include "server/format/file_contents.h"

namespace warmstart::format {

// Recognises the format of one file, which is no index, by its content and
// reads it. FileStorage::file is 0 throughout. INVALID_ARGUMENT for anything
// malformed: the file's name, which is put before the message here and by no
// single format's reader, then what is wrong with the byte offset or the key.
// A file without tensors is OK here (one shard of a set may be empty);
// ReadFiles refuses it.
absl::StatusOr<FileContents> ReadOne(const FileView& file);

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_READ_ONE_H_
