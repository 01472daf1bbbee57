// MakeDeclaredArchitecture.

#include <string>
#include <utility>
#include <vector>

#include "server/base/status_macros.h"
#include "server/torch/computation.h"
#include "server/torch/declared/blueprint.h"
#include "server/torch/declared/layer.h"
#include "server/torch/declared/layer_table.h"
#include "server/torch/model_architecture.h"
#include "server/torch/partial_load.h"
#include "server/torch/runnable_model.h"

namespace warmstart::backend {
namespace declared {
namespace {

// PyTorch's matmul takes other kernels, which round otherwise, where a weight
// requires a gradient; in Python parameters do, under no_grad() too.
void MarkParameters(const Architecture& schema,
                    std::vector<at::Tensor>& state) {
  for (size_t i = 0; i < state.size(); ++i) {
    if (schema.entries[i].kind == EntryKind::kParameter &&
        state[i].is_floating_point()) {
      // Detached: a view has what its base has.
      state[i] = state[i].detach().requires_grad_(true);
    }
  }
}

class LayerComputation : public Computation {
 public:
  LayerComputation(std::shared_ptr<const Layer> layer,
                   std::vector<at::Tensor> state)
      : layer_(std::move(layer)), state_(std::move(state)) {}

  const std::vector<InputPort>& inputs() const override {
    return layer_->inputs;
  }
  const std::vector<std::string>& outputs() const override {
    return layer_->outputs;
  }

  std::vector<at::Tensor> Run(const std::vector<at::Tensor>& inputs,
                              std::string* place) const override {
    return layer_->forward(Pass(state_, place), inputs);
  }

 private:
  const std::shared_ptr<const Layer> layer_;
  const std::vector<at::Tensor> state_;
};

class DeclaredArchitecture : public ModelArchitecture {
 public:
  DeclaredArchitecture(Architecture schema, std::vector<FreshDraw> draws,
                       Layer layer)
      : schema_(std::move(schema)),
        draws_(std::move(draws)),
        layer_(std::make_shared<const Layer>(std::move(layer))) {}

  const Architecture& schema() const override { return schema_; }
  bool has_forward() const override { return true; }

  absl::Status PartialLoad(const Device& device, uint64_t seed,
                           absl::Span<const LoadEntry> entries,
                           SourceTensors sources) const override {
    return RunPartialLoad(schema_, {.constructor = &draws_}, device, seed,
                          entries, sources);
  }

  absl::StatusOr<std::shared_ptr<const RunnableModel>> Load(
      const Device& device,
      absl::Span<const StateTensor> state) const override {
    return MakeRunnableModel(schema_, device, state,
                             [this](std::vector<at::Tensor> tensors) {
                               MarkParameters(schema_, tensors);
                               return std::make_shared<const LayerComputation>(
                                   layer_, std::move(tensors));
                             });
  }

 private:
  const Architecture schema_;
  const std::vector<FreshDraw> draws_;
  const std::shared_ptr<const Layer> layer_;
};

}  // namespace
}  // namespace declared

absl::StatusOr<std::unique_ptr<ModelArchitecture>> MakeDeclaredArchitecture(
    std::string name, int64_t version, const ModuleDeclaration& module) {
  declared::Blueprint blueprint;
  ASSIGN_OR_RETURN(declared::Layer layer,
                   declared::MakeRootLayer(module, blueprint));
  Architecture schema;
  schema.name = std::move(name);
  schema.version = version;
  schema.entries = std::move(blueprint.entries);
  schema.modules = std::move(blueprint.modules);
  schema.module = module;
  RETURN_IF_ERROR(ValidateArchitecture(schema));
  return std::make_unique<declared::DeclaredArchitecture>(
      std::move(schema), std::move(blueprint.draws), std::move(layer));
}

}  // namespace warmstart::backend
