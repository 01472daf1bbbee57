// The types of layers that can be declared. A new one is an entry of its
// family's file.

#ifndef WARMSTART_SERVER_TORCH_DECLARED_LAYER_TABLE_H_
#define WARMSTART_SERVER_TORCH_DECLARED_LAYER_TABLE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "server/model/module_declaration.h"
#include "server/torch/declared/blueprint.h"
#include "server/torch/declared/layer.h"
#include "server/torch/declared/options.h"

namespace warmstart::backend::declared {

// Where a module stands in the declaration.
struct Site {
  std::string place;  // "module.children[2]"
  // Whether it is what the model's input goes into.
  bool is_first = true;
  int depth = 0;
};

// Makes the layer that `options` describe, whose parameters go into `scope`.
using MakeLayerFunction =
    std::function<absl::StatusOr<Layer>(Options&, Scope&, const Site&)>;

struct LayerType {
  MakeLayerFunction make;
  int64_t version = 1;        // as state_dict()._metadata has it
  bool has_children = false;  // whether it is declared with children
};

// A type without children.
template <typename Make>
LayerType Leaf(Make make, int64_t version = 1) {
  return {.make = [make = std::move(make)](
                      Options& options, Scope& scope,
                      const Site& /*site*/) { return make(options, scope); },
          .version = version};
}

// By their names in torch.nn.
using LayerTable = std::map<std::string, LayerType>;

void AddActivationLayers(LayerTable& table);
void AddAttentionLayers(LayerTable& table);
void AddContainerLayers(LayerTable& table);
void AddConvolutionLayers(LayerTable& table);
void AddLinearLayers(LayerTable& table);
void AddNormalizationLayers(LayerTable& table);
void AddPoolingLayers(LayerTable& table);
void AddRecurrentLayers(LayerTable& table);
void AddReshapingLayers(LayerTable& table);

// The layer of a declaration, whose module is the child `name` of `parent`, or
// the root.
absl::StatusOr<Layer> MakeRootLayer(const ModuleDeclaration& module,
                                    Blueprint& blueprint);
absl::StatusOr<Layer> MakeChildLayer(const ModuleDeclaration& module,
                                     absl::string_view name, Scope& parent,
                                     const Site& site);

}  // namespace warmstart::backend::declared

#endif  // WARMSTART_SERVER_TORCH_DECLARED_LAYER_TABLE_H_
