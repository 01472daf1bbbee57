// ReadVerifier: whether bytes that were read are those that their digest names.
// A disk may give other bytes than were written to it, without an error.

#ifndef WARMSTART_SERVER_STORE_READ_VERIFIER_H_
#define WARMSTART_SERVER_STORE_READ_VERIFIER_H_

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "server/store/catalog.h"
#include "server/store/store.h"

namespace warmstart::store {

// Thread-safe. Packs never change, so what was found intact in one is not
// looked at again, as long as this object lives: a SHA-256 costs about as much
// as sending the bytes. It remembers 16 bytes for each such blob, and forgets
// all of them where they become `capacity`.
class ReadVerifier {
 public:
  static constexpr size_t kCapacity = size_t{1} << 22;

  explicit ReadVerifier(VerifyReads mode, size_t capacity = kCapacity)
      : mode_(mode), capacity_(capacity) {}

  // DATA_LOSS where `bytes`, read at `location`, have another digest. Bytes
  // that the catalog keeps are few, and looked at each time.
  absl::Status Check(const BlobLocation& location, absl::string_view bytes)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Of a pack that was removed, or that is to be looked at again.
  void Forget(const PackId& pack) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using Range = std::pair<int64_t, int64_t>;  // offset and size

  bool IsKnown(const BlobLocation& location) ABSL_LOCKS_EXCLUDED(mutex_);
  void Remember(const BlobLocation& location) ABSL_LOCKS_EXCLUDED(mutex_);

  const VerifyReads mode_;
  const size_t capacity_;
  absl::Mutex mutex_;
  absl::flat_hash_map<PackId, absl::flat_hash_set<Range>> intact_
      ABSL_GUARDED_BY(mutex_);
  size_t num_intact_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_READ_VERIFIER_H_
