// FreshTensors: a partial load whose new values go into the store.

#ifndef WARMSTART_SERVER_SERVICE_FRESH_TENSORS_H_
#define WARMSTART_SERVER_SERVICE_FRESH_TENSORS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/model/architecture.h"
#include "server/model/manifest.h"
#include "server/planner/plan.h"
#include "server/store/store.h"
#include "server/torch/device.h"
#include "server/torch/model_architecture.h"

namespace warmstart::service {

// What a model is made of. All of it is borrowed for the call.
struct ModelLoad {
  const backend::ModelArchitecture* model = nullptr;
  backend::Device device;
  uint64_t seed = 0;  // of fresh values
  // One for each entry of the architecture, in its order.
  absl::Span<const planner::Assignment> assignments;
  // The manifests that the assignments' SourceOps refer to.
  absl::Span<const Manifest* const> sources;
  // Whether values are counted that are loaded unchanged, too: it costs reading
  // every byte of them, which else are only referred to.
  bool count_unchanged = false;
};

struct LoadedModel {
  Manifest manifest;
  // Of each entry; zeros for what is initialised and what was not counted.
  std::vector<backend::LoadCounts> counts;
};

// The assignments of a model that is all fresh.
std::vector<planner::Assignment> FreshAssignments(const Architecture& schema);

// Makes the model, in `draft`, which gets the values that the store does not
// have yet (initialised, cast, computed); others are only referred to. Entries
// that are tied, and have the same assignment, are made once.
// Errors are those of ModelArchitecture::PartialLoad and of the store, and
//   ABORTED             a source's tensor was deleted meanwhile
//   RESOURCE_EXHAUSTED  the new tensors do not fit on the disk, or in memory
absl::StatusOr<LoadedModel> LoadModel(const ModelLoad& load,
                                      store::Store& store, store::Draft& draft);

// Turns the device that a request names ("" for the default) into one;
// FAILED_PRECONDITION, with a reason, where it is not there.
absl::StatusOr<backend::Device> ResolveRequestDevice(
    absl::string_view requested, absl::string_view default_device);

// The seed that the request gives, or one from the operating system's
// generator.
uint64_t SeedOrRandom(std::optional<uint64_t> seed);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_FRESH_TENSORS_H_
