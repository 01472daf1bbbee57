#include "server/planner/adapters/adapt.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/planner/adapters/adapt_kinds.h"
#include "server/planner/value_types.h"

namespace warmstart::planner {
namespace {

// By the names that timm, torchvision and transformers give their tensors.
bool IsRelativePositionBias(absl::string_view key) {
  return absl::EndsWith(key, "relative_position_bias_table");
}
bool IsPositionEmbedding(const Misfit& misfit) {
  return misfit.target.shape().rank() >= 3 &&
         (absl::StrContains(misfit.key, "pos_embed") ||
          absl::StrContains(misfit.key, "position_embedding"));
}
bool IsPatchEmbedding(absl::string_view key) {
  for (absl::string_view name :
       {"patch_embed.proj.weight", "patch_embeddings.projection.weight",
        "patch_embedding.weight", "conv_proj.weight"}) {
    if (absl::EndsWith(key, name)) return true;
  }
  return false;
}

absl::StatusOr<Adaptation> AdaptAutomatically(const Misfit& misfit) {
  std::vector<ShapeAdapterKind> kinds;
  if (IsRelativePositionBias(misfit.key)) {
    kinds.push_back(RelativePositionBiasAdapter());
  }
  if (IsPositionEmbedding(misfit)) kinds.push_back(PositionEmbeddingAdapter());
  if (IsPatchEmbedding(misfit.key)) kinds.push_back(PatchEmbeddingAdapter());
  kinds.push_back(InputChannelsAdapter());
  kinds.push_back(InflateAdapter());
  kinds.push_back(RowsAdapter());
  std::vector<std::string> reasons;
  for (const ShapeAdapterKind& kind : kinds) {
    absl::StatusOr<Adaptation> adaptation = Adapt(kind, misfit);
    if (adaptation.ok()) return adaptation;
    reasons.push_back(absl::StrCat(ShapeAdapterName(kind), ": ",
                                   adaptation.status().message()));
  }
  return DoesNotFit(absl::StrJoin(reasons, "; "));
}

struct AdaptKind {
  const Misfit& misfit;

  absl::StatusOr<Adaptation> operator()(const AutoAdapter&) const {
    return AdaptAutomatically(misfit);
  }
  absl::StatusOr<Adaptation> operator()(const RowsAdapter& rows) const {
    return AdaptRows(rows, misfit);
  }
  absl::StatusOr<Adaptation> operator()(const InputChannelsAdapter&) const {
    return AdaptInputChannels(misfit);
  }
  absl::StatusOr<Adaptation> operator()(const InflateAdapter& inflate) const {
    return Inflate(inflate, misfit);
  }
  absl::StatusOr<Adaptation> operator()(
      const PositionEmbeddingAdapter& position) const {
    return AdaptPositionEmbedding(position, misfit);
  }
  absl::StatusOr<Adaptation> operator()(
      const PositionEmbedding1dAdapter&) const {
    return AdaptPositionEmbedding1d(misfit);
  }
  absl::StatusOr<Adaptation> operator()(
      const RelativePositionBiasAdapter& bias) const {
    return AdaptRelativePositionBias(bias, misfit);
  }
  absl::StatusOr<Adaptation> operator()(const PatchEmbeddingAdapter&) const {
    return AdaptPatchEmbedding(misfit);
  }
  absl::StatusOr<Adaptation> operator()(const SliceAndPadAdapter& pad) const {
    return SliceAndPad(pad, misfit);
  }
};

// No image has more patches to a side; products of two stay small.
constexpr int64_t kMaxGrid = int64_t{1} << 20;

// Whether an adapter can be used at all.
struct CheckKind {
  std::string field;

  absl::Status Invalid(absl::string_view part,
                       absl::string_view problem) const {
    return InvalidField(absl::StrCat(field, ".", part), problem);
  }
  absl::Status CheckGrid(absl::string_view part,
                         const std::vector<int64_t>& grid) const {
    const bool valid =
        grid.empty() || (grid.size() == 2 &&
                         std::all_of(grid.begin(), grid.end(), [](int64_t n) {
                           return n >= 1 && n <= kMaxGrid;
                         }));
    return valid ? absl::OkStatus()
                 : Invalid(part, "must be a height and a width, at least 1");
  }
  absl::Status CheckLabels(absl::string_view part,
                           const std::vector<std::string>& labels) const {
    absl::flat_hash_set<absl::string_view> seen;
    for (const std::string& label : labels) {
      if (seen.insert(label).second) continue;
      return Invalid(part, absl::StrCat("'", label, "' is there twice"));
    }
    return absl::OkStatus();
  }

  template <typename Kind>
  absl::Status operator()(const Kind&) const {
    return absl::OkStatus();
  }
  absl::Status operator()(const RowsAdapter& rows) const {
    if (rows.dim < 0) return Invalid("rows.dim", "is negative");
    if (rows.source_labels.empty() != rows.target_labels.empty()) {
      return Invalid("rows", "labels must be given for both, or for none");
    }
    RETURN_IF_ERROR(CheckLabels("rows.source_labels", rows.source_labels));
    return CheckLabels("rows.target_labels", rows.target_labels);
  }
  absl::Status operator()(const PositionEmbeddingAdapter& position) const {
    if (position.prefix_tokens.value_or(0) < 0) {
      return Invalid("position_embedding.prefix_tokens", "is negative");
    }
    RETURN_IF_ERROR(
        CheckGrid("position_embedding.source_grid", position.source_grid));
    return CheckGrid("position_embedding.target_grid", position.target_grid);
  }
  absl::Status operator()(const RelativePositionBiasAdapter& bias) const {
    RETURN_IF_ERROR(
        CheckGrid("relative_position_bias.source_window", bias.source_window));
    return CheckGrid("relative_position_bias.target_window",
                     bias.target_window);
  }
  absl::Status operator()(const SliceAndPadAdapter& pad) const {
    if (std::isfinite(pad.fill.value_or(0))) return absl::OkStatus();
    return Invalid("slice_and_pad.fill", "is not finite");
  }
};

bool HasLabels(const ShapeAdapter& adapter) {
  const auto* rows = std::get_if<RowsAdapter>(&adapter.kind);
  return rows != nullptr && !rows->source_labels.empty();
}

}  // namespace

absl::Status DoesNotFit(absl::string_view why) {
  return absl::InvalidArgumentError(why);
}

absl::Status CheckFractional(const Misfit& misfit) {
  const DType dtype = misfit.value->spec.dtype();
  if (IsFractional(dtype)) return absl::OkStatus();
  return DoesNotFit(absl::StrCat(DTypeName(dtype), " is not computed with"));
}

std::vector<int64_t> SourceSizes(const Misfit& misfit) {
  const absl::Span<const int64_t> sizes = misfit.value->spec.shape().sizes();
  return {sizes.begin(), sizes.end()};
}

std::vector<int64_t> TargetSizes(const Misfit& misfit) {
  const absl::Span<const int64_t> sizes = misfit.target.shape().sizes();
  return {sizes.begin(), sizes.end()};
}

bool AgreeExcept(const Misfit& misfit, std::initializer_list<int> except) {
  std::vector<int64_t> source = SourceSizes(misfit);
  const std::vector<int64_t> target = TargetSizes(misfit);
  if (source.size() != target.size()) return false;
  for (int dim : except) source[dim] = target[dim];
  return source == target;
}

std::string GridText(int64_t height, int64_t width) {
  return absl::StrCat(height, "x", width);
}

int64_t ExactRoot(int64_t value) {
  if (value < 1) return 0;
  const int64_t root = std::llround(std::sqrt(static_cast<double>(value)));
  int64_t square = 0;
  return !__builtin_mul_overflow(root, root, &square) && square == value ? root
                                                                         : 0;
}

absl::StatusOr<DerivationPtr> FreshBase(const Misfit& misfit) {
  return CastTo(FreshTensor(misfit.target), misfit.dtype);
}

absl::StatusOr<DerivationPtr> Reshape(DerivationPtr value,
                                      std::vector<int64_t> sizes) {
  ASSIGN_OR_RETURN(Shape shape, Shape::Create(std::move(sizes)));
  if (value->spec.shape() == shape) return value;
  return Derive(ReshapeOp{std::move(shape)}, {std::move(value)});
}

absl::StatusOr<Adaptation> Adapt(const ShapeAdapterKind& adapter,
                                 const Misfit& misfit) {
  return std::visit(AdaptKind{misfit}, adapter);
}

absl::StatusOr<AdapterSet> AdapterSet::Create(const PlanRequest& request) {
  AdapterSet set;
  set.automatic_ = request.on_shape_mismatch == ShapePolicy::kAdapt;
  for (size_t i = 0; i < request.shape_adapters.size(); ++i) {
    const ShapeAdapter& adapter = request.shape_adapters[i];
    const std::string field = absl::StrCat("shape_adapters[", i, "]");
    RETURN_IF_ERROR(std::visit(CheckKind{field}, adapter.kind));
    ASSIGN_OR_RETURN(GlobSet keys, GlobSet::Create(absl::StrCat(field, ".keys"),
                                                   {&adapter.keys, 1}));
    set.adapters_.push_back({std::move(keys), &adapter});
  }
  return set;
}

std::optional<absl::StatusOr<Adaptation>> AdapterSet::AdaptShape(
    const Misfit& misfit) {
  std::vector<std::string> reasons;
  for (Adapter& adapter : adapters_) {
    if (!adapter.keys.Matches(misfit.key)) continue;
    adapter.used = true;
    absl::StatusOr<Adaptation> adaptation =
        Adapt(adapter.adapter->kind, misfit);
    if (adaptation.ok()) return adaptation;
    reasons.push_back(absl::StrCat(ShapeAdapterName(adapter.adapter->kind),
                                   ": ", adaptation.status().message()));
  }
  if (automatic_) {
    absl::StatusOr<Adaptation> adaptation = AdaptAutomatically(misfit);
    if (adaptation.ok()) return adaptation;
    reasons.push_back(std::string(adaptation.status().message()));
  }
  if (reasons.empty()) return std::nullopt;
  return DoesNotFit(absl::StrJoin(reasons, "; "));
}

std::optional<absl::StatusOr<Adaptation>> AdapterSet::AdaptOrder(
    const Misfit& misfit) {
  for (Adapter& adapter : adapters_) {
    if (!HasLabels(*adapter.adapter) || !adapter.keys.Matches(misfit.key)) {
      continue;
    }
    adapter.used = true;
    return Adapt(adapter.adapter->kind, misfit);
  }
  return std::nullopt;
}

std::vector<std::string> AdapterSet::Notes() const {
  std::vector<std::string> notes;
  for (const Adapter& adapter : adapters_) {
    if (adapter.used) continue;
    notes.push_back(absl::StrCat(
        "the adapter ", ShapeAdapterName(adapter.adapter->kind), " for '",
        adapter.adapter->keys, "' was needed for no key"));
  }
  return notes;
}

}  // namespace warmstart::planner
