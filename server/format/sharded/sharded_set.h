// Reads a checkpoint that is spread over several files.

#ifndef WARMSTART_SERVER_FORMAT_SHARDED_SHARDED_SET_H_
#define WARMSTART_SERVER_FORMAT_SHARDED_SHARDED_SET_H_

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/format/file_contents.h"

namespace warmstart::format {

// `files` are shards of one format, in any order, with or without their index.
//
// With an index, exactly the keys of its weight_map are read, each from the
// shard that it names; what else the shards hold is skipped and told. Keys come
// shard after shard, in the order in which the index first mentions the shards,
// and within a shard in the shard's own order, which is the model's (an index
// is often sorted by name). Without one, the shards are joined in the order of
// `files`.
//
// Subtrees, module versions and metadata are joined; of two values for the same
// name the index's is taken, then that of the first shard that has one.
//
// INVALID_ARGUMENT, naming the file and the key, when two files have the same
// name; when there are two indexes; when a shard is not there; when a file is
// not named by the index; when a key is not in its shard, or in two; when
// formats differ; when a shard or the index is malformed.
absl::StatusOr<FileContents> ReadShardedSet(absl::Span<const FileView> files);

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_SHARDED_SHARDED_SET_H_
