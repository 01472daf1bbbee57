// Sequential.

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/torch/declared/layer_table.h"

namespace warmstart::backend::declared {
namespace {

// A child gets one tensor; it has to do with that.
absl::Status CheckTakesOne(const Layer& layer, const ModuleDeclaration& child,
                           const std::string& place) {
  int required = 0;
  for (const InputPort& port : layer.inputs) required += port.required ? 1 : 0;
  if (required <= 1 || child.type == "MultiheadAttention") {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(place, ".type: ", child.type, " takes ", required,
                   " inputs, a Sequential passes one on"));
}

// The tensors that a child gets where one is passed to it. Attention attends
// from a tensor to itself.
Tensors Alone(const Layer& layer, const at::Tensor& tensor) {
  Tensors inputs(layer.inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (layer.inputs[i].required) inputs[i] = tensor;
  }
  return inputs;
}

absl::StatusOr<std::vector<Layer>> MakeChildren(const ModuleDeclaration& module,
                                                Scope& scope,
                                                const Site& site) {
  std::vector<Layer> layers;
  std::set<std::string> names;
  for (size_t i = 0; i < module.children.size(); ++i) {
    const ModuleDeclaration& child = module.children[i];
    const std::string place = absl::StrCat(site.place, ".children[", i, "]");
    const std::string name = child.name.empty() ? absl::StrCat(i) : child.name;
    if (name.find('.') != std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat(place, ".name: '", name, "' has a dot"));
    }
    if (!names.insert(name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(place, ".name: '", name, "' is there already"));
    }
    ASSIGN_OR_RETURN(Layer layer,
                     MakeChildLayer(child, name, scope,
                                    {.place = place,
                                     .is_first = site.is_first && i == 0,
                                     .depth = site.depth + 1}));
    RETURN_IF_ERROR(CheckTakesOne(layer, child, place));
    layers.push_back(std::move(layer));
  }
  return layers;
}

absl::StatusOr<Layer> MakeSequential(Options& options, Scope& scope,
                                     const Site& site) {
  RETURN_IF_ERROR(options.Done());
  ASSIGN_OR_RETURN(const std::vector<Layer> layers,
                   MakeChildren(options.module(), scope, site));
  return TensorLayer([layers](const Pass& pass, const at::Tensor& input) {
    at::Tensor tensor = input;
    for (const Layer& layer : layers) {
      tensor = layer.forward(pass, Alone(layer, tensor))[0];
    }
    return tensor;
  });
}

}  // namespace

void AddContainerLayers(LayerTable& table) {
  table["Sequential"] = {.make = MakeSequential, .has_children = true};
}

}  // namespace warmstart::backend::declared
