// Quota: how much the store holds, and whether more fits. It is kept up with
// every transaction of the catalog, so that asking costs nothing.

#ifndef WARMSTART_SERVER_STORE_POLICY_QUOTA_H_
#define WARMSTART_SERVER_STORE_POLICY_QUOTA_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace warmstart::store {

// 0 stands for no limit.
struct StoreLimits {
  int64_t max_bytes = 0;         // of what is stored and what is received
  int64_t max_checkpoints = 0;   // that are there at once
  int64_t max_upload_bytes = 0;  // of all files of one save
};

struct StoreUsage {
  // Of packs, whole, and of the tensors that lie in the catalog.
  int64_t stored_bytes = 0;
  // Of files and new tensors of saves in progress, and of uploads under way;
  // what was announced counts before it comes.
  int64_t receiving_bytes = 0;
  int64_t num_checkpoints = 0;
};

// What a transaction adds to what is stored; negative where it takes away.
struct UsageChange {
  int64_t stored_bytes = 0;
  int64_t num_checkpoints = 0;
};

// Thread-safe. Its errors are RESOURCE_EXHAUSTED with the reason
// QUOTA_EXCEEDED, and name the limit.
class Quota {
 public:
  // Room for what one save or upload receives, until that ends. Not
  // thread-safe; the quota outlives it.
  class Reservation {
   public:
    explicit Reservation(Quota& quota) : quota_(quota) {}
    ~Reservation();
    Reservation(const Reservation&) = delete;
    Reservation& operator=(const Reservation&) = delete;

    // Makes room for `num_bytes` more, or changes nothing.
    absl::Status Grow(int64_t num_bytes);
    // The same for what is there already, whatever the limit.
    void Insist(int64_t num_bytes);
    // Takes over room for so many bytes from `other`, or as much as that has.
    void TakeFrom(Reservation& other, int64_t num_bytes);

   private:
    friend class Quota;

    void Add(int64_t num_bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(quota_.mutex_);

    Quota& quota_;
    int64_t num_bytes_ = 0;
  };

  explicit Quota(const StoreLimits& limits) : limits_(limits) {}

  const StoreLimits& limits() const { return limits_; }
  StoreUsage usage() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Whether a save may bring `num_bytes` of files.
  absl::Status CheckUpload(int64_t num_bytes) const;
  // Whether there may be one more checkpoint. Only a transaction that passes
  // CheckChange can be sure of it; this spares the others their work.
  absl::Status CheckOneMore() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Whether a transaction may be committed. What is stored takes the place of
  // `own`, which may be null. A change that adds nothing always may.
  absl::Status CheckChange(const UsageChange& change,
                           const Reservation* own) const
      ABSL_LOCKS_EXCLUDED(mutex_);
  // It was committed; `own` is empty from here on.
  void Apply(const UsageChange& change, Reservation* own)
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  absl::Status CheckCheckpoints(int64_t num_more) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // `receiving` is what others receive.
  absl::Status CheckBytes(int64_t num_more, int64_t receiving) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const StoreLimits limits_;
  mutable absl::Mutex mutex_;
  StoreUsage usage_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_POLICY_QUOTA_H_
