// ArchitectureRegistry: every architecture that can be named, built in or
// registered at run time.

#ifndef WARMSTART_SERVER_SERVICE_ARCHITECTURE_REGISTRY_H_
#define WARMSTART_SERVER_SERVICE_ARCHITECTURE_REGISTRY_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "server/model/architecture.h"
#include "server/store/store.h"
#include "server/torch/model_architecture.h"

namespace warmstart::service {

using ModelPtr = std::shared_ptr<const backend::ModelArchitecture>;

struct ModelPage {
  std::vector<ModelPtr> models;  // built-in ones first, then by name
  std::string next_page_token;
};

// Thread-safe.
class ArchitectureRegistry {
 public:
  // Schemas that are cached have at most so many entries together: some 40 MB.
  static constexpr size_t kMaxCachedEntries = 200'000;

  // `store` keeps what is registered, and must outlive the registry.
  ArchitectureRegistry(
      store::Store& store,
      std::vector<std::unique_ptr<backend::ModelArchitecture>> built_in,
      size_t max_cached_entries = kMaxCachedEntries);

  // Takes "architectures/{architecture}" and "{architecture}". `field` is the
  // request's, for the message.
  //   INVALID_ARGUMENT  the text cannot be a name
  //   NOT_FOUND         no such architecture; the message lists those built in
  absl::StatusOr<ModelPtr> Find(absl::string_view name,
                                absl::string_view field = "architecture")
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Registering the same schema again is no error.
  //   INVALID_ARGUMENT  ValidateArchitecture refuses it, or it is too large
  //   ALREADY_EXISTS    the name belongs to another schema or is built in
  absl::StatusOr<ModelPtr> Register(Architecture architecture);

  // INVALID_ARGUMENT for a page token that this server did not give.
  absl::StatusOr<ModelPage> List(int page_size, const std::string& page_token);

  //   NOT_FOUND            no such architecture
  //   FAILED_PRECONDITION  it is built in, or checkpoints name it and `force`
  //                        is not set
  absl::Status Delete(absl::string_view name, bool force)
      ABSL_LOCKS_EXCLUDED(mutex_);

  bool IsBuiltIn(const std::string& name) const {
    return built_in_.contains(name);
  }

 private:
  // Caches what was read when `deletions_` had the value given.
  void Remember(const std::string& id, const ModelPtr& model,
                uint64_t deletions) ABSL_LOCKS_EXCLUDED(mutex_);

  store::Store& store_;
  const size_t max_cached_entries_;
  std::map<std::string, ModelPtr> built_in_;
  absl::Mutex mutex_;
  // Registered architectures that were used, so that a request does not read
  // and check the schema again. Dropped whole when it grows too large.
  std::map<std::string, ModelPtr> cache_ ABSL_GUARDED_BY(mutex_);
  size_t cached_entries_ ABSL_GUARDED_BY(mutex_) = 0;
  // How many there were. What was read from the store before one of them must
  // not be cached after it.
  uint64_t deletions_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_ARCHITECTURE_REGISTRY_H_
