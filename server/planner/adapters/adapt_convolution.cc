// Adapters of convolutions' weights, [out, in, spatial...].

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/planner/adapters/adapt_kinds.h"

namespace warmstart::planner {
namespace {

// Images have three channels, and a space-to-depth stem has them once for each
// pixel of a block.
constexpr int64_t kImageChannels = 3;

bool IsSpaceToDepth(int64_t source, int64_t target) {
  return source % kImageChannels == 0 && target == source / kImageChannels &&
         target > 1 && ExactRoot(target) > 1;
}

absl::StatusOr<DerivationPtr> SumOfBlocks(const Misfit& misfit) {
  std::vector<int64_t> grouped = SourceSizes(misfit);
  grouped.insert(grouped.begin() + 2, kImageChannels);
  grouped[1] /= kImageChannels;
  ASSIGN_OR_RETURN(DerivationPtr value,
                   Reshape(misfit.value, std::move(grouped)));
  ASSIGN_OR_RETURN(value, Derive(SumOp{2}, {std::move(value)}));
  return Derive(ReshapeOp{misfit.target.shape()}, {std::move(value)});
}

// Channels in turn, as many as the target has, scaled so that equal inputs give
// what they gave.
absl::StatusOr<DerivationPtr> RepeatChannels(const Misfit& misfit,
                                             int64_t source, int64_t target) {
  std::vector<int64_t> indices(target);
  for (int64_t i = 0; i < target; ++i) indices[i] = i % source;
  ASSIGN_OR_RETURN(DerivationPtr value,
                   Derive(SelectOp{1, std::move(indices)}, {misfit.value}));
  return Derive(ScaleOp{static_cast<double>(source) / target},
                {std::move(value)});
}

}  // namespace

absl::StatusOr<Adaptation> AdaptInputChannels(const Misfit& misfit) {
  RETURN_IF_ERROR(CheckFractional(misfit));
  if (misfit.target.shape().rank() < 3 || !AgreeExcept(misfit, {1})) {
    return DoesNotFit(
        "it is no convolution's weight that differs in its input channels "
        "alone");
  }
  const int64_t source = SourceSizes(misfit)[1];
  const int64_t target = TargetSizes(misfit)[1];
  if (source < 1 || target < 1) return DoesNotFit("there are no channels");
  Adaptation adaptation;
  if (target == 1) {
    adaptation.words = absl::StrCat("summed ", source, " input channels");
    ASSIGN_OR_RETURN(adaptation.value, Derive(SumOp{1}, {misfit.value}));
  } else if (IsSpaceToDepth(source, target)) {
    adaptation.words =
        absl::StrCat("summed ", source, " input channels to ", target,
                     ", one for each pixel of a space-to-depth block");
    ASSIGN_OR_RETURN(adaptation.value, SumOfBlocks(misfit));
  } else {
    adaptation.words =
        absl::StrCat("repeated ", source, " input channels to make ", target,
                     ", scaled by ", source, "/", target);
    ASSIGN_OR_RETURN(adaptation.value, RepeatChannels(misfit, source, target));
  }
  return adaptation;
}

absl::StatusOr<Adaptation> Inflate(const InflateAdapter& adapter,
                                   const Misfit& misfit) {
  RETURN_IF_ERROR(CheckFractional(misfit));
  std::vector<int64_t> flat = SourceSizes(misfit);
  const std::vector<int64_t> target = TargetSizes(misfit);
  if (flat.size() != 4 || target.size() != 5 || target[2] < 1) {
    return DoesNotFit("it is no 2D convolution's weight for a 3D one");
  }
  const int64_t depth = target[2];
  flat.insert(flat.begin() + 2, 1);
  ASSIGN_OR_RETURN(DerivationPtr slice, Reshape(misfit.value, flat));
  flat[2] = depth;
  if (flat != target) {
    return DoesNotFit("the shapes differ in more than the new dimension");
  }
  Adaptation adaptation;
  if (adapter.mode == InflateAdapter::Mode::kCenter) {
    adaptation.words = absl::StrCat("put at the centre of ", depth, " slices");
    adaptation.fresh = depth > 1;
    adaptation.initializer = ConstantInit{0};
    ASSIGN_OR_RETURN(DerivationPtr zeros, FreshBase(misfit));
    ASSIGN_OR_RETURN(adaptation.value,
                     Derive(OverwriteOp{{0, 0, depth / 2, 0, 0}},
                            {std::move(zeros), std::move(slice)}));
    return adaptation;
  }
  adaptation.words =
      absl::StrCat("repeated ", depth, " times and divided by ", depth);
  ASSIGN_OR_RETURN(DerivationPtr repeated,
                   Derive(ExpandOp{misfit.target.shape()}, {std::move(slice)}));
  ASSIGN_OR_RETURN(
      adaptation.value,
      Derive(ScaleOp{1.0 / static_cast<double>(depth)}, {std::move(repeated)}));
  return adaptation;
}

absl::StatusOr<Adaptation> AdaptPatchEmbedding(const Misfit& misfit) {
  RETURN_IF_ERROR(CheckFractional(misfit));
  if (misfit.target.shape().rank() != 4 || !AgreeExcept(misfit, {2, 3})) {
    return DoesNotFit(
        "it is no patch embedding that differs in its patch size alone");
  }
  const std::vector<int64_t> source = SourceSizes(misfit);
  const std::vector<int64_t> target = TargetSizes(misfit);
  Adaptation adaptation;
  adaptation.words =
      absl::StrCat("resampled patches of ", GridText(source[2], source[3]),
                   " to ", GridText(target[2], target[3]));
  ASSIGN_OR_RETURN(
      adaptation.value,
      Derive(ResamplePatchOp{target[2], target[3]}, {misfit.value}));
  return adaptation;
}

}  // namespace warmstart::planner
