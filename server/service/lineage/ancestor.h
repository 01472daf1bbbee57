// Ancestor: a checkpoint that tensors passed through, with all that the catalog
// knows of how it was made.

#ifndef WARMSTART_SERVER_SERVICE_LINEAGE_ANCESTOR_H_
#define WARMSTART_SERVER_SERVICE_LINEAGE_ANCESTOR_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/model/manifest.h"
#include "server/model/report.h"
#include "server/model/resource_name.h"
#include "server/service/context.h"
#include "server/service/lineage/lineage.h"
#include "server/service/model_cache.h"
#include "server/service/origin.h"
#include "server/store/store.h"

namespace warmstart::service {

// A tensor by its name.
struct AncestorTensor {
  CheckpointName checkpoint;
  std::string key;
};

class Ancestor {
 public:
  // NOT_FOUND where it was deleted meanwhile; DATA_LOSS where what is kept of
  // it cannot be read.
  static absl::StatusOr<Ancestor> Read(const Context& context,
                                       store::Checkpoint record);

  const store::Checkpoint& record() const { return record_; }
  const Origin& origin() const { return origin_; }
  const Manifest& manifest() const { return *manifest_; }

  // How `key` was made, without LineageStep::sources; those go to `sources`,
  // each once. DATA_LOSS where the checkpoint has no such key.
  absl::StatusOr<LineageStep> StepOf(
      absl::string_view key, std::vector<AncestorTensor>* sources) const;

 private:
  Ancestor() = default;

  // Each describes the tensor at `position`.
  void Describe(const UploadOrigin& origin, size_t position, LineageStep* step,
                std::vector<AncestorTensor>* sources) const;
  void Describe(const InitializationOrigin& origin, size_t position,
                LineageStep* step, std::vector<AncestorTensor>* sources) const;
  void Describe(const WarmStartOrigin& origin, size_t position,
                LineageStep* step, std::vector<AncestorTensor>* sources) const;
  std::optional<AncestorTensor> InitialValueOf(size_t position) const;
  const ArchitectureEntry* SchemaEntry(size_t position) const;

  store::Checkpoint record_;
  Origin origin_;
  std::shared_ptr<const Manifest> manifest_;
  absl::flat_hash_map<absl::string_view, size_t> index_;  // of its keys
  std::vector<TargetReport> report_;  // of a warm start, in manifest order
  ModelPtr model_;  // null where its architecture was deleted, or is not needed
};

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_LINEAGE_ANCESTOR_H_
