#include "server/planner/rules/tensor_ops.h"

#include <numeric>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/status_macros.h"

namespace warmstart::planner {
namespace {

int RankOf(const DerivationPtr& value) { return value->spec.shape().rank(); }

std::vector<int64_t> SizesOf(const DerivationPtr& value) {
  const absl::Span<const int64_t> sizes = value->spec.shape().sizes();
  return {sizes.begin(), sizes.end()};
}

// `sizes` with dimension `dim` as `parts` and what each of them holds.
absl::StatusOr<std::vector<int64_t>> WithFactors(std::vector<int64_t> sizes,
                                                 int dim, int64_t parts) {
  if (sizes[dim] % parts != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("dimension ", dim, " of [", absl::StrJoin(sizes, ", "),
                     "] cannot be divided by ", parts));
  }
  sizes[dim] /= parts;
  sizes.insert(sizes.begin() + dim, parts);
  return sizes;
}

// The reverse.
absl::StatusOr<std::vector<int64_t>> WithProduct(std::vector<int64_t> sizes,
                                                 int dim) {
  if (__builtin_mul_overflow(sizes[dim], sizes[dim + 1], &sizes[dim])) {
    return absl::InvalidArgumentError("the result is too large");
  }
  sizes.erase(sizes.begin() + dim + 1);
  return sizes;
}

}  // namespace

absl::StatusOr<int> DimFromStart(int dim, int rank) {
  if (dim < -rank || dim >= rank) {
    return absl::InvalidArgumentError(
        absl::StrCat("there is no dimension ", dim, " in a tensor of ", rank));
  }
  return dim < 0 ? dim + rank : dim;
}

absl::StatusOr<DerivationPtr> Transpose(const DerivationPtr& value, int dim0,
                                        int dim1) {
  ASSIGN_OR_RETURN(dim0, DimFromStart(dim0, RankOf(value)));
  ASSIGN_OR_RETURN(dim1, DimFromStart(dim1, RankOf(value)));
  if (dim0 == dim1) return value;
  std::vector<int> dims(RankOf(value));
  std::iota(dims.begin(), dims.end(), 0);
  std::swap(dims[dim0], dims[dim1]);
  return Derive(PermuteOp{std::move(dims)}, {value});
}

absl::StatusOr<DerivationPtr> Permute(const DerivationPtr& value,
                                      absl::Span<const int> dims) {
  PermuteOp op;
  for (int dim : dims) {
    ASSIGN_OR_RETURN(dim, DimFromStart(dim, RankOf(value)));
    op.dims.push_back(dim);
  }
  return Derive(std::move(op), {value});
}

absl::StatusOr<DerivationPtr> Reshape(const DerivationPtr& value,
                                      std::vector<int64_t> sizes) {
  ASSIGN_OR_RETURN(Shape shape, Shape::Create(std::move(sizes)));
  if (shape == value->spec.shape()) return value;
  return Derive(ReshapeOp{std::move(shape)}, {value});
}

absl::StatusOr<DerivationPtr> Squeeze(const DerivationPtr& value, int dim) {
  ASSIGN_OR_RETURN(dim, DimFromStart(dim, RankOf(value)));
  std::vector<int64_t> sizes = SizesOf(value);
  if (sizes[dim] != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("dimension ", dim, " of ", value->spec.shape().ToString(),
                     " is not of size 1"));
  }
  sizes.erase(sizes.begin() + dim);
  return Reshape(value, std::move(sizes));
}

absl::StatusOr<DerivationPtr> Unsqueeze(const DerivationPtr& value, int dim) {
  ASSIGN_OR_RETURN(dim, DimFromStart(dim, RankOf(value) + 1));
  std::vector<int64_t> sizes = SizesOf(value);
  sizes.insert(sizes.begin() + dim, 1);
  return Reshape(value, std::move(sizes));
}

absl::StatusOr<DerivationPtr> Stack(absl::Span<const DerivationPtr> values,
                                    int dim) {
  std::vector<DerivationPtr> slices;
  for (const DerivationPtr& value : values) {
    ASSIGN_OR_RETURN(DerivationPtr slice, Unsqueeze(value, dim));
    slices.push_back(std::move(slice));
  }
  return Concat(slices, dim, 1);
}

absl::StatusOr<std::vector<DerivationPtr>> Unstack(const DerivationPtr& value,
                                                   int dim) {
  ASSIGN_OR_RETURN(dim, DimFromStart(dim, RankOf(value)));
  const int64_t count = value->spec.shape().sizes()[dim];
  if (count > kMaxParts) {
    return absl::InvalidArgumentError(absl::StrCat(
        count, " slices are more than the ", kMaxParts, " that can be made"));
  }
  std::vector<DerivationPtr> slices;
  for (int64_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(const DerivationPtr slice,
                     Derive(SliceOp{dim, i, 1}, {value}));
    ASSIGN_OR_RETURN(DerivationPtr squeezed, Squeeze(slice, dim));
    slices.push_back(std::move(squeezed));
  }
  return slices;
}

absl::StatusOr<DerivationPtr> Concat(absl::Span<const DerivationPtr> values,
                                     int dim, int64_t groups) {
  if (values.empty()) {
    return absl::InvalidArgumentError("there is nothing to join");
  }
  ASSIGN_OR_RETURN(dim, DimFromStart(dim, RankOf(values[0])));
  if (values.size() == 1) return values[0];
  std::vector<DerivationPtr> parts(values.begin(), values.end());
  if (groups == 1) return Derive(ConcatOp{dim}, std::move(parts));
  for (DerivationPtr& part : parts) {
    RETURN_IF_ERROR(DimFromStart(dim, RankOf(part)).status());
    ASSIGN_OR_RETURN(std::vector<int64_t> sizes,
                     WithFactors(SizesOf(part), dim, groups));
    ASSIGN_OR_RETURN(part, Reshape(part, std::move(sizes)));
  }
  ASSIGN_OR_RETURN(const DerivationPtr joined,
                   Derive(ConcatOp{dim + 1}, std::move(parts)));
  ASSIGN_OR_RETURN(std::vector<int64_t> sizes,
                   WithProduct(SizesOf(joined), dim));
  return Reshape(joined, std::move(sizes));
}

absl::StatusOr<std::vector<DerivationPtr>> Split(
    const DerivationPtr& value, int dim, int64_t groups,
    absl::Span<const int64_t> sizes) {
  ASSIGN_OR_RETURN(dim, DimFromStart(dim, RankOf(value)));
  int64_t total = 0;
  for (const int64_t size : sizes) {
    if (size % groups != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("a part of size ", size, " is no ", groups, " groups"));
    }
    if (__builtin_add_overflow(total, size, &total)) total = -1;
    if (total < 0) break;
  }
  if (total != value->spec.shape().sizes()[dim]) {
    return absl::InvalidArgumentError(
        absl::StrCat("parts of sizes [", absl::StrJoin(sizes, ", "),
                     "] do not make up dimension ", dim, " of ",
                     value->spec.shape().ToString()));
  }
  if (sizes.size() == 1) return std::vector<DerivationPtr>{value};
  DerivationPtr grouped = value;
  if (groups != 1) {
    ASSIGN_OR_RETURN(std::vector<int64_t> factors,
                     WithFactors(SizesOf(value), dim, groups));
    ASSIGN_OR_RETURN(grouped, Reshape(value, std::move(factors)));
  }
  std::vector<DerivationPtr> parts;
  int64_t start = 0;
  for (const int64_t size : sizes) {
    const int64_t length = size / groups;
    ASSIGN_OR_RETURN(
        DerivationPtr part,
        Derive(SliceOp{groups == 1 ? dim : dim + 1, start, length}, {grouped}));
    start += length;
    if (groups != 1) {
      ASSIGN_OR_RETURN(std::vector<int64_t> product,
                       WithProduct(SizesOf(part), dim));
      ASSIGN_OR_RETURN(part, Reshape(part, std::move(product)));
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

absl::StatusOr<DerivationPtr> Deinterleave(const DerivationPtr& value, int dim,
                                           int64_t groups, bool inverse) {
  ASSIGN_OR_RETURN(dim, DimFromStart(dim, RankOf(value)));
  ASSIGN_OR_RETURN(std::vector<int64_t> sizes,
                   WithFactors(SizesOf(value), dim, groups));
  // As halves, [groups, 2, half]; pairs are [groups, half, 2].
  ASSIGN_OR_RETURN(sizes, WithFactors(std::move(sizes), dim + 1, 2));
  if (!inverse) std::swap(sizes[dim + 1], sizes[dim + 2]);
  ASSIGN_OR_RETURN(const DerivationPtr grouped,
                   Reshape(value, std::move(sizes)));
  ASSIGN_OR_RETURN(const DerivationPtr swapped,
                   Transpose(grouped, dim + 1, dim + 2));
  return Reshape(swapped, SizesOf(value));
}

}  // namespace warmstart::planner
