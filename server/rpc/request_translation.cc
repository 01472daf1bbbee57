#include "server/rpc/request_translation.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/model/resource_name.h"

namespace warmstart::rpc {
namespace {

store::Labels FromProto(
    const google::protobuf::Map<std::string, std::string>& labels) {
  return store::Labels(labels.begin(), labels.end());
}

absl::StatusOr<KeyRule> FromProto(const v1::KeyRule& rule, int index) {
  switch (rule.rule_case()) {
    case v1::KeyRule::kRename:
      return RenameRule{rule.rename().from(), rule.rename().to()};
    case v1::KeyRule::kRegex:
      return RegexRule{rule.regex().pattern(), rule.regex().replacement()};
    case v1::KeyRule::kStripPrefix:
      return StripPrefixRule{rule.strip_prefix()};
    case v1::KeyRule::kAddPrefix:
      return AddPrefixRule{rule.add_prefix()};
    case v1::KeyRule::RULE_NOT_SET:
      break;
  }
  return InvalidField(absl::StrCat("key_rules[", index, "]"),
                      "has no rule that this server knows");
}

absl::StatusOr<planner::ShapePolicy> FromProto(v1::ShapeMismatchPolicy policy) {
  switch (policy) {
    case v1::SHAPE_MISMATCH_POLICY_UNSPECIFIED:
    case v1::SHAPE_MISMATCH_POLICY_ERROR:
      return planner::ShapePolicy::kError;
    case v1::SHAPE_MISMATCH_POLICY_SKIP:
      return planner::ShapePolicy::kSkip;
    default:
      return InvalidField("on_shape_mismatch",
                          absl::StrCat(policy, " is unknown to this server"));
  }
}

absl::StatusOr<planner::DTypePolicy> FromProto(v1::DtypeMismatchPolicy policy) {
  switch (policy) {
    case v1::DTYPE_MISMATCH_POLICY_UNSPECIFIED:
    case v1::DTYPE_MISMATCH_POLICY_CAST:
      return planner::DTypePolicy::kCast;
    case v1::DTYPE_MISMATCH_POLICY_KEEP:
      return planner::DTypePolicy::kKeep;
    case v1::DTYPE_MISMATCH_POLICY_ERROR:
      return planner::DTypePolicy::kError;
    default:
      return InvalidField("on_dtype_mismatch",
                          absl::StrCat(policy, " is unknown to this server"));
  }
}

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
      FromProto(proto.initializer(), absl::StrCat(field, ".initializer")));
  return entry;
}

}  // namespace

service::SaveModelRequest FromProto(const v1::SaveModelHeader& header) {
  service::SaveModelRequest request;
  request.architecture = header.architecture();
  if (header.has_seed()) request.seed = header.seed();
  request.device = header.device();
  request.options = {FromProto(header.labels()), header.alias(),
                     header.request_id()};
  return request;
}

absl::StatusOr<service::WarmStartRequest> FromProto(
    const v1::WarmStartRequest& proto) {
  service::WarmStartRequest request;
  request.architecture = proto.architecture();
  for (const v1::Source& source : proto.sources()) {
    request.sources.push_back({source.checkpoint(), source.subtree()});
  }
  for (int i = 0; i < proto.key_rules_size(); ++i) {
    ASSIGN_OR_RETURN(KeyRule rule, FromProto(proto.key_rules(i), i));
    request.rules.push_back(std::move(rule));
  }
  request.include.assign(proto.include().begin(), proto.include().end());
  request.exclude.assign(proto.exclude().begin(), proto.exclude().end());
  request.strict = proto.strict();
  ASSIGN_OR_RETURN(request.on_shape_mismatch,
                   FromProto(proto.on_shape_mismatch()));
  ASSIGN_OR_RETURN(request.on_dtype_mismatch,
                   FromProto(proto.on_dtype_mismatch()));
  request.min_coverage = proto.min_coverage();
  request.device = proto.device();
  if (proto.has_seed()) request.seed = proto.seed();
  request.validate_only = proto.validate_only();
  request.options = {FromProto(proto.labels()), proto.alias(),
                     proto.request_id()};
  return request;
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

absl::StatusOr<service::FileFormat> FromProto(v1::FileFormat format) {
  switch (format) {
    case v1::FILE_FORMAT_UNSPECIFIED:
    case v1::FILE_FORMAT_TORCH:
      return service::FileFormat::kTorch;
    case v1::FILE_FORMAT_SAFETENSORS:
      return service::FileFormat::kSafetensors;
    default:
      return InvalidField("format",
                          absl::StrCat(format, " is unknown to this server"));
  }
}

absl::StatusOr<store::ListCheckpointsOptions> FromProto(
    const v1::ListCheckpointsRequest& request) {
  store::ListCheckpointsOptions options;
  if (!request.architecture().empty()) {
    absl::StatusOr<std::string> name =
        ParseArchitectureName(request.architecture());
    if (!name.ok()) {
      return InvalidField("architecture", name.status().message());
    }
    options.architecture = *std::move(name);
  }
  options.labels = FromProto(request.labels());
  options.alias = std::string(absl::StripPrefix(request.alias(), "aliases/"));
  ASSIGN_OR_RETURN(options.page_size, PageSize(request.page_size(), 50, 1000));
  options.page_token = request.page_token();
  return options;
}

absl::StatusOr<int> PageSize(int requested, int standard, int most) {
  if (requested < 0) {
    return InvalidField("page_size", absl::StrCat(requested, " is negative"));
  }
  return requested == 0 ? standard : std::min(requested, most);
}

}  // namespace warmstart::rpc
