// Lineage: how each tensor of a checkpoint was made, through all checkpoints
// that it was made from, back to the uploads and initializers. It is read from
// the origins, reports and manifests that the catalog keeps; no tensor is read.

#ifndef WARMSTART_SERVER_SERVICE_LINEAGE_LINEAGE_H_
#define WARMSTART_SERVER_SERVICE_LINEAGE_LINEAGE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/model/report.h"
#include "server/model/resource_name.h"
#include "server/model/tensor_spec.h"
#include "server/service/context.h"
#include "server/service/origin.h"
#include "server/store/store.h"

namespace warmstart::service {

enum class LineageKind {
  kUploaded,     // it was in an uploaded file
  kInitialized,  // its values were fresh
  kLoaded,       // loaded, or computed, from its sources
  kDeleted,      // its checkpoint was deleted since
  kCut,          // a limit was reached here
};

// A tensor of a checkpoint, and how it was made. What a kind does not have is
// empty.
struct LineageStep {
  CheckpointName checkpoint;
  std::string key;
  LineageKind kind = LineageKind::kCut;
  // The rest is as in the TargetReport of the warm start that made it.
  std::optional<TargetOutcome> outcome;
  std::optional<TensorSpec> spec;
  std::vector<int32_t> sources;  // positions in TensorLineage::steps
  std::vector<std::string> rules;
  std::string derivation;
  std::string adaptation;
  std::string initializer;
  std::optional<uint64_t> seed;  // of the fresh values
  std::string tied_to;
};

struct TensorLineage {
  // Each tensor once. The first is the tensor itself; then those that it was
  // made from, and so on: a step comes after all that are nearer to the first.
  std::vector<LineageStep> steps;
};

// A checkpoint that a step names.
struct LineageCheckpoint {
  CheckpointName name;
  // None where it was deleted, or not read because of a limit.
  std::optional<store::Checkpoint> record;  // without its report
  std::optional<Origin> origin;
  bool deleted = false;
};

struct Lineage {
  CheckpointName checkpoint;  // what the handle stood for
  std::vector<TensorLineage> tensors;
  std::vector<LineageCheckpoint> checkpoints;  // each once, in order of use
  std::optional<size_t> next;  // LineageOptions::first of the next page
};

// What an answer may hold, and what is held for it in memory.
struct LineageLimits {
  size_t steps_per_tensor = 1000;
  size_t steps_per_page = 50'000;  // reached, the page ends
  // Of the ancestors that are read, all together.
  int64_t keys = int64_t{1} << 20;
};

struct LineageOptions {
  std::vector<std::string> keys;  // globs; none stands for all
  size_t first = 0;               // position in the manifest
  size_t page_size = 1000;        // most tensors of a page
  LineageLimits limits;
};

// `handle` is "checkpoints/{id}" or "aliases/{alias}".
//   INVALID_ARGUMENT  a handle, glob or `first` that cannot be used; the fields
//                     are "name", "keys" and "page_token"
//   NOT_FOUND         no such checkpoint or alias
//   DATA_LOSS         what the catalog keeps of a checkpoint cannot be read
absl::StatusOr<Lineage> TraceLineage(const Context& context,
                                     absl::string_view handle,
                                     const LineageOptions& options);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_LINEAGE_LINEAGE_H_
