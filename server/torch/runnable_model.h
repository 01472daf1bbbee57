// A RunnableModel that runs a Computation.

#ifndef WARMSTART_SERVER_TORCH_RUNNABLE_MODEL_H_
#define WARMSTART_SERVER_TORCH_RUNNABLE_MODEL_H_

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/model/architecture.h"
#include "server/torch/computation.h"
#include "server/torch/model_architecture.h"

namespace warmstart::backend {

// Makes the computation of a model from its tensors, which are on their device
// and in the schema's order. They may lie in memory that cannot be written.
using BindState = absl::FunctionRef<std::shared_ptr<const Computation>(
    std::vector<at::Tensor> state)>;

// Puts `state` on `device`; errors are those of ModelArchitecture::Load.
absl::StatusOr<std::shared_ptr<const RunnableModel>> MakeRunnableModel(
    const Architecture& schema, const Device& device,
    absl::Span<const StateTensor> state, BindState bind);

}  // namespace warmstart::backend

#endif  // WARMSTART_SERVER_TORCH_RUNNABLE_MODEL_H_
