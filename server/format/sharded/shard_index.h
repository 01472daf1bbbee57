// Reads the index of a sharded set, *.index.json:
//
//   {"metadata": {"total_size": 28}, "weight_map": {"fc.weight": "a.bin", ...}}

#ifndef WARMSTART_SERVER_FORMAT_SHARDED_SHARD_INDEX_H_
#define WARMSTART_SERVER_FORMAT_SHARDED_SHARD_INDEX_H_

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace warmstart::format {

struct ShardIndex {
  std::vector<std::string> shards;  // file names, in order of first mention
  absl::flat_hash_map<std::string, int> shard_of_key;  // into `shards`
  // The object "metadata", as JSON; "" where there is none.
  std::string metadata_json;
};

// Whether these bytes are an index, a JSON object, and no checkpoint. A
// safetensors file may start with "{" too, but then with the zeros of the
// header's length right after it.
bool IsShardIndex(absl::string_view bytes);

// INVALID_ARGUMENT, with the byte offset or the key, for what is no index, for
// keys that break CheckKey's rule, and for shards that are no plain file names.
// Members of the outer object that are not shown above are ignored.
absl::StatusOr<ShardIndex> ParseShardIndex(absl::string_view bytes);

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_SHARDED_SHARD_INDEX_H_
