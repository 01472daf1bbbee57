#include "server/rpc/initializer_translation.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"

namespace warmstart::rpc {
namespace {

struct NamedNonlinearity {
  absl::string_view name;
  Nonlinearity nonlinearity;
};

// The names that torch.nn.init.calculate_gain takes. The first of those that
// mean the same is the one that is given back.
constexpr NamedNonlinearity kNonlinearities[] = {
    {"leaky_relu", Nonlinearity::kLeakyRelu},
    {"relu", Nonlinearity::kRelu},
    {"linear", Nonlinearity::kLinear},
    {"tanh", Nonlinearity::kTanh},
    {"sigmoid", Nonlinearity::kSigmoid},
    {"selu", Nonlinearity::kSelu},
    {"conv1d", Nonlinearity::kLinear},
    {"conv2d", Nonlinearity::kLinear},
    {"conv3d", Nonlinearity::kLinear},
    {"conv_transpose1d", Nonlinearity::kLinear},
    {"conv_transpose2d", Nonlinearity::kLinear},
    {"conv_transpose3d", Nonlinearity::kLinear},
};

absl::string_view NameOf(Nonlinearity nonlinearity) {
  for (const NamedNonlinearity& known : kNonlinearities) {
    if (known.nonlinearity == nonlinearity) return known.name;
  }
  return "";
}

absl::StatusOr<Nonlinearity> ParseNonlinearity(absl::string_view name,
                                               const std::string& field) {
  if (name.empty()) return Nonlinearity::kLeakyRelu;
  for (const NamedNonlinearity& known : kNonlinearities) {
    if (known.name == name) return known.nonlinearity;
  }
  return InvalidField(
      absl::StrCat(field, ".nonlinearity"),
      absl::StrCat("'", name, "' is none of ",
                   absl::StrJoin(kNonlinearities, ", ",
                                 [](std::string* out, const auto& known) {
                                   absl::StrAppend(out, known.name);
                                 })));
}

absl::StatusOr<FanMode> ParseFanMode(absl::string_view name,
                                     const std::string& field) {
  if (name.empty() || name == "fan_in") return FanMode::kFanIn;
  if (name == "fan_out") return FanMode::kFanOut;
  return InvalidField(
      absl::StrCat(field, ".mode"),
      absl::StrCat("'", name, "' is neither 'fan_in' nor 'fan_out'"));
}

// KaimingUniform and KaimingNormal, whose `a` the caller reads: their defaults
// differ.
template <typename Init, typename Proto>
absl::StatusOr<Initializer> KaimingFromProto(const Proto& proto, double a,
                                             const std::string& field) {
  Init init;
  init.a = a;
  ASSIGN_OR_RETURN(init.mode, ParseFanMode(proto.mode(), field));
  ASSIGN_OR_RETURN(init.nonlinearity,
                   ParseNonlinearity(proto.nonlinearity(), field));
  return init;
}

NormalInit FromProto(const v1::Initializer::Normal& proto) {
  NormalInit init;
  init.mean = proto.mean();
  if (proto.has_std()) init.std = proto.std();
  if (proto.has_zero_row()) init.zero_row = proto.zero_row();
  return init;
}

TruncNormalInit FromProto(const v1::Initializer::TruncNormal& proto) {
  TruncNormalInit init;
  init.mean = proto.mean();
  if (proto.has_std()) init.std = proto.std();
  if (proto.has_a()) init.a = proto.a();
  if (proto.has_b()) init.b = proto.b();
  return init;
}

template <typename Proto>
double GainOf(const Proto& proto) {
  return proto.has_gain() ? proto.gain() : 1;
}

template <typename Init, typename Proto>
void KaimingToProto(const Init& init, Proto* proto) {
  proto->set_a(init.a);
  proto->set_mode(init.mode == FanMode::kFanIn ? "fan_in" : "fan_out");
  proto->set_nonlinearity(std::string(NameOf(init.nonlinearity)));
}

struct InitializerToProto {
  v1::Initializer* proto;

  void operator()(const ConstantInit& init) const {
    if (init.value == 0) {
      proto->mutable_zeros();
    } else if (init.value == 1) {
      proto->mutable_ones();
    } else {
      proto->mutable_constant()->set_value(init.value);
    }
  }
  void operator()(const NormalInit& init) const {
    proto->mutable_normal()->set_mean(init.mean);
    proto->mutable_normal()->set_std(init.std);
    if (init.zero_row.has_value()) {
      proto->mutable_normal()->set_zero_row(*init.zero_row);
    }
  }
  void operator()(const UniformInit& init) const {
    proto->mutable_uniform()->set_low(init.low);
    proto->mutable_uniform()->set_high(init.high);
  }
  void operator()(const KaimingUniformInit& init) const {
    KaimingToProto(init, proto->mutable_kaiming_uniform());
  }
  void operator()(const KaimingNormalInit& init) const {
    KaimingToProto(init, proto->mutable_kaiming_normal());
  }
  void operator()(const XavierUniformInit& init) const {
    proto->mutable_xavier_uniform()->set_gain(init.gain);
  }
  void operator()(const XavierNormalInit& init) const {
    proto->mutable_xavier_normal()->set_gain(init.gain);
  }
  void operator()(const TruncNormalInit& init) const {
    v1::Initializer::TruncNormal* normal = proto->mutable_trunc_normal();
    normal->set_mean(init.mean);
    normal->set_std(init.std);
    normal->set_a(init.a);
    normal->set_b(init.b);
  }
  void operator()(const OrthogonalInit& init) const {
    proto->mutable_orthogonal()->set_gain(init.gain);
  }
  void operator()(const SparseInit& init) const {
    proto->mutable_sparse()->set_sparsity(init.sparsity);
    proto->mutable_sparse()->set_std(init.std);
  }
  void operator()(const EyeInit&) const { proto->mutable_eye(); }
  void operator()(const DiracInit& init) const {
    proto->mutable_dirac()->set_groups(init.groups);
  }
  void operator()(const FanInUniformInit& init) const {
    proto->mutable_fan_in_uniform()->set_fan_in(init.fan_in);
  }
  void operator()(const StoredInit& init) const {
    proto->mutable_stored()->set_key(init.key);
  }
};

}  // namespace

absl::StatusOr<Initializer> FromProto(const v1::Initializer& proto,
                                      const std::string& field) {
  switch (proto.kind_case()) {
    case v1::Initializer::KIND_NOT_SET:
    case v1::Initializer::kZeros:
      return ConstantInit{0};
    case v1::Initializer::kOnes:
      return ConstantInit{1};
    case v1::Initializer::kConstant:
      return ConstantInit{proto.constant().value()};
    case v1::Initializer::kNormal:
      return FromProto(proto.normal());
    case v1::Initializer::kUniform:
      return UniformInit{proto.uniform().low(), proto.uniform().has_high()
                                                    ? proto.uniform().high()
                                                    : 1};
    case v1::Initializer::kKaimingUniform: {
      const v1::Initializer::KaimingUniform& kaiming = proto.kaiming_uniform();
      return KaimingFromProto<KaimingUniformInit>(
          kaiming, kaiming.has_a() ? kaiming.a() : KaimingUniformInit().a,
          absl::StrCat(field, ".kaiming_uniform"));
    }
    case v1::Initializer::kKaimingNormal:
      return KaimingFromProto<KaimingNormalInit>(
          proto.kaiming_normal(), proto.kaiming_normal().a(),
          absl::StrCat(field, ".kaiming_normal"));
    case v1::Initializer::kXavierUniform:
      return XavierUniformInit{GainOf(proto.xavier_uniform())};
    case v1::Initializer::kXavierNormal:
      return XavierNormalInit{GainOf(proto.xavier_normal())};
    case v1::Initializer::kTruncNormal:
      return FromProto(proto.trunc_normal());
    case v1::Initializer::kOrthogonal:
      return OrthogonalInit{GainOf(proto.orthogonal())};
    case v1::Initializer::kSparse:
      return SparseInit{proto.sparse().sparsity(), proto.sparse().has_std()
                                                       ? proto.sparse().std()
                                                       : SparseInit().std};
    case v1::Initializer::kEye:
      return EyeInit{};
    case v1::Initializer::kDirac:
      return DiracInit{proto.dirac().has_groups() ? proto.dirac().groups() : 1};
    case v1::Initializer::kFanInUniform:
      return FanInUniformInit{proto.fan_in_uniform().fan_in()};
    case v1::Initializer::kStored: {
      StoredInit init;
      init.key = proto.stored().key();
      return init;
    }
  }
  return InvalidField(field, "is unknown to this server");
}

void ToProto(const Initializer& initializer, v1::Initializer* proto) {
  std::visit(InitializerToProto{proto}, initializer);
}

}  // namespace warmstart::rpc
