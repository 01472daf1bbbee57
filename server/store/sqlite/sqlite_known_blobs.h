// SqliteKnownBlobs: rows of blobs that a commit found, for those after it. A
// warm start names the tensors of its source again, and each digest that is
// looked up is a page of its own.

#ifndef WARMSTART_SERVER_STORE_SQLITE_SQLITE_KNOWN_BLOBS_H_
#define WARMSTART_SERVER_STORE_SQLITE_SQLITE_KNOWN_BLOBS_H_

#include <cstddef>
#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "server/model/digest.h"

namespace warmstart::store {

// Of the connection that writes, and none that is damaged. What is known holds
// for as long as no blob is removed or found to be damaged, and no transaction
// rolled back; Forget is to be called for all three.
class SqliteKnownBlobs {
 public:
  struct Row {
    int64_t id = 0;
    int64_t num_bytes = 0;
  };

  // Null for a blob that is not known; good until the next call.
  const Row* Find(const Digest& digest) const {
    const auto found = rows_.find(digest);
    return found == rows_.end() ? nullptr : &found->second;
  }

  void Add(const Digest& digest, Row row) {
    if (rows_.size() == kMaxRows) rows_.clear();
    rows_.emplace(digest, row);
  }

  void Forget() { rows_.clear(); }

 private:
  static constexpr size_t kMaxRows = size_t{1} << 16;  // some 4 MiB

  absl::flat_hash_map<Digest, Row> rows_;
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_SQLITE_SQLITE_KNOWN_BLOBS_H_
