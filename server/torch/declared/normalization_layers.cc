// LayerNorm, RMSNorm, GroupNorm, BatchNorm and InstanceNorm.

#include "server/torch/declared/normalization_layers.h"

#include <ATen/Context.h>
#include <ATen/Functions.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/torch/declared/checks.h"
#include "server/torch/declared/layer_table.h"

namespace warmstart::backend::declared {

using at::Tensor;

LayerNormParameters DeclareLayerNorm(Scope& scope, Sizes sizes, double eps,
                                     bool bias, DType dtype) {
  LayerNormParameters parameters;
  parameters.weight = scope.Parameter("weight", dtype, sizes, ConstantInit{1});
  if (bias) {
    parameters.bias = scope.Parameter("bias", dtype, sizes, ConstantInit{0});
  }
  parameters.sizes = std::move(sizes);
  parameters.eps = eps;
  return parameters;
}

Tensor LayerNorm(const Pass& pass, const LayerNormParameters& parameters,
                 const Tensor& input) {
  return at::layer_norm(input, parameters.sizes, pass[parameters.weight],
                        pass[parameters.bias], parameters.eps);
}

namespace {

absl::StatusOr<Layer> MakeLayerNorm(Options& options, Scope& scope) {
  const Sizes sizes = options.List("normalized_shape", 1);
  const double eps = options.NumberOr("eps", 1e-5);
  const bool affine = options.FlagOr("elementwise_affine", true);
  const bool bias = options.FlagOr("bias", true);
  const DType dtype = options.FloatType();
  RETURN_IF_ERROR(options.Done());
  LayerNormParameters parameters{.sizes = sizes, .eps = eps};
  if (affine) parameters = DeclareLayerNorm(scope, sizes, eps, bias, dtype);
  return TensorLayer([=](const Pass& pass, const Tensor& input) {
    RequireLast("LayerNorm", sizes, input);
    return LayerNorm(pass, parameters, input);
  });
}

absl::StatusOr<Layer> MakeRMSNorm(Options& options, Scope& scope) {
  const Sizes sizes = options.List("normalized_shape", 1);
  const std::optional<double> eps = options.OptionalNumber("eps");
  const bool affine = options.FlagOr("elementwise_affine", true);
  const DType dtype = options.FloatType();
  RETURN_IF_ERROR(options.Done());
  const StateIndex weight =
      affine ? scope.Parameter("weight", dtype, sizes, ConstantInit{1})
             : StateIndex();
  return TensorLayer([=](const Pass& pass, const Tensor& input) {
    RequireLast("RMSNorm", sizes, input);
    std::optional<Tensor> scale;
    if (weight.is_there()) scale = pass[weight];
    return at::rms_norm(input, sizes, scale, eps);
  });
}

struct Affine {
  StateIndex weight, bias;
};

Affine DeclareAffine(Scope& scope, bool affine, int64_t count, DType dtype) {
  if (!affine) return {};
  const StateIndex weight =
      scope.Parameter("weight", dtype, {count}, ConstantInit{1});
  return {weight, scope.Parameter("bias", dtype, {count}, ConstantInit{0})};
}

absl::StatusOr<Layer> MakeGroupNorm(Options& options, Scope& scope) {
  const int64_t groups = options.Size("num_groups");
  const int64_t channels = options.Size("num_channels");
  options.Require(channels % groups == 0, "num_groups",
                  absl::StrCat("must divide num_channels, which is ", channels,
                               ", is ", groups));
  const double eps = options.NumberOr("eps", 1e-5);
  const bool has_affine = options.FlagOr("affine", true);
  const DType dtype = options.FloatType();
  RETURN_IF_ERROR(options.Done());
  const Affine affine = DeclareAffine(scope, has_affine, channels, dtype);
  return TensorLayer([=](const Pass& pass, const Tensor& input) {
    TORCH_CHECK(input.dim() >= 2 && input.size(1) == channels,
                "GroupNorm takes ", channels,
                " channels in the second dimension, the input has shape ",
                input.sizes());
    return at::group_norm(input, groups, pass[affine.weight], pass[affine.bias],
                          eps);
  });
}

// What BatchNorm and InstanceNorm have in common: _NormBase.
struct NormBase {
  std::string type;
  int64_t features = 1;
  double eps = 1e-5;
  bool has_affine = true;
  bool tracks = true;
  DType dtype = DType::kFloat32;
  Affine affine;
  StateIndex mean, variance;
};

absl::StatusOr<NormBase> MakeNormBase(Options& options, Scope& scope,
                                      bool affine, bool tracks) {
  NormBase norm;
  norm.type = options.type();
  norm.features = options.Size("num_features");
  norm.eps = options.NumberOr("eps", 1e-5);
  options.Ignore("momentum");
  norm.has_affine = options.FlagOr("affine", affine);
  norm.tracks = options.FlagOr("track_running_stats", tracks);
  norm.dtype = options.FloatType();
  RETURN_IF_ERROR(options.Done());
  norm.affine =
      DeclareAffine(scope, norm.has_affine, norm.features, norm.dtype);
  if (norm.tracks) {
    const Sizes sizes = {norm.features};
    norm.mean =
        scope.Buffer("running_mean", norm.dtype, sizes, ConstantInit{0});
    norm.variance =
        scope.Buffer("running_var", norm.dtype, sizes, ConstantInit{1});
    scope.Buffer("num_batches_tracked", DType::kInt64, {}, ConstantInit{0});
  }
  return norm;
}

// Without running statistics, those of the batch are used, as in training.
// Momentum would only move the running ones.
constexpr double kMomentum = 0.1;

Tensor BatchNorm(const Pass& pass, const NormBase& norm, const Tensor& input) {
  // One value has no variance.
  TORCH_CHECK(norm.tracks || input.numel() != input.size(1), norm.type,
              " without running statistics takes more than one value per "
              "channel, the input has shape ",
              input.sizes());
  return at::batch_norm(input, pass[norm.affine.weight], pass[norm.affine.bias],
                        pass[norm.mean], pass[norm.variance],
                        /*training=*/!norm.tracks, kMomentum, norm.eps,
                        at::globalContext().userEnabledCuDNN());
}

LayerType BatchNormOf(int64_t rank) {
  const auto make = [rank](Options& options,
                           Scope& scope) -> absl::StatusOr<Layer> {
    ASSIGN_OR_RETURN(const NormBase norm,
                     MakeNormBase(options, scope, true, true));
    return TensorLayer([=](const Pass& pass, const Tensor& input) {
      // BatchNorm1d takes [N, C] too.
      const int64_t least = rank == 1 ? 2 : rank + 2;
      TORCH_CHECK(input.dim() >= least && input.dim() <= rank + 2 &&
                      input.size(1) == norm.features,
                  norm.type, " takes ", rank == 1 ? "2 or " : "", rank + 2,
                  " dimensions with ", norm.features,
                  " features in the second, the input has shape ",
                  input.sizes());
      return BatchNorm(pass, norm, input);
    });
  };
  return Leaf(make, /*version=*/2);
}

Tensor InstanceNorm(const Pass& pass, const NormBase& norm,
                    const Tensor& batch) {
  const int64_t channels = batch.size(0) * batch.size(1);
  TORCH_CHECK(norm.tracks || batch.numel() != channels, norm.type,
              " without running statistics takes more than one value per "
              "channel, the input has shape ",
              batch.sizes());
  return at::instance_norm(batch, pass[norm.affine.weight],
                           pass[norm.affine.bias], pass[norm.mean],
                           pass[norm.variance],
                           /*use_input_stats=*/!norm.tracks, kMomentum,
                           norm.eps, at::globalContext().userEnabledCuDNN());
}

LayerType InstanceNormOf(int64_t rank) {
  const auto make = [rank](Options& options,
                           Scope& scope) -> absl::StatusOr<Layer> {
    ASSIGN_OR_RETURN(const NormBase norm,
                     MakeNormBase(options, scope, false, false));
    return TensorLayer([=](const Pass& pass, const Tensor& input) {
      RequireChannels(norm.type, norm.features, rank, input);
      if (input.dim() == rank + 2) return InstanceNorm(pass, norm, input);
      return InstanceNorm(pass, norm, input.unsqueeze(0)).squeeze(0);
    });
  };
  return Leaf(make, /*version=*/2);
}

}  // namespace

void AddNormalizationLayers(LayerTable& table) {
  table["GroupNorm"] = Leaf(MakeGroupNorm);
  table["LayerNorm"] = Leaf(MakeLayerNorm);
  table["RMSNorm"] = Leaf(MakeRMSNorm);
  for (const int64_t rank : {1, 2, 3}) {
    table[absl::StrCat("BatchNorm", rank, "d")] = BatchNormOf(rank);
    table[absl::StrCat("InstanceNorm", rank, "d")] = InstanceNormOf(rank);
  }
}

}  // namespace warmstart::backend::declared
