// Adapters that keep some slices of a tensor as they are.

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/planner/adapters/adapt_kinds.h"

namespace warmstart::planner {
namespace {

// Which slices of the source are kept, and where in the target.
struct KeptSlices {
  std::vector<int64_t> from;
  std::vector<int64_t> to;
};

bool IsRange(const std::vector<int64_t>& indices) {
  for (size_t i = 0; i < indices.size(); ++i) {
    if (indices[i] != static_cast<int64_t>(i)) return false;
  }
  return true;
}

absl::StatusOr<KeptSlices> MatchSlices(const RowsAdapter& adapter,
                                       int64_t source, int64_t target) {
  KeptSlices kept;
  if (adapter.source_labels.empty() && adapter.target_labels.empty()) {
    kept.from.resize(std::min(source, target));
    std::iota(kept.from.begin(), kept.from.end(), 0);
    kept.to = kept.from;
    return kept;
  }
  if (static_cast<int64_t>(adapter.source_labels.size()) != source ||
      static_cast<int64_t>(adapter.target_labels.size()) != target) {
    return DoesNotFit(absl::StrCat(
        adapter.source_labels.size(), " and ", adapter.target_labels.size(),
        " labels are given for ", source, " and ", target, " slices"));
  }
  absl::flat_hash_map<absl::string_view, int64_t> index_of;
  for (int64_t i = 0; i < source; ++i) {
    index_of.emplace(adapter.source_labels[i], i);
  }
  for (int64_t i = 0; i < target; ++i) {
    const auto found = index_of.find(adapter.target_labels[i]);
    if (found == index_of.end()) continue;
    kept.from.push_back(found->second);
    kept.to.push_back(i);
  }
  return kept;
}

// The kept slices by themselves.
absl::StatusOr<DerivationPtr> TakeSlices(const KeptSlices& kept, int dim,
                                         int64_t source,
                                         const DerivationPtr& value) {
  const auto count = static_cast<int64_t>(kept.from.size());
  if (!IsRange(kept.from)) return Derive(SelectOp{dim, kept.from}, {value});
  if (count == source) return value;
  return Derive(SliceOp{dim, 0, count}, {value});
}

// The target's slices where the source has none.
absl::StatusOr<DerivationPtr> RestOf(const RowsAdapter& adapter,
                                     const Misfit& misfit) {
  if (adapter.rest == RowsAdapter::Rest::kInitialize) return FreshBase(misfit);
  RETURN_IF_ERROR(CheckFractional(misfit));
  ASSIGN_OR_RETURN(DerivationPtr mean,
                   Derive(MeanOp{adapter.dim}, {misfit.value}));
  return Derive(ExpandOp{misfit.target.shape()}, {std::move(mean)});
}

std::string RowsText(const RowsAdapter& adapter, int64_t kept, int64_t source,
                     int64_t rest) {
  std::string text = absl::StrCat(
      "kept ", kept, " of ", source,
      adapter.dim == 0 ? " rows"
                       : absl::StrCat(" slices of dimension ", adapter.dim));
  if (rest > 0) {
    absl::StrAppend(&text,
                    adapter.rest == RowsAdapter::Rest::kMean
                        ? ", set to their mean "
                        : ", initialized ",
                    rest);
  }
  return text;
}

}  // namespace

absl::StatusOr<Adaptation> AdaptRows(const RowsAdapter& adapter,
                                     const Misfit& misfit) {
  const int dim = adapter.dim;
  if (dim < 0 || dim >= misfit.target.shape().rank()) {
    return DoesNotFit(absl::StrCat("there is no dimension ", dim));
  }
  if (!AgreeExcept(misfit, {dim})) {
    return DoesNotFit(
        absl::StrCat("the shapes differ in more than dimension ", dim));
  }
  const int64_t source = SourceSizes(misfit)[dim];
  const int64_t target = TargetSizes(misfit)[dim];
  ASSIGN_OR_RETURN(const KeptSlices kept, MatchSlices(adapter, source, target));
  const auto count = static_cast<int64_t>(kept.from.size());
  if (count == 0) return DoesNotFit("they have no slice in common");

  Adaptation adaptation;
  adaptation.words = RowsText(adapter, count, source, target - count);
  ASSIGN_OR_RETURN(DerivationPtr slices,
                   TakeSlices(kept, dim, source, misfit.value));
  if (count == target) {
    adaptation.value = std::move(slices);
    return adaptation;
  }
  adaptation.fresh = adapter.rest == RowsAdapter::Rest::kInitialize;
  ASSIGN_OR_RETURN(DerivationPtr rest, RestOf(adapter, misfit));
  if (IsRange(kept.to)) {
    const std::vector<int64_t> corner(misfit.target.shape().rank());
    ASSIGN_OR_RETURN(
        adaptation.value,
        Derive(OverwriteOp{corner}, {std::move(rest), std::move(slices)}));
  } else {
    ASSIGN_OR_RETURN(
        adaptation.value,
        Derive(ReplaceOp{dim, kept.to}, {std::move(rest), std::move(slices)}));
  }
  return adaptation;
}

absl::StatusOr<Adaptation> SliceAndPad(const SliceAndPadAdapter& adapter,
                                       const Misfit& misfit) {
  const std::vector<int64_t> source = SourceSizes(misfit);
  const std::vector<int64_t> target = TargetSizes(misfit);
  if (source.size() != target.size()) {
    return DoesNotFit("the numbers of dimensions differ");
  }
  Adaptation adaptation;
  DerivationPtr block = misfit.value;
  bool pad = false;
  for (size_t i = 0; i < target.size(); ++i) {
    pad = pad || target[i] > source[i];
    if (target[i] >= source[i]) continue;
    ASSIGN_OR_RETURN(block, Derive(SliceOp{static_cast<int>(i), 0, target[i]},
                                   {std::move(block)}));
  }
  const Shape& kept = block->spec.shape();
  adaptation.words = absl::StrCat("kept ", kept.ToString(), " of ",
                                  misfit.value->spec.shape().ToString());
  if (!pad) {
    adaptation.value = std::move(block);
    return adaptation;
  }
  absl::StrAppend(&adaptation.words,
                  adapter.fill.has_value()
                      ? absl::StrCat(", the rest ", *adapter.fill)
                      : ", initialized the rest");
  adaptation.fresh = true;
  if (adapter.fill.has_value()) {
    adaptation.initializer = ConstantInit{*adapter.fill};
  }
  ASSIGN_OR_RETURN(DerivationPtr base, FreshBase(misfit));
  ASSIGN_OR_RETURN(adaptation.value,
                   Derive(OverwriteOp{std::vector<int64_t>(target.size())},
                          {std::move(base), std::move(block)}));
  return adaptation;
}

}  // namespace warmstart::planner
