// Reads checkpoints from untrusted bytes: .pt (zip, legacy, tar), .safetensors,
// and sharded sets of either.
//
// Files are data, never programs: nothing in a file is ever called, imported or
// looked up. Memory and time are bounded by the size of the files. All
// functions are pure and thread-safe.

#ifndef WARMSTART_SERVER_FORMAT_READER_H_
#define WARMSTART_SERVER_FORMAT_READER_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/format/file_contents.h"

namespace warmstart::format {

// Recognises the format by content, not by name. `files` is one checkpoint
// file, or a sharded set: shards of one format, with or without their index
// (*.index.json). With an index, exactly the keys of its weight_map are read,
// each from the shard that it names; a missing or unnamed shard is an error.
// Without one, the shards' keys are joined.
//
// INVALID_ARGUMENT for anything malformed, with the byte offset or the key and
// the file's name; also when a file holds no tensor at all, with what was
// skipped and why.
absl::StatusOr<FileContents> ReadFiles(absl::Span<const FileView> files);

// Whether the values of `tensor` stand in its storage as the store keeps them:
// contiguous, row-major, little-endian. Then they are adopted in place.
bool IsContiguous(const FileContents& contents, const FileTensor& tensor);

// The bytes of a storage.
absl::string_view StorageBytes(absl::Span<const FileView> files,
                               const FileStorage& storage);

// Calls `sink` with the values of `tensor`, contiguous, row-major and
// little-endian, in pieces of at most a few MiB, in order; one call with the
// file's own bytes where IsContiguous. Stops at the first error of `sink` and
// returns it.
absl::Status ForEachPiece(
    const FileContents& contents, absl::Span<const FileView> files,
    const FileTensor& tensor,
    absl::FunctionRef<absl::Status(absl::string_view)> sink);

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_READER_H_
