#include "server/torch/distribution.h"

#include <c10/core/ScalarType.h>

#include <cmath>
#include <cstdint>
#include <stdexcept>

#include "absl/types/span.h"
#include "server/torch/tensor_bridge.h"

namespace warmstart::backend {
namespace {

Distribution Constant(double value) {
  return {Distribution::Kind::kConstant, value, 0};
}

Distribution SymmetricUniform(double bound) {
  return {Distribution::Kind::kUniform, -bound, bound};
}

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
// size of the receptive field.
int64_t Fan(FanMode mode, const Shape& shape) {
  const absl::Span<const int64_t> sizes = shape.sizes();
  int64_t fan = sizes[mode == FanMode::kFanIn ? 1 : 0];
  for (int64_t size : sizes.subspan(2)) fan *= size;
  return fan;
}

struct Resolver {
  const Shape& shape;

  Distribution operator()(const ConstantInit& init) const {
    return Constant(init.value);
  }
  Distribution operator()(const NormalInit& init) const {
    return {Distribution::Kind::kNormal, init.mean, init.std};
  }
  Distribution operator()(const UniformInit& init) const {
    return {Distribution::Kind::kUniform, init.low, init.high};
  }
  Distribution operator()(const KaimingUniformInit& init) const {
    // Nothing to draw, and the fan may be 0.
    if (shape.num_elements() == 0) return Constant(0);
    const double fan = static_cast<double>(Fan(init.mode, shape));
    // In torch's order: another one rounds differently.
    const double std = Gain(init.nonlinearity, init.a) / std::sqrt(fan);
    return SymmetricUniform(std::sqrt(3.0) * std);
  }
  Distribution operator()(const FanInUniformInit& init) const {
    if (init.fan_in == 0) return Constant(0);
    return SymmetricUniform(1 / std::sqrt(static_cast<double>(init.fan_in)));
  }
  template <typename Other>
  Distribution operator()(const Other&) const {
    throw std::invalid_argument("this initializer is not there yet");
  }
};

}  // namespace

Distribution DistributionOf(const Initializer& initializer,
                            const Shape& shape) {
  return std::visit(Resolver{shape}, initializer);
}

DType DrawnType(const Distribution& distribution, DType dtype) {
  if (distribution.kind == Distribution::Kind::kConstant) return dtype;
  return at::isFloat8Type(ToScalarType(dtype)) ? DType::kFloat32 : dtype;
}

void Draw(const Distribution& distribution, at::Generator& generator,
          at::Tensor& tensor) {
  switch (distribution.kind) {
    case Distribution::Kind::kConstant:
      // torch.nn.init.zeros_ makes zeros of float8_e8m0fnu too, which has none
      // and which fill_ refuses.
      if (distribution.a == 0 && !std::signbit(distribution.a)) {
        tensor.zero_();
      } else {
        tensor.fill_(distribution.a);
      }
      return;
    case Distribution::Kind::kNormal:
      tensor.normal_(distribution.a, distribution.b, generator);
      return;
    case Distribution::Kind::kUniform:
      tensor.uniform_(distribution.a, distribution.b, generator);
      return;
  }
}

}  // namespace warmstart::backend
