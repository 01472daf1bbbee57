// A RunnableModel that is a torch::nn module.

#ifndef WARMSTART_SERVER_TORCH_RUNNABLE_MODEL_H_
#define WARMSTART_SERVER_TORCH_RUNNABLE_MODEL_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/model/architecture.h"
#include "server/torch/model_architecture.h"
#include "server/torch/module_architecture.h"

namespace warmstart::backend {

// Gives `network` the tensors of `state` on `device`; errors are those of
// ModelArchitecture::Load. `schema` is the network's.
absl::StatusOr<std::shared_ptr<const RunnableModel>> MakeRunnableModel(
    const Architecture& schema, std::shared_ptr<Network> network,
    const Device& device, absl::Span<const StateTensor> state);

}  // namespace warmstart::backend

#endif  // WARMSTART_SERVER_TORCH_RUNNABLE_MODEL_H_
