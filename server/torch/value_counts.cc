#include "server/torch/value_counts.h"

#include <ATen/Functions.h>
#include <c10/core/ScalarType.h>

#include <algorithm>

namespace warmstart::backend {
namespace {

bool HasFractions(at::ScalarType type) {
  return at::isFloatingType(type) || at::isComplexType(type);
}

// Every value of `from` is one of `to`.
bool Holds(at::ScalarType to, at::ScalarType from) {
  return to == from || (at::isFloatingType(from) && at::isFloatingType(to) &&
                        !at::isFloat8Type(from) && !at::isFloat8Type(to) &&
                        at::promoteTypes(from, to) == to);
}

// The same values in a type that LibTorch can compare: it cannot compare all of
// those that it can cast.
at::Tensor Comparable(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kDouble:
    case at::kComplexDouble:
    case at::kComplexFloat:
    case at::kFloat:
      return tensor;
    case at::kComplexHalf:
      return tensor.to(at::kComplexFloat);
    case at::kUInt16:
    case at::kUInt32:
    case at::kUInt64:
      return tensor.to(at::kLong);  // zero or not is all that is asked of it
    default:
      return HasFractions(tensor.scalar_type()) ? tensor.to(at::kFloat)
                                                : tensor;
  }
}

int64_t CountTrue(const at::Tensor& condition) {
  return condition.sum().item<int64_t>();
}

int64_t CountZeros(const at::Tensor& values) {
  return values.numel() - at::count_nonzero(values).item<int64_t>();
}

// Zero times a number is zero unless the number is not finite. One sum tells
// what is true of nearly every tensor.
bool AllFinite(const at::Tensor& values) {
  if (!HasFractions(values.scalar_type())) return true;
  return !at::isnan(values.mul(0).sum()).item<bool>();
}

void CountPiece(const at::Tensor& before, const at::Tensor& after,
                LoadCounts& counts) {
  const at::Tensor result = Comparable(after);
  const bool all_finite = AllFinite(result);
  if (!all_finite) {
    counts.non_finite += CountTrue(at::isfinite(result).logical_not());
  }
  if (Holds(after.scalar_type(), before.scalar_type())) return;
  // What was zero is zero after a cast, but in a type that has no zero.
  const int64_t zeros = CountZeros(result);
  if (all_finite && zeros == 0) return;
  const at::Tensor source = Comparable(before);
  if (!all_finite) {
    counts.overflowed += CountTrue(
        at::isfinite(source).logical_and(at::isfinite(result).logical_not()));
  }
  if (zeros > 0) counts.underflowed += zeros - CountZeros(source);
}

}  // namespace

void CountValues(const at::Tensor& before, const at::Tensor& after,
                 LoadCounts& counts) {
  // Whole numbers are finite, and from one type of them to another they wrap,
  // which is neither.
  if (!HasFractions(after.scalar_type()) &&
      !HasFractions(before.scalar_type())) {
    return;
  }
  const int64_t total = before.numel();
  for (int64_t done = 0; done < total; done += kPieceElements) {
    const int64_t count = std::min(total - done, kPieceElements);
    CountPiece(before.narrow(0, done, count), after.narrow(0, done, count),
               counts);
  }
}

}  // namespace warmstart::backend
