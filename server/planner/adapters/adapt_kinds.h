// The adapters one by one; each is Adapt() for its kind.

#ifndef WARMSTART_SERVER_PLANNER_ADAPTERS_ADAPT_KINDS_H_
#define WARMSTART_SERVER_PLANNER_ADAPTERS_ADAPT_KINDS_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/model/shape_adapter.h"
#include "server/planner/adapters/adapt.h"

namespace warmstart::planner {

// adapt_rows.cc
absl::StatusOr<Adaptation> AdaptRows(const RowsAdapter& adapter,
                                     const Misfit& misfit);
absl::StatusOr<Adaptation> SliceAndPad(const SliceAndPadAdapter& adapter,
                                       const Misfit& misfit);

// adapt_convolution.cc
absl::StatusOr<Adaptation> AdaptInputChannels(const Misfit& misfit);
absl::StatusOr<Adaptation> Inflate(const InflateAdapter& adapter,
                                   const Misfit& misfit);
absl::StatusOr<Adaptation> AdaptPatchEmbedding(const Misfit& misfit);

// adapt_position.cc
absl::StatusOr<Adaptation> AdaptPositionEmbedding(
    const PositionEmbeddingAdapter& adapter, const Misfit& misfit);
absl::StatusOr<Adaptation> AdaptPositionEmbedding1d(const Misfit& misfit);
absl::StatusOr<Adaptation> AdaptRelativePositionBias(
    const RelativePositionBiasAdapter& adapter, const Misfit& misfit);

// What they share.

absl::Status DoesNotFit(absl::string_view why);
// For adapters that compute.
absl::Status CheckFractional(const Misfit& misfit);

std::vector<int64_t> SourceSizes(const Misfit& misfit);
std::vector<int64_t> TargetSizes(const Misfit& misfit);
// Whether source and target have as many dimensions, of equal sizes but for
// those in `except`.
bool AgreeExcept(const Misfit& misfit, std::initializer_list<int> except);
// "4x4": height and width.
std::string GridText(int64_t height, int64_t width);
// The whole number whose square `value` is; 0 where there is none.
int64_t ExactRoot(int64_t value);

// The target's own values, in the dtype of the result.
absl::StatusOr<DerivationPtr> FreshBase(const Misfit& misfit);
absl::StatusOr<DerivationPtr> Reshape(DerivationPtr value,
                                      std::vector<int64_t> sizes);

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_ADAPTERS_ADAPT_KINDS_H_
