#include "server/torch/filling.h"

#include <ATen/Functions.h>
#include <ATen/ScalarOps.h>
#include <c10/core/ScalarType.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>

#include "absl/types/span.h"
#include "server/torch/tensor_bridge.h"

namespace warmstart::backend {
namespace {

UniformInit SymmetricUniform(double bound) { return {-bound, bound}; }

// torch.nn.init.calculate_gain
double Gain(Nonlinearity nonlinearity, double a) {
  switch (nonlinearity) {
    case Nonlinearity::kLeakyRelu:
      return std::sqrt(2.0 / (1 + a * a));
    case Nonlinearity::kRelu:
      return std::sqrt(2.0);
    case Nonlinearity::kTanh:
      return 5.0 / 3;
    case Nonlinearity::kSelu:
      return 3.0 / 4;
    case Nonlinearity::kSigmoid:
    case Nonlinearity::kLinear:
      break;
  }
  return 1;
}

// torch.nn.init._calculate_fan_in_and_fan_out: the maps on one side, times the
// size of the receptive field. In doubles, which no sum of two fans overflows.
double Fan(FanMode mode, const Shape& shape) {
  const absl::Span<const int64_t> sizes = shape.sizes();
  double fan = static_cast<double>(sizes[mode == FanMode::kFanIn ? 1 : 0]);
  for (int64_t size : sizes.subspan(2)) fan *= static_cast<double>(size);
  return fan;
}

// In torch's order, here and below: another one rounds differently.
template <typename Kaiming>
double KaimingStd(const Kaiming& init, const Shape& shape) {
  return Gain(init.nonlinearity, init.a) / std::sqrt(Fan(init.mode, shape));
}

double XavierStd(double gain, const Shape& shape) {
  return gain * std::sqrt(2.0 / (Fan(FanMode::kFanIn, shape) +
                                 Fan(FanMode::kFanOut, shape)));
}

struct Resolver {
  const Shape& shape;

  // torch.nn.init's kaiming functions leave tensors without elements, whose
  // fans may be 0, as they are.
  Filling operator()(const KaimingUniformInit& init) const {
    if (shape.num_elements() == 0) return ConstantInit{0};
    return SymmetricUniform(std::sqrt(3.0) * KaimingStd(init, shape));
  }
  Filling operator()(const KaimingNormalInit& init) const {
    if (shape.num_elements() == 0) return ConstantInit{0};
    return NormalInit{0, KaimingStd(init, shape)};
  }
  Filling operator()(const XavierUniformInit& init) const {
    return SymmetricUniform(std::sqrt(3.0) * XavierStd(init.gain, shape));
  }
  Filling operator()(const XavierNormalInit& init) const {
    return NormalInit{0, XavierStd(init.gain, shape)};
  }
  Filling operator()(const FanInUniformInit& init) const {
    if (init.fan_in == 0) return ConstantInit{0};
    return SymmetricUniform(1 / std::sqrt(static_cast<double>(init.fan_in)));
  }
  Filling operator()(const StoredInit&) const {
    TORCH_CHECK(false, "stored values are loaded, not drawn");
  }
  // The others say what to do as they are.
  template <typename Init>
  Filling operator()(const Init& init) const {
    return init;
  }
};

// As Python hands a number over. Kernels of half precision multiply by it
// unrounded, while Tensor::mul_(Scalar) rounds it first.
at::Tensor Number(double value) {
  return at::native::wrapped_scalar_tensor(value);
}

double NormalCdf(double x) { return (1.0 + std::erf(x / std::sqrt(2.0))) / 2; }

struct Filler {
  at::Generator& generator;
  at::Tensor& tensor;

  void operator()(const ConstantInit& init) const {
    // torch.nn.init.zeros_ makes zeros of float8_e8m0fnu too, which has none
    // and which fill_ refuses.
    if (init.value == 0 && !std::signbit(init.value)) {
      tensor.zero_();
    } else {
      tensor.fill_(init.value);
    }
  }
  void operator()(const UniformInit& init) const {
    tensor.uniform_(init.low, init.high, generator);
  }
  void operator()(const NormalInit& init) const {
    tensor.normal_(init.mean, init.std, generator);
    if (init.zero_row.has_value()) tensor.select(0, *init.zero_row).zero_();
  }
  void operator()(const TruncNormalInit& init) const {
    const double low = NormalCdf((init.a - init.mean) / init.std);
    const double high = NormalCdf((init.b - init.mean) / init.std);
    tensor.uniform_(2 * low - 1, 2 * high - 1, generator);
    tensor.erfinv_();
    tensor.mul_(Number(init.std * std::sqrt(2.0)));
    tensor.add_(Number(init.mean));
    tensor.clamp_(init.a, init.b);
  }
  void operator()(const OrthogonalInit& init) const {
    if (tensor.numel() == 0) return;
    const int64_t rows = tensor.size(0);
    const int64_t columns = tensor.numel() / rows;
    at::Tensor normal = at::empty({rows, columns}, tensor.options());
    normal.normal_(0, 1, generator);
    const bool is_wide = rows < columns;
    if (is_wide) normal.t_();
    auto [q, r] = at::linalg_qr(normal);
    // Makes Q uniform; see arXiv:math-ph/0609050.
    q.mul_(at::diag(r).sign());
    if (is_wide) q.t_();
    tensor.view({rows, columns}).copy_(q);
    tensor.mul_(Number(init.gain));
  }
  void operator()(const SparseInit& init) const {
    tensor.normal_(0, init.std, generator);
    const int64_t rows = tensor.size(0);
    const auto zeros = static_cast<int64_t>(
        std::ceil(init.sparsity * static_cast<double>(rows)));
    const at::Tensor zero = at::zeros({}, tensor.options());
    for (int64_t column = 0; column < tensor.size(1); ++column) {
      const at::Tensor order =
          at::randperm(rows, generator, tensor.options().dtype(at::kLong));
      tensor.select(1, column).index_put_({order.narrow(0, 0, zeros)}, zero);
    }
  }
  void operator()(const EyeInit&) const {
    at::eye_out(tensor, tensor.size(0), tensor.size(1));
  }
  void operator()(const DiracInit& init) const {
    tensor.zero_();
    if (tensor.numel() == 0) return;
    at::Tensor centre = tensor;
    while (centre.dim() > 2) centre = centre.select(2, centre.size(2) / 2);
    const int64_t outputs = tensor.size(0) / init.groups;
    for (int64_t group = 0; group < init.groups; ++group) {
      centre.narrow(0, group * outputs, outputs).diagonal().fill_(1);
    }
  }
};

}  // namespace

Filling FillingOf(const Initializer& initializer, const Shape& shape) {
  return std::visit(Resolver{shape}, initializer);
}

bool DrawsNumbers(const Filling& filling) {
  return !std::holds_alternative<ConstantInit>(filling) &&
         !std::holds_alternative<EyeInit>(filling) &&
         !std::holds_alternative<DiracInit>(filling);
}

bool IsElementwise(const Filling& filling) {
  return std::holds_alternative<ConstantInit>(filling) ||
         std::holds_alternative<UniformInit>(filling) ||
         std::holds_alternative<NormalInit>(filling) ||
         std::holds_alternative<TruncNormalInit>(filling);
}

std::optional<int64_t> ZeroRow(const Filling& filling) {
  const auto* normal = std::get_if<NormalInit>(&filling);
  return normal == nullptr ? std::nullopt : normal->zero_row;
}

DType FilledType(const Filling& filling, DType dtype) {
  return DrawsNumbers(filling) && at::isFloat8Type(ToScalarType(dtype))
             ? DType::kFloat32
             : dtype;
}

void Fill(const Filling& filling, at::Generator& generator,
          at::Tensor& tensor) {
  std::visit(Filler{generator, tensor}, filling);
}

void FillPiece(const Filling& filling, at::Generator& generator,
               at::Tensor& piece) {
  TORCH_CHECK(IsElementwise(filling), "cannot be made in pieces");
  if (const auto* normal = std::get_if<NormalInit>(&filling)) {
    piece.normal_(normal->mean, normal->std, generator);
  } else {
    Fill(filling, generator, piece);
  }
}

}  // namespace warmstart::backend
