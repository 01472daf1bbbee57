// Adapters of position embeddings and position biases.

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/planner/adapters/adapt_kinds.h"

namespace warmstart::planner {
namespace {

struct Grid {
  int64_t height = 0;
  int64_t width = 0;
  friend bool operator==(const Grid&, const Grid&) = default;
};

// The grid that is given, or the square of `tokens`.
absl::StatusOr<Grid> GridOf(const std::vector<int64_t>& given, int64_t tokens) {
  if (given.empty()) {
    const int64_t root = ExactRoot(tokens);
    if (root < 1) {
      return DoesNotFit(absl::StrCat(
          tokens, " positions are no square grid; give the grids"));
    }
    return Grid{root, root};
  }
  // Create() has checked that they are two.
  int64_t product = 0;
  if (__builtin_mul_overflow(given[0], given[1], &product) ||
      product != tokens) {
    return DoesNotFit(absl::StrCat("a grid of ", GridText(given[0], given[1]),
                                   " has not ", tokens, " positions"));
  }
  return Grid{given[0], given[1]};
}

// [1, dim, h, w] to the target's grid.
absl::StatusOr<DerivationPtr> Resample(DerivationPtr value, const Grid& to) {
  InterpolateOp op;
  op.sizes = {to.height, to.width};
  op.antialias = true;
  return Derive(std::move(op), {std::move(value)});
}

// [1, h, w, dim] to the target's grid.
absl::StatusOr<DerivationPtr> ResampleLast(DerivationPtr value,
                                           const Grid& to) {
  ASSIGN_OR_RETURN(value, Derive(PermuteOp{{0, 3, 1, 2}}, {std::move(value)}));
  ASSIGN_OR_RETURN(value, Resample(std::move(value), to));
  return Derive(PermuteOp{{0, 2, 3, 1}}, {std::move(value)});
}

// The tokens in front of the grids.
int64_t PrefixOf(const PositionEmbeddingAdapter& adapter, int64_t source,
                 int64_t target) {
  if (adapter.prefix_tokens.has_value()) return *adapter.prefix_tokens;
  const auto fits = [](const std::vector<int64_t>& grid, int64_t tokens) {
    return grid.empty() ? ExactRoot(tokens) > 0
                        : grid[0] > 0 && tokens % grid[0] == 0 &&
                              tokens / grid[0] == grid[1];
  };
  return fits(adapter.source_grid, source - 1) &&
                 fits(adapter.target_grid, target - 1)
             ? 1
             : 0;
}

// [1, prefix + h * w, dim]
absl::StatusOr<Adaptation> AdaptTokens(const PositionEmbeddingAdapter& adapter,
                                       const Misfit& misfit) {
  const std::vector<int64_t> sizes = SourceSizes(misfit);
  const std::vector<int64_t> target = TargetSizes(misfit);
  const int64_t prefix = PrefixOf(adapter, sizes[1], target[1]);
  if (prefix > std::min(sizes[1], target[1])) {
    return DoesNotFit(absl::StrCat("there are no ", prefix, " prefix tokens"));
  }
  ASSIGN_OR_RETURN(const Grid from,
                   GridOf(adapter.source_grid, sizes[1] - prefix));
  ASSIGN_OR_RETURN(const Grid to,
                   GridOf(adapter.target_grid, target[1] - prefix));
  DerivationPtr tokens = misfit.value;
  if (prefix > 0) {
    ASSIGN_OR_RETURN(
        tokens, Derive(SliceOp{1, prefix, sizes[1] - prefix}, {misfit.value}));
  }
  ASSIGN_OR_RETURN(tokens, Reshape(std::move(tokens),
                                   {1, from.height, from.width, sizes[2]}));
  ASSIGN_OR_RETURN(tokens, ResampleLast(std::move(tokens), to));
  ASSIGN_OR_RETURN(
      tokens, Reshape(std::move(tokens), {1, to.height * to.width, target[2]}));
  if (prefix > 0) {
    ASSIGN_OR_RETURN(DerivationPtr front,
                     Derive(SliceOp{1, 0, prefix}, {misfit.value}));
    ASSIGN_OR_RETURN(front,
                     Derive(CastOp{tokens->spec.dtype()}, {std::move(front)}));
    ASSIGN_OR_RETURN(
        tokens, Derive(ConcatOp{1}, {std::move(front), std::move(tokens)}));
  }
  Adaptation adaptation;
  adaptation.value = std::move(tokens);
  adaptation.words = absl::StrCat(
      "resampled positions of ", GridText(from.height, from.width), " to ",
      GridText(to.height, to.width),
      prefix > 0 ? absl::StrCat(", kept ", prefix, " prefix tokens") : "");
  return adaptation;
}

// [1, h, w, dim] and [1, dim, h, w]
absl::StatusOr<Adaptation> AdaptMap(const Misfit& misfit) {
  const std::vector<int64_t> source = SourceSizes(misfit);
  const std::vector<int64_t> target = TargetSizes(misfit);
  const bool last = source[3] == target[3];
  const bool first = source[1] == target[1];
  if (first == last) {
    return DoesNotFit(first ? "which dimension is that of the channels is not "
                              "clear"
                            : "the numbers of channels differ");
  }
  const size_t spatial = last ? 1 : 2;
  const Grid to{target[spatial], target[spatial + 1]};
  Adaptation adaptation;
  adaptation.words = absl::StrCat(
      "resampled positions of ", GridText(source[spatial], source[spatial + 1]),
      " to ", GridText(to.height, to.width));
  ASSIGN_OR_RETURN(adaptation.value, last ? ResampleLast(misfit.value, to)
                                          : Resample(misfit.value, to));
  return adaptation;
}

// How much of each of two neighbours a new position takes.
struct Interpolation {
  std::vector<int64_t> left;
  std::vector<int64_t> right;
  std::vector<double> left_weights;
  std::vector<double> right_weights;
};

// The positions that timm gives `source` entries of a table so that they reach
// as far as `target` entries do, at distances that grow geometrically: near
// ones are known best.
std::vector<float> GeometricPositions(int64_t source, int64_t target) {
  const int64_t half = source / 2;
  double low = 1.01;
  double high = 1.5;
  double ratio = low;
  while (high - low > 1e-6) {
    ratio = (low + high) / 2;
    const double reach =
        (1 - std::pow(ratio, static_cast<double>(half))) / (1 - ratio);
    (reach > static_cast<double>(target / 2) ? high : low) = ratio;
  }
  std::vector<float> positions(2 * half + 1);
  double distance = 1;
  for (int64_t i = 0; i < half; ++i) {
    positions[half + 1 + i] = static_cast<float>(distance);
    positions[half - 1 - i] = static_cast<float>(-distance);
    distance += std::pow(ratio, static_cast<double>(i + 1));
  }
  return positions;
}

// Linear interpolation between those positions; what is beyond them takes the
// outermost.
Interpolation InterpolateBetween(int64_t source, int64_t target) {
  const std::vector<float> known = GeometricPositions(source, target);
  Interpolation result;
  for (int64_t i = 0; i < target; ++i) {
    const auto at = static_cast<float>(i - target / 2);
    const int64_t after =
        std::lower_bound(known.begin(), known.end(), at) - known.begin();
    const int64_t right =
        std::min(after, static_cast<int64_t>(known.size()) - 1);
    const int64_t left = std::max<int64_t>(right - 1, 0);
    const float from_left = std::max(at - known[left], 0.0F);
    const float to_right = std::max(known[right] - at, 0.0F);
    const double width = static_cast<double>(from_left) + to_right;
    result.left.push_back(left);
    result.right.push_back(right);
    result.left_weights.push_back(width == 0 ? 0.5 : to_right / width);
    result.right_weights.push_back(width == 0 ? 0.5 : from_left / width);
  }
  return result;
}

absl::StatusOr<DerivationPtr> InterpolateAlong(int dim, int64_t target,
                                               const DerivationPtr& value) {
  Interpolation steps =
      InterpolateBetween(value->spec.shape().sizes()[dim], target);
  ASSIGN_OR_RETURN(DerivationPtr left,
                   Derive(SelectOp{dim, std::move(steps.left)}, {value}));
  ASSIGN_OR_RETURN(left,
                   Derive(ScaleAlongOp{dim, std::move(steps.left_weights)},
                          {std::move(left)}));
  ASSIGN_OR_RETURN(DerivationPtr right,
                   Derive(SelectOp{dim, std::move(steps.right)}, {value}));
  ASSIGN_OR_RETURN(right,
                   Derive(ScaleAlongOp{dim, std::move(steps.right_weights)},
                          {std::move(right)}));
  return Derive(LinearCombinationOp{{1, 1}},
                {std::move(left), std::move(right)});
}

// BEiT's tables end in three entries for its class token.
constexpr int64_t kExtraEntries = 3;

// The relative positions of a window: 2 * height - 1 by 2 * width - 1.
absl::StatusOr<Grid> RelativeGrid(const std::vector<int64_t>& window,
                                  int64_t positions) {
  if (!window.empty()) {
    return GridOf({2 * window[0] - 1, 2 * window[1] - 1}, positions);
  }
  ASSIGN_OR_RETURN(Grid grid, GridOf({}, positions));
  if (grid.height % 2 == 1) return grid;
  return DoesNotFit(
      absl::StrCat(positions, " are not the relative positions of a window"));
}

}  // namespace

absl::StatusOr<Adaptation> AdaptPositionEmbedding(
    const PositionEmbeddingAdapter& adapter, const Misfit& misfit) {
  RETURN_IF_ERROR(CheckFractional(misfit));
  const std::vector<int64_t> source = SourceSizes(misfit);
  const std::vector<int64_t> target = TargetSizes(misfit);
  if (source.size() != target.size() || source.empty() || source[0] != 1) {
    return DoesNotFit("it is no position embedding [1, positions, dim]");
  }
  if (source.size() == 4) return AdaptMap(misfit);
  if (source.size() != 3 || source[2] != target[2]) {
    return DoesNotFit(
        "it is no position embedding that differs in its "
        "positions alone");
  }
  return AdaptTokens(adapter, misfit);
}

absl::StatusOr<Adaptation> AdaptPositionEmbedding1d(const Misfit& misfit) {
  RETURN_IF_ERROR(CheckFractional(misfit));
  std::vector<int64_t> source = SourceSizes(misfit);
  const std::vector<int64_t> target = TargetSizes(misfit);
  const size_t rank = target.size();
  const bool fits = (rank == 2 || (rank == 3 && target[0] == 1)) &&
                    AgreeExcept(misfit, {static_cast<int>(rank) - 2});
  if (!fits) {
    return DoesNotFit(
        "it is no position embedding [positions, dim] that "
        "differs in its positions alone");
  }
  const int64_t positions = target[rank - 2];
  Adaptation adaptation;
  adaptation.words = absl::StrCat("interpolated ", source[rank - 2],
                                  " positions to ", positions);
  if (rank == 2) source.insert(source.begin(), 1);
  ASSIGN_OR_RETURN(DerivationPtr value,
                   Reshape(misfit.value, std::move(source)));
  ASSIGN_OR_RETURN(value, Derive(PermuteOp{{0, 2, 1}}, {std::move(value)}));
  InterpolateOp op;
  op.mode = InterpolateOp::Mode::kLinear;
  op.sizes = {positions};
  ASSIGN_OR_RETURN(value, Derive(std::move(op), {std::move(value)}));
  ASSIGN_OR_RETURN(value, Derive(PermuteOp{{0, 2, 1}}, {std::move(value)}));
  ASSIGN_OR_RETURN(adaptation.value, Derive(ReshapeOp{misfit.target.shape()},
                                            {std::move(value)}));
  return adaptation;
}

absl::StatusOr<Adaptation> AdaptRelativePositionBias(
    const RelativePositionBiasAdapter& adapter, const Misfit& misfit) {
  RETURN_IF_ERROR(CheckFractional(misfit));
  if (misfit.target.shape().rank() != 2 || !AgreeExcept(misfit, {0})) {
    return DoesNotFit(
        "it is no table [relative positions, heads] that differs "
        "in its positions alone");
  }
  const int64_t source = SourceSizes(misfit)[0];
  const int64_t target = TargetSizes(misfit)[0];
  const int64_t heads = TargetSizes(misfit)[1];
  absl::StatusOr<Grid> from = RelativeGrid(adapter.source_window, source);
  absl::StatusOr<Grid> to = RelativeGrid(adapter.target_window, target);
  int64_t extra = 0;
  if (!from.ok() && !to.ok() && source > kExtraEntries &&
      target > kExtraEntries) {
    extra = kExtraEntries;
    from = RelativeGrid(adapter.source_window, source - extra);
    to = RelativeGrid(adapter.target_window, target - extra);
  }
  if (!from.ok()) return from.status();
  if (!to.ok()) return to.status();

  DerivationPtr table = misfit.value;
  if (extra > 0) {
    ASSIGN_OR_RETURN(table, Derive(SliceOp{0, 0, source - extra}, {table}));
  }
  ASSIGN_OR_RETURN(
      table, Reshape(std::move(table), {from->height, from->width, heads}));
  ASSIGN_OR_RETURN(table, InterpolateAlong(0, to->height, table));
  ASSIGN_OR_RETURN(table, InterpolateAlong(1, to->width, table));
  ASSIGN_OR_RETURN(table, Reshape(std::move(table), {target - extra, heads}));
  if (extra > 0) {
    ASSIGN_OR_RETURN(DerivationPtr rest,
                     Derive(SliceOp{0, source - extra, extra}, {misfit.value}));
    ASSIGN_OR_RETURN(rest,
                     Derive(CastOp{table->spec.dtype()}, {std::move(rest)}));
    ASSIGN_OR_RETURN(table,
                     Derive(ConcatOp{0}, {std::move(table), std::move(rest)}));
  }
  Adaptation adaptation;
  adaptation.value = std::move(table);
  adaptation.words = absl::StrCat("interpolated relative positions of ",
                                  GridText(from->height, from->width), " to ",
                                  GridText(to->height, to->width));
  return adaptation;
}

}  // namespace warmstart::planner
