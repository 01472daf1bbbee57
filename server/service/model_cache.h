// ModelCache: registered architectures that were used, so that a request does
// not read and check the schema again.

#ifndef WARMSTART_SERVER_SERVICE_MODEL_CACHE_H_
#define WARMSTART_SERVER_SERVICE_MODEL_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/model/resource_name.h"
#include "server/torch/model_architecture.h"

namespace warmstart::service {

using ModelPtr = std::shared_ptr<const backend::ModelArchitecture>;

// Thread-safe.
class ModelCache {
 public:
  // Schemas that are kept have at most so many entries together.
  explicit ModelCache(size_t max_entries) : max_entries_(max_entries) {}

  struct Lookup {
    ModelPtr model;         // null where it is not here
    uint64_t revision = 0;  // for Remember
  };
  // Without a version: the newest, if it is known which that is.
  Lookup Find(const ArchitectureName& name) const ABSL_LOCKS_EXCLUDED(mutex_);

  // Keeps `model`, which was read from the store as `name` after a Find that
  // told `revision`; does nothing where a name was forgotten since.
  void Remember(const ArchitectureName& name, const ModelPtr& model,
                uint64_t revision) ABSL_LOCKS_EXCLUDED(mutex_);

  // To be called once the store has deleted a version or, without one, all.
  void Forget(const ArchitectureName& name) ABSL_LOCKS_EXCLUDED(mutex_);
  // To be called once the store may have a new version.
  void ForgetNewest(const std::string& id) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using Key = std::pair<std::string, int64_t>;  // name and version

  const size_t max_entries_;
  mutable absl::Mutex mutex_;
  // Dropped whole when there are too many.
  std::map<Key, ModelPtr> models_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int64_t> newest_ ABSL_GUARDED_BY(mutex_);
  size_t num_entries_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t revision_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_MODEL_CACHE_H_
