#include "server/rpc/architecture_translation.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"

namespace warmstart::rpc {
namespace {

absl::StatusOr<KaimingUniformInit> FromProto(
    const v1::Initializer::KaimingUniform& proto, const std::string& field) {
  KaimingUniformInit init;
  if (proto.has_a()) init.a = proto.a();
  using Mode = KaimingUniformInit::Mode;
  if (proto.mode().empty() || proto.mode() == "fan_in") {
    init.mode = Mode::kFanIn;
  } else if (proto.mode() == "fan_out") {
    init.mode = Mode::kFanOut;
  } else {
    return InvalidField(
        absl::StrCat(field, ".kaiming_uniform.mode"),
        absl::StrCat("'", proto.mode(), "' is neither 'fan_in' nor 'fan_out'"));
  }
  using Nonlinearity = KaimingUniformInit::Nonlinearity;
  const std::pair<absl::string_view, Nonlinearity> known[] = {
      {"", Nonlinearity::kLeakyRelu}, {"leaky_relu", Nonlinearity::kLeakyRelu},
      {"relu", Nonlinearity::kRelu},  {"linear", Nonlinearity::kLinear},
      {"tanh", Nonlinearity::kTanh},
  };
  for (const auto& [name, nonlinearity] : known) {
    if (proto.nonlinearity() != name) continue;
    init.nonlinearity = nonlinearity;
    return init;
  }
  return InvalidField(
      absl::StrCat(field, ".kaiming_uniform.nonlinearity"),
      absl::StrCat("'", proto.nonlinearity(),
                   "' is none of leaky_relu, relu, linear, tanh"));
}

absl::StatusOr<ArchitectureEntry> FromProto(const v1::ArchitectureEntry& proto,
                                            int index) {
  const std::string field = absl::StrCat("architecture.entries[", index, "]");
  ArchitectureEntry entry;
  entry.key = proto.key();
  absl::StatusOr<DType> dtype =
      proto.dtype().empty() ? DType::kFloat32 : ParseDType(proto.dtype());
  if (!dtype.ok()) {
    return InvalidField(absl::StrCat(field, ".dtype"),
                        dtype.status().message());
  }
  absl::StatusOr<Shape> shape =
      Shape::Create({proto.shape().begin(), proto.shape().end()});
  if (!shape.ok()) {
    return InvalidField(absl::StrCat(field, ".shape"),
                        shape.status().message());
  }
  absl::StatusOr<TensorSpec> spec =
      TensorSpec::Create(*dtype, *std::move(shape));
  if (!spec.ok()) {
    return InvalidField(absl::StrCat(field, ".shape"), spec.status().message());
  }
  entry.spec = *std::move(spec);
  entry.kind = proto.buffer() ? EntryKind::kBuffer : EntryKind::kParameter;
  ASSIGN_OR_RETURN(
      entry.initializer,
      rpc::FromProto(proto.initializer(), absl::StrCat(field, ".initializer")));
  entry.tied_to = proto.tied_to();
  return entry;
}

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
      return NormalInit{proto.normal().mean(),
                        proto.normal().has_std() ? proto.normal().std() : 1};
    case v1::Initializer::kUniform:
      return UniformInit{proto.uniform().low(), proto.uniform().has_high()
                                                    ? proto.uniform().high()
                                                    : 1};
    case v1::Initializer::kKaimingUniform: {
      ASSIGN_OR_RETURN(KaimingUniformInit init,
                       FromProto(proto.kaiming_uniform(), field));
      return init;
    }
    case v1::Initializer::kFanInUniform:
      return FanInUniformInit{proto.fan_in_uniform().fan_in()};
  }
  return InvalidField(field, "is unknown to this server");
}

absl::StatusOr<Architecture> FromProto(const v1::Architecture& proto) {
  Architecture architecture;
  architecture.name = proto.name();
  for (int i = 0; i < proto.entries_size(); ++i) {
    ASSIGN_OR_RETURN(ArchitectureEntry entry, FromProto(proto.entries(i), i));
    architecture.entries.push_back(std::move(entry));
  }
  for (const v1::Module& module : proto.modules()) {
    architecture.modules.push_back(
        {module.path(), module.version() == 0 ? 1 : module.version()});
  }
  return architecture;
}

}  // namespace warmstart::rpc
