// Initializer: how the values of a fresh tensor are made. Each kind is the
// function of the same name in torch.nn.init, with its arguments and defaults,
// unless it says otherwise.

#ifndef WARMSTART_SERVER_MODEL_INITIALIZER_H_
#define WARMSTART_SERVER_MODEL_INITIALIZER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/model/digest.h"
#include "server/model/tensor_spec.h"

namespace warmstart {

struct ConstantInit {
  double value = 0;  // zeros is 0, ones is 1
  friend bool operator==(const ConstantInit&, const ConstantInit&) = default;
};
struct NormalInit {
  double mean = 0;
  double std = 1;
  // A row, along the first dimension, that is zero afterwards: padding_idx of
  // torch.nn.Embedding.
  std::optional<int64_t> zero_row;
  friend bool operator==(const NormalInit&, const NormalInit&) = default;
};
struct UniformInit {
  double low = 0;
  double high = 1;
  friend bool operator==(const UniformInit&, const UniformInit&) = default;
};

enum class FanMode { kFanIn, kFanOut };
// What torch.nn.init.calculate_gain takes, as far as its gains differ: "linear"
// stands for the convolutions' names too.
enum class Nonlinearity { kLeakyRelu, kRelu, kLinear, kTanh, kSigmoid, kSelu };

// With the defaults, what torch.nn.Linear and Conv do for their weights.
struct KaimingUniformInit {
  double a = 2.23606797749978969;  // sqrt(5); used by leaky_relu alone
  FanMode mode = FanMode::kFanIn;
  Nonlinearity nonlinearity = Nonlinearity::kLeakyRelu;
  friend bool operator==(const KaimingUniformInit&,
                         const KaimingUniformInit&) = default;
};
struct KaimingNormalInit {
  double a = 0;  // used by leaky_relu alone
  FanMode mode = FanMode::kFanIn;
  Nonlinearity nonlinearity = Nonlinearity::kLeakyRelu;
  friend bool operator==(const KaimingNormalInit&,
                         const KaimingNormalInit&) = default;
};
struct XavierUniformInit {
  double gain = 1;
  friend bool operator==(const XavierUniformInit&,
                         const XavierUniformInit&) = default;
};
struct XavierNormalInit {
  double gain = 1;
  friend bool operator==(const XavierNormalInit&,
                         const XavierNormalInit&) = default;
};
struct TruncNormalInit {
  double mean = 0;
  double std = 1;
  double a = -2;  // the least and the greatest value, not in units of std
  double b = 2;
  friend bool operator==(const TruncNormalInit&,
                         const TruncNormalInit&) = default;
};
struct OrthogonalInit {
  double gain = 1;
  friend bool operator==(const OrthogonalInit&,
                         const OrthogonalInit&) = default;
};
struct SparseInit {
  double sparsity = 0;  // the fraction of each column that is zero
  double std = 0.01;
  friend bool operator==(const SparseInit&, const SparseInit&) = default;
};
struct EyeInit {
  friend bool operator==(const EyeInit&, const EyeInit&) = default;
};
struct DiracInit {
  int64_t groups = 1;
  friend bool operator==(const DiracInit&, const DiracInit&) = default;
};
// What torch.nn.Linear and Conv do for their biases: uniform in
// +-1/sqrt(fan_in) of the weight that the bias belongs to; zeros where fan_in
// is 0.
struct FanInUniformInit {
  int64_t fan_in = 0;
  friend bool operator==(const FanInUniformInit&,
                         const FanInUniformInit&) = default;
};
// Values that the store holds, of the architecture's dtype and shape: no
// function of torch.nn.init. The architecture's `initial_values` keeps them
// there.
struct StoredInit {
  std::string key;  // of the tensor in that checkpoint
  Digest digest;
  friend bool operator==(const StoredInit&, const StoredInit&) = default;
};

using Initializer =
    std::variant<ConstantInit, NormalInit, UniformInit, KaimingUniformInit,
                 FanInUniformInit, KaimingNormalInit, XavierUniformInit,
                 XavierNormalInit, TruncNormalInit, OrthogonalInit, SparseInit,
                 EyeInit, DiracInit, StoredInit>;

// INVALID_ARGUMENT, saying why, where `initializer` cannot make any tensor:
// numbers that make no sense (not finite, low above high, std below 0).
absl::Status ValidateInitializer(const Initializer& initializer);

// The same, and where it cannot make one of `spec`: a rank, a fan or a row that
// the shape does not have, or a dtype of which torch.nn.init makes nothing. Of
// float8, which torch.nn.init does not draw, values are float32 ones, cast.
absl::Status ValidateInitializer(const Initializer& initializer,
                                 const TensorSpec& spec);

// "zeros", "constant", "normal", ...: for messages and reports.
absl::string_view InitializerName(const Initializer& initializer);

// Whether it draws random numbers.
bool IsRandom(const Initializer& initializer);

}  // namespace warmstart

#endif  // WARMSTART_SERVER_MODEL_INITIALIZER_H_
