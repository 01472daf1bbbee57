// ManifestCache: manifests that were read, the ones used last. A manifest never
// changes and a checkpoint's name is never used again, so what is in here is
// right for as long as the checkpoint is there.

#ifndef WARMSTART_SERVER_STORE_MANIFEST_CACHE_H_
#define WARMSTART_SERVER_STORE_MANIFEST_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "server/model/manifest.h"
#include "server/model/resource_name.h"

namespace warmstart::store {

// Thread-safe.
class ManifestCache {
 public:
  // When a read of a manifest began.
  enum class Ticket : uint64_t {};

  // Keeps manifests of about so many bytes together.
  explicit ManifestCache(size_t max_bytes) : max_bytes_(max_bytes) {}

  // Null where it is not in here.
  std::shared_ptr<const Manifest> Find(const CheckpointName& name)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Call before the read of a manifest that is to be added.
  Ticket BeginRead() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Adds what was read since; not where something was forgotten meanwhile, for
  // that may be what it is.
  void Add(const CheckpointName& name, std::shared_ptr<const Manifest> manifest,
           Ticket ticket) ABSL_LOCKS_EXCLUDED(mutex_);

  // Call when the checkpoint was deleted.
  void Forget(const CheckpointName& name) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Item {
    CheckpointName name;
    std::shared_ptr<const Manifest> manifest;
    size_t num_bytes;
  };
  using Items = std::list<Item>;

  void Remove(Items::iterator item) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t max_bytes_;
  mutable absl::Mutex mutex_;
  Items items_ ABSL_GUARDED_BY(mutex_);  // the one used last is first
  // By the ids of their names.
  absl::flat_hash_map<absl::string_view, Items::iterator> index_
      ABSL_GUARDED_BY(mutex_);
  size_t num_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t num_forgotten_ ABSL_GUARDED_BY(mutex_) = 0;
};

// About what it takes in memory.
size_t MemoryOf(const Manifest& manifest);

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_MANIFEST_CACHE_H_
