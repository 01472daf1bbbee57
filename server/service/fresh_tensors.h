// FreshTensors: a partial load whose new values go into the store.

#ifndef WARMSTART_SERVER_SERVICE_FRESH_TENSORS_H_
#define WARMSTART_SERVER_SERVICE_FRESH_TENSORS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "server/model/manifest.h"
#include "server/store/store.h"
#include "server/torch/device.h"
#include "server/torch/model_architecture.h"

namespace warmstart::service {

// A tensor of the store that a target entry is loaded from.
struct LoadedTensor {
  ManifestEntry entry;
  DType dtype = DType::kFloat32;  // of the result
};

// Makes the manifest of a model of `model`'s architecture: sources[i], where it
// is set, supplies entry i; the others are initialised from `seed`. Values that
// the store does not have yet (initialised, cast) are computed on `device`, in
// the scratch space of `draft`, and added to it; others are only referred to.
// Errors are those of ModelArchitecture::PartialLoad and of the store, and
//   ABORTED             a source's tensor was deleted meanwhile
//   RESOURCE_EXHAUSTED  the new tensors do not fit on the disk, or in memory
absl::StatusOr<Manifest> LoadModel(
    const backend::ModelArchitecture& model, const backend::Device& device,
    uint64_t seed, const std::vector<std::optional<LoadedTensor>>& sources,
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
