// ArchitectureRegistry: every architecture that can be named, built in or
// registered at run time.

#ifndef WARMSTART_SERVER_SERVICE_ARCHITECTURE_REGISTRY_H_
#define WARMSTART_SERVER_SERVICE_ARCHITECTURE_REGISTRY_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/model/architecture.h"
#include "server/service/model_cache.h"
#include "server/store/store.h"
#include "server/torch/model_architecture.h"

namespace warmstart::service {

struct RegisterOptions {
  // The checkpoint that has the tensors of the StoredInits: "checkpoints/{id}",
  // "aliases/{alias}"; "" where there are none.
  std::string initial_values;
  // Checks, and answers with what would be, but stores nothing.
  bool validate_only = false;
};

struct ListedArchitecture {
  Architecture schema;
  bool built_in = false;
  bool has_forward = false;
};

struct ArchitectureListing {
  std::vector<ListedArchitecture> architectures;
  std::string next_page_token;
};

// Names are "{architecture}" and "{architecture}/versions/{version}", with and
// without "architectures/" before them. Thread-safe.
class ArchitectureRegistry {
 public:
  // Schemas that are cached have at most so many entries together: some 40 MB.
  static constexpr size_t kMaxCachedEntries = 200'000;

  // `store` keeps what is registered, and must outlive the registry.
  ArchitectureRegistry(
      store::Store& store,
      std::vector<std::unique_ptr<backend::ModelArchitecture>> built_in,
      size_t max_cached_entries = kMaxCachedEntries);

  // A name without a version means the newest. `field` is the request's, for
  // the message.
  //   INVALID_ARGUMENT  the text cannot be a name
  //   NOT_FOUND         no such architecture; the message lists those built in
  absl::StatusOr<ModelPtr> Find(absl::string_view name,
                                absl::string_view field = "architecture");

  // Makes `architecture` the next version of its name, unless there is a
  // version that is the same: then that is the answer. A version in the name
  // does not count. One that is declared as a module gets the module's entries.
  //   INVALID_ARGUMENT  ValidateArchitecture refuses it, it is too large, its
  //                     module or its initial values do not fit
  //   NOT_FOUND         no such checkpoint of initial values
  //   ALREADY_EXISTS    the name is built in
  absl::StatusOr<ModelPtr> Register(Architecture architecture,
                                    const RegisterOptions& options = {});

  // Built-in ones first, then the newest version of each name, by name.
  // INVALID_ARGUMENT for a page token that this server did not give.
  absl::StatusOr<ArchitectureListing> List(int page_size,
                                           const std::string& page_token);
  // All versions of one, the newest first; NOT_FOUND where there is none.
  absl::StatusOr<ArchitectureListing> ListVersions(
      absl::string_view name, int page_size, const std::string& page_token);

  // Deletes a version or, without one, all of them.
  //   NOT_FOUND            no such architecture
  //   FAILED_PRECONDITION  it is built in, or checkpoints name it and `force`
  //                        is not set
  absl::Status Delete(absl::string_view name, bool force);

  bool IsBuiltIn(const std::string& name) const {
    return built_in_.contains(name);
  }

 private:
  absl::Status NotFound(const ArchitectureName& name) const;

  store::Store& store_;
  std::map<std::string, ModelPtr> built_in_;
  ModelCache cache_;
};

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_ARCHITECTURE_REGISTRY_H_
