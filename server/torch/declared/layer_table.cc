#include "server/torch/declared/layer_table.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/status_macros.h"

namespace warmstart::backend::declared {
namespace {

constexpr int kMaxDepth = 64;

const LayerTable& Table() {
  static const LayerTable* const table = [] {
    auto* layers = new LayerTable;
    AddActivationLayers(*layers);
    AddAttentionLayers(*layers);
    AddContainerLayers(*layers);
    AddConvolutionLayers(*layers);
    AddLinearLayers(*layers);
    AddNormalizationLayers(*layers);
    AddPoolingLayers(*layers);
    AddRecurrentLayers(*layers);
    AddReshapingLayers(*layers);
    return layers;
  }();
  return *table;
}

absl::StatusOr<const LayerType*> Find(const ModuleDeclaration& module,
                                      const Site& site) {
  const auto refuse = [&](absl::string_view problem) {
    return absl::InvalidArgumentError(absl::StrCat(site.place, problem));
  };
  if (site.depth >= kMaxDepth) {
    return refuse(absl::StrCat(": is nested deeper than ", kMaxDepth));
  }
  const auto found = Table().find(module.type);
  if (found == Table().end()) {
    return refuse(absl::StrCat(
        ".type: '", module.type, "' is not known; the types are ",
        absl::StrJoin(Table(), ", ", [](std::string* out, const auto& entry) {
          out->append(entry.first);
        })));
  }
  if (!module.children.empty() && !found->second.has_children) {
    return refuse(
        absl::StrCat(".children: ", module.type, " is declared without"));
  }
  return &found->second;
}

// Says of each pass through the layer where it is.
void AnnounceAt(std::string place, Layer& layer) {
  layer.forward = [place = std::move(place), forward = layer.forward](
                      const Pass& pass, const Tensors& inputs) {
    pass.Enter(place);
    return forward(pass, inputs);
  };
}

absl::StatusOr<Layer> Make(const LayerType& type,
                           const ModuleDeclaration& module, Scope scope,
                           const Site& site) {
  Options options(module, site.place);
  ASSIGN_OR_RETURN(Layer layer, type.make(options, scope, site));
  RETURN_IF_ERROR(scope.status());
  AnnounceAt(site.is_first ? "input" : site.place, layer);
  return layer;
}

}  // namespace

absl::StatusOr<Layer> MakeRootLayer(const ModuleDeclaration& module,
                                    Blueprint& blueprint) {
  const Site site{.place = "module"};
  ASSIGN_OR_RETURN(const LayerType* type, Find(module, site));
  return Make(*type, module, Scope(blueprint, "", site.place, type->version),
              site);
}

absl::StatusOr<Layer> MakeChildLayer(const ModuleDeclaration& module,
                                     absl::string_view name, Scope& parent,
                                     const Site& site) {
  ASSIGN_OR_RETURN(const LayerType* type, Find(module, site));
  return Make(*type, module, parent.Child(name, type->version, site.place),
              site);
}

}  // namespace warmstart::backend::declared
