#include "server/planner/combining/lora.h"

#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/planner/value_types.h"

namespace warmstart::planner {
namespace {

constexpr absl::string_view kBaseModel = "base_model.model.";

enum class Part { kA, kB, kBiasB, kEmbeddingA, kEmbeddingB, kWhole };

struct ParsedKey {
  std::string module;  // the base's module; its key for kWhole
  Part part;
};

absl::Status Refused(size_t index, absl::string_view key,
                     absl::string_view problem) {
  const std::string field = absl::StrCat("sources[", index, "].lora");
  return WithErrorInfo(absl::InvalidArgumentError(
                           absl::StrCat(field, ": '", key, "' ", problem)),
                       reason::kInvalidField,
                       {{"field", field}, {"key", std::string(key)}});
}

// The key that a tensor that is there whole has in the base: without the names
// of the wrappers around a layer and of the adapter.
std::string WholeKey(const std::vector<absl::string_view>& parts) {
  std::vector<absl::string_view> kept;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i] == "base_layer") continue;
    if (parts[i] == "modules_to_save") {
      // "modules_to_save.default.weight" has the adapter's name.
      if (i + 2 < parts.size()) ++i;
      continue;
    }
    kept.push_back(parts[i]);
  }
  return absl::StrJoin(kept, ".");
}

// Nothing for what belongs to an adapter of another kind.
std::optional<ParsedKey> ParseKey(absl::string_view key) {
  if (absl::StartsWith(key, kBaseModel)) key.remove_prefix(kBaseModel.size());
  const std::vector<absl::string_view> parts = absl::StrSplit(key, '.');
  for (size_t i = 0; i < parts.size(); ++i) {
    if (!absl::StartsWith(parts[i], "lora_")) continue;
    const std::string module =
        absl::StrJoin(parts.begin(), parts.begin() + i, ".");
    const bool bias = parts.back() == "bias";
    const bool weight = parts.back() == "weight" && i + 1 < parts.size();
    if (parts[i] == "lora_A" && weight) return ParsedKey{module, Part::kA};
    if (parts[i] == "lora_B" && weight) return ParsedKey{module, Part::kB};
    if (parts[i] == "lora_B" && bias) return ParsedKey{module, Part::kBiasB};
    if (parts[i] == "lora_embedding_A") {
      return ParsedKey{module, Part::kEmbeddingA};
    }
    if (parts[i] == "lora_embedding_B") {
      return ParsedKey{module, Part::kEmbeddingB};
    }
    return std::nullopt;
  }
  return ParsedKey{WholeKey(parts), Part::kWhole};
}

// The tensors of one layer.
struct Layer {
  const NamedTensor* a = nullptr;
  const NamedTensor* b = nullptr;
  const NamedTensor* bias = nullptr;
  bool embedding = false;
};

std::vector<int64_t> SizesOf(const DerivationPtr& value) {
  const absl::Span<const int64_t> sizes = value->spec.shape().sizes();
  return {sizes.begin(), sizes.end()};
}

absl::StatusOr<DerivationPtr> Flatten(DerivationPtr value) {
  const std::vector<int64_t> sizes = SizesOf(value);
  if (sizes.size() == 2) return value;
  int64_t rest = 1;
  for (size_t i = 1; i < sizes.size(); ++i) rest *= sizes[i];
  ASSIGN_OR_RETURN(Shape shape, Shape::Create({sizes[0], rest}));
  return Derive(ReshapeOp{std::move(shape)}, {std::move(value)});
}

bool IsTransposeOf(const Shape& a, const Shape& b) {
  return a.rank() == 2 && b.rank() == 2 && a.sizes()[0] == b.sizes()[1] &&
         a.sizes()[1] == b.sizes()[0];
}

// Merges one adapter.
class Merger {
 public:
  Merger(const PlanRequest& request, size_t index, const TargetIndex& target,
         Supplies* supplies)
      : index_(index),
        source_(request.sources[index]),
        target_(target),
        supplies_(supplies) {}

  absl::Status Run(const TensorMap& adapter) {
    RETURN_IF_ERROR(Sort(adapter));
    for (const auto& [module, layer] : layers_) {
      RETURN_IF_ERROR(CheckLayer(module, layer));
    }
    RETURN_IF_ERROR(FindOrientation());
    for (const auto& [module, layer] : layers_) {
      RETURN_IF_ERROR(MergeLayer(module, layer));
    }
    if (square_ > 0) {
      supplies_->notes.push_back(
          absl::StrCat(source_.name, ": ", square_,
                       " square weights were taken to be stored as [",
                       transposed_ ? "in, out" : "out, in", "]",
                       oriented_ ? ", as the others of the adapter are" : ""));
    }
    return absl::OkStatus();
  }

 private:
  // Sorts the keys by layer, and puts whole tensors in place.
  absl::Status Sort(const TensorMap& adapter) {
    for (const NamedTensor& tensor : adapter) {
      const std::optional<ParsedKey> key = ParseKey(tensor.key);
      if (!key.has_value()) {
        return Refused(index_, tensor.key,
                       "belongs to a kind of adapter that cannot be merged");
      }
      if (key->part == Part::kWhole) {
        const auto found = target_.find(key->module);
        if (found == target_.end()) continue;
        supplies_->entries[found->second] = {tensor.value, tensor.rules};
        continue;
      }
      Layer& layer = layers_[key->module];
      const bool embedding =
          key->part == Part::kEmbeddingA || key->part == Part::kEmbeddingB;
      const bool is_a = key->part == Part::kA || key->part == Part::kEmbeddingA;
      const NamedTensor*& slot = key->part == Part::kBiasB ? layer.bias
                                 : is_a                    ? layer.a
                                                           : layer.b;
      if (slot != nullptr) {
        return Refused(index_, tensor.key,
                       absl::StrCat("is there twice, as '", slot->key,
                                    "' too; exclude one adapter"));
      }
      slot = &tensor;
      layer.embedding = layer.embedding || embedding;
    }
    return absl::OkStatus();
  }

  absl::Status CheckLayer(const std::string& module, const Layer& layer) const {
    const NamedTensor* one = layer.a != nullptr   ? layer.a
                             : layer.b != nullptr ? layer.b
                                                  : layer.bias;
    if (layer.a == nullptr || layer.b == nullptr) {
      return Refused(
          index_, one->key,
          absl::StrCat("is half of a pair: the adapter has no lora_",
                       layer.embedding ? "embedding_" : "",
                       layer.a == nullptr ? "A" : "B", " of '", module, "'"));
    }
    const std::vector<int64_t> a = SizesOf(layer.a->value);
    const std::vector<int64_t> b = SizesOf(layer.b->value);
    if (a.size() < 2 || b.size() < 2 || a[0] < 1 || a[0] != b[1]) {
      return Refused(
          index_, one->key,
          absl::StrCat(
              "is no pair of a rank: ", layer.a->value->spec.shape().ToString(),
              " and ", layer.b->value->spec.shape().ToString()));
    }
    const std::string weight = absl::StrCat(module, ".weight");
    const Supply* base = BaseOf(weight);
    if (base == nullptr) {
      return Refused(
          index_, one->key,
          absl::StrCat("has no base: no other source supplies '", weight, "'"));
    }
    if (!IsFractional(base->value->spec.dtype())) {
      return Refused(
          index_, one->key,
          absl::StrCat("has a base of ", DTypeName(base->value->spec.dtype()),
                       ", to which no fractions can be added"));
    }
    if (layer.bias != nullptr &&
        BaseOf(absl::StrCat(module, ".bias")) == nullptr) {
      return Refused(index_, layer.bias->key,
                     absl::StrCat("has no base: no other source supplies '",
                                  module, ".bias'"));
    }
    return absl::OkStatus();
  }

  Supply* BaseOf(absl::string_view key) const {
    const auto found = target_.find(key);
    if (found == target_.end()) return nullptr;
    Supply& supply = supplies_->entries[found->second];
    return supply.value == nullptr ? nullptr : &supply;
  }

  // The shape of B A.
  static Shape ProductShape(const Layer& layer) {
    std::vector<int64_t> sizes = SizesOf(layer.a->value);
    sizes[0] = SizesOf(layer.b->value)[0];
    return Shape::Create(std::move(sizes)).value_or(Shape());
  }

  // Whether base weights are stored as [in, out], as GPT-2's Conv1D does: what
  // the shapes say, or, for square ones, what those of the others do.
  absl::Status FindOrientation() {
    for (const auto& [module, layer] : layers_) {
      if (layer.embedding) continue;
      const Shape& base =
          BaseOf(absl::StrCat(module, ".weight"))->value->spec.shape();
      const Shape product = ProductShape(layer);
      if (base == product && IsTransposeOf(base, product)) {
        ++square_;
      } else if (base.rank() == 2) {
        const bool transposed = IsTransposeOf(base, product);
        if (oriented_ && transposed != transposed_) mixed_ = true;
        oriented_ = true;
        transposed_ = transposed;
      }
    }
    if (mixed_ && square_ > 0) {
      return InvalidField(
          absl::StrCat("sources[", index_, "].lora"),
          absl::StrCat("some base weights are [in, out] and some [out, in], so "
                       "that ",
                       square_, " square ones could be either"));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<DerivationPtr> Delta(const Layer& layer,
                                      const Shape& base) const {
    ASSIGN_OR_RETURN(DerivationPtr a, Flatten(layer.a->value));
    ASSIGN_OR_RETURN(DerivationPtr b, Flatten(layer.b->value));
    ASSIGN_OR_RETURN(DerivationPtr delta,
                     Derive(MatMulOp{}, {std::move(b), std::move(a)}));
    const Shape product = ProductShape(layer);
    if (delta->spec.shape() != product) {
      ASSIGN_OR_RETURN(delta, Derive(ReshapeOp{product}, {std::move(delta)}));
    }
    const bool square = base == product && IsTransposeOf(base, product);
    const bool transpose =
        layer.embedding ||
        (square ? transposed_ : IsTransposeOf(base, product));
    if (transpose) {
      ASSIGN_OR_RETURN(delta, Derive(PermuteOp{{1, 0}}, {std::move(delta)}));
    }
    return Scaled(std::move(delta), layer);
  }

  absl::StatusOr<DerivationPtr> Scaled(DerivationPtr value,
                                       const Layer& layer) const {
    const double rank = static_cast<double>(SizesOf(layer.a->value)[0]);
    const double scaling = source_.weight * source_.lora->alpha /
                           (source_.lora->rslora ? std::sqrt(rank) : rank);
    return Derive(ScaleOp{scaling}, {std::move(value)});
  }

  absl::Status MergeLayer(const std::string& module, const Layer& layer) {
    Supply& base = *BaseOf(absl::StrCat(module, ".weight"));
    const Shape& shape = base.value->spec.shape();
    absl::StatusOr<DerivationPtr> delta = Delta(layer, shape);
    if (!delta.ok() || (*delta)->spec.shape() != shape) {
      return Refused(index_, layer.a->key,
                     absl::StrCat("and '", layer.b->key, "' make no change of ",
                                  shape.ToString(), ", which '", module,
                                  ".weight' is", delta.ok() ? "" : ": ",
                                  delta.ok() ? "" : delta.status().message()));
    }
    RETURN_IF_ERROR(Add(*std::move(delta), {layer.a, layer.b}, &base));
    if (layer.bias == nullptr) return absl::OkStatus();
    Supply& bias = *BaseOf(absl::StrCat(module, ".bias"));
    if (bias.value->spec.shape() != layer.bias->value->spec.shape()) {
      return Refused(
          index_, layer.bias->key,
          absl::StrCat("is of another shape than '", module, ".bias', ",
                       bias.value->spec.shape().ToString()));
    }
    ASSIGN_OR_RETURN(DerivationPtr change, Scaled(layer.bias->value, layer));
    return Add(std::move(change), {layer.bias}, &bias);
  }

  static absl::Status Add(DerivationPtr change,
                          const std::vector<const NamedTensor*>& tensors,
                          Supply* base) {
    ASSIGN_OR_RETURN(base->value, Derive(LinearCombinationOp{{1, 1}},
                                         {base->value, std::move(change)}));
    for (const NamedTensor* tensor : tensors) {
      AddRules(tensor->rules, &base->rules);
    }
    return absl::OkStatus();
  }

  const size_t index_;
  const PlanSource& source_;
  const TargetIndex& target_;
  Supplies* const supplies_;
  std::map<std::string, Layer> layers_;  // by module; ordered, for one result
  bool oriented_ = false;                // a weight that is not square is there
  bool transposed_ = false;
  bool mixed_ = false;
  int64_t square_ = 0;
};

}  // namespace

absl::Status MergeLora(const PlanRequest& request, size_t index,
                       const SourceKeys& adapter, const TargetIndex& target,
                       Supplies* supplies) {
  if (!std::isfinite(request.sources[index].lora->alpha)) {
    return InvalidField(absl::StrCat("sources[", index, "].lora.alpha"),
                        "is not finite");
  }
  return Merger(request, index, target, supplies).Run(adapter.keys);
}

}  // namespace warmstart::planner
