// DeferredRemovals: removes packs at once, or, while somebody holds them,
// later.

#ifndef WARMSTART_SERVER_STORE_LOCAL_DEFERRED_REMOVALS_H_
#define WARMSTART_SERVER_STORE_LOCAL_DEFERRED_REMOVALS_H_

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "server/store/pack_store.h"

namespace warmstart::store {

// Thread-safe. Outlives its holds.
class DeferredRemovals {
 public:
  using Remover = std::function<absl::Status(const PackId&)>;

  // `remove` is called by any thread, and by several at once.
  explicit DeferredRemovals(Remover remove) : remove_(std::move(remove)) {}

  // OK where the removal is put off.
  absl::Status Remove(const PackId& id) ABSL_LOCKS_EXCLUDED(mutex_);

  // What was put off.
  std::vector<PackId> Waiting() const ABSL_LOCKS_EXCLUDED(mutex_);

  // With the last hold's end, what was put off is done.
  std::unique_ptr<PackHold> Hold() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  class HoldImpl;

  bool PutOff(const PackId& id) ABSL_LOCKS_EXCLUDED(mutex_);
  void Release() ABSL_LOCKS_EXCLUDED(mutex_);

  const Remover remove_;
  mutable absl::Mutex mutex_;
  int num_holds_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<PackId> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_LOCAL_DEFERRED_REMOVALS_H_
