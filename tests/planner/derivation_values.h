// Computes derivations on whole numbers, by the plainest code that can, to see
// which element of which tensor ends up where. Only what moves values.

#ifndef WARMSTART_TESTS_PLANNER_DERIVATION_VALUES_H_
#define WARMSTART_TESTS_PLANNER_DERIVATION_VALUES_H_

#include <cstdint>
#include <numeric>
#include <variant>
#include <vector>

#include "server/model/derivation.h"

namespace warmstart::planner {

struct Values {
  std::vector<int64_t> sizes;
  std::vector<int64_t> elements;  // row by row

  friend bool operator==(const Values&, const Values&) = default;
};

// Where the element at `at` is.
inline int64_t Offset(const std::vector<int64_t>& sizes,
                      const std::vector<int64_t>& at) {
  int64_t offset = 0;
  for (size_t d = 0; d < sizes.size(); ++d) offset = offset * sizes[d] + at[d];
  return offset;
}

// A tensor of `sizes` whose element at each place is `get(place)`.
template <typename Get>
Values MakeValues(std::vector<int64_t> sizes, Get get) {
  Values made{std::move(sizes), {}};
  int64_t count = 1;
  for (int64_t size : made.sizes) count *= size;
  std::vector<int64_t> at(made.sizes.size());
  for (int64_t i = 0; i < count; ++i) {
    made.elements.push_back(get(at));
    for (size_t d = at.size(); d-- > 0;) {
      if (++at[d] < made.sizes[d]) break;
      at[d] = 0;
    }
  }
  return made;
}

// Entry e of a source has the elements 1000 * e, 1000 * e + 1, ...
inline Values ValuesOf(const Derivation& value) {
  const auto sizes_of = [](const Derivation& node) {
    const auto sizes = node.spec.shape().sizes();
    return std::vector<int64_t>(sizes.begin(), sizes.end());
  };
  std::vector<Values> operands;
  for (const DerivationPtr& operand : value.operands) {
    operands.push_back(ValuesOf(*operand));
  }
  const std::vector<int64_t> sizes = sizes_of(value);
  const auto element = [&](size_t operand, const std::vector<int64_t>& at) {
    return operands[operand].elements[Offset(operands[operand].sizes, at)];
  };
  if (const auto* source = std::get_if<SourceOp>(&value.op)) {
    return MakeValues(sizes, [&](const std::vector<int64_t>& at) {
      return 1000 * source->entry + Offset(sizes, at);
    });
  }
  if (const auto* permute = std::get_if<PermuteOp>(&value.op)) {
    return MakeValues(sizes, [&](const std::vector<int64_t>& at) {
      std::vector<int64_t> from(at.size());
      for (size_t d = 0; d < at.size(); ++d) from[permute->dims[d]] = at[d];
      return element(0, from);
    });
  }
  if (std::holds_alternative<ReshapeOp>(value.op)) {
    return {sizes, operands[0].elements};
  }
  if (const auto* slice = std::get_if<SliceOp>(&value.op)) {
    return MakeValues(sizes, [&](std::vector<int64_t> at) {
      at[slice->dim] += slice->start;
      return element(0, at);
    });
  }
  const auto& concat = std::get<ConcatOp>(value.op);
  return MakeValues(sizes, [&](std::vector<int64_t> at) {
    size_t operand = 0;
    while (at[concat.dim] >= operands[operand].sizes[concat.dim]) {
      at[concat.dim] -= operands[operand].sizes[concat.dim];
      ++operand;
    }
    return element(operand, at);
  });
}

}  // namespace warmstart::planner

#endif  // WARMSTART_TESTS_PLANNER_DERIVATION_VALUES_H_
