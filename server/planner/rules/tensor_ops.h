// What PyTorch's functions of the same names do to a tensor, as derivations.

#ifndef WARMSTART_SERVER_PLANNER_RULES_TENSOR_OPS_H_
#define WARMSTART_SERVER_PLANNER_RULES_TENSOR_OPS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/model/derivation.h"

namespace warmstart::planner {

// All return INVALID_ARGUMENT, with a sentence about the shapes, for what
// cannot be done. Dimensions may be negative, counted from the end.

// `dim` counted from 0, of `rank` dimensions.
absl::StatusOr<int> DimFromStart(int dim, int rank);

absl::StatusOr<DerivationPtr> Transpose(const DerivationPtr& value, int dim0,
                                        int dim1);
absl::StatusOr<DerivationPtr> Permute(const DerivationPtr& value,
                                      absl::Span<const int> dims);
absl::StatusOr<DerivationPtr> Reshape(const DerivationPtr& value,
                                      std::vector<int64_t> sizes);
absl::StatusOr<DerivationPtr> Squeeze(const DerivationPtr& value, int dim);
absl::StatusOr<DerivationPtr> Unsqueeze(const DerivationPtr& value, int dim);
absl::StatusOr<DerivationPtr> Stack(absl::Span<const DerivationPtr> values,
                                    int dim);
// torch.unbind; at most kMaxParts.
absl::StatusOr<std::vector<DerivationPtr>> Unstack(const DerivationPtr& value,
                                                   int dim);
inline constexpr int64_t kMaxParts = 65536;

// torch.cat, where each tensor's `dim` is `groups` parts of equal size, and the
// result's parts hold one of each.
absl::StatusOr<DerivationPtr> Concat(absl::Span<const DerivationPtr> values,
                                     int dim, int64_t groups);
// The reverse, into parts of `sizes`.
absl::StatusOr<std::vector<DerivationPtr>> Split(
    const DerivationPtr& value, int dim, int64_t groups,
    absl::Span<const int64_t> sizes);

// In each of the `groups` parts of `dim`: from pairs (a0, b0, a1, b1, ...) to
// halves (a0, a1, ..., b0, b1, ...), or back.
absl::StatusOr<DerivationPtr> Deinterleave(const DerivationPtr& value, int dim,
                                           int64_t groups, bool inverse);

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_RULES_TENSOR_OPS_H_
