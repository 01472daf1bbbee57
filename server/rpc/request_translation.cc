#include "server/rpc/request_translation.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/model/resource_name.h"
#include "server/rpc/initializer_translation.h"
#include "server/rpc/matching_translation.h"

namespace warmstart::rpc {
namespace {

using google::protobuf::util::TimeUtil;

store::Labels FromProto(
    const google::protobuf::Map<std::string, std::string>& labels) {
  return store::Labels(labels.begin(), labels.end());
}

absl::StatusOr<planner::ShapePolicy> FromProto(v1::ShapeMismatchPolicy policy) {
  switch (policy) {
    case v1::SHAPE_MISMATCH_POLICY_UNSPECIFIED:
    case v1::SHAPE_MISMATCH_POLICY_ERROR:
      return planner::ShapePolicy::kError;
    case v1::SHAPE_MISMATCH_POLICY_SKIP:
      return planner::ShapePolicy::kSkip;
    case v1::SHAPE_MISMATCH_POLICY_ADAPT:
      return planner::ShapePolicy::kAdapt;
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

// As the definitions of these messages have it.
bool IsValid(const google::protobuf::Timestamp& time) {
  return time.seconds() >= TimeUtil::kTimestampMinSeconds &&
         time.seconds() <= TimeUtil::kTimestampMaxSeconds &&
         time.nanos() >= 0 && time.nanos() < 1'000'000'000;
}
bool IsValid(const google::protobuf::Duration& duration) {
  const int64_t seconds = duration.seconds();
  const int32_t nanos = duration.nanos();
  return seconds >= TimeUtil::kDurationMinSeconds &&
         seconds <= TimeUtil::kDurationMaxSeconds && nanos > -1'000'000'000 &&
         nanos < 1'000'000'000 && (seconds <= 0 || nanos >= 0) &&
         (seconds >= 0 || nanos <= 0);
}

// Of any message with the oneof `expiration`.
template <typename Message>
absl::StatusOr<store::Expiration> ExpirationOf(const Message& message) {
  if (message.has_expire_time()) {
    if (!IsValid(message.expire_time())) {
      return InvalidField("expire_time", "is no valid Timestamp");
    }
    return absl::FromUnixSeconds(message.expire_time().seconds()) +
           absl::Nanoseconds(message.expire_time().nanos());
  }
  if (message.has_ttl()) {
    if (!IsValid(message.ttl())) {
      return InvalidField("ttl", "is no valid Duration");
    }
    return absl::Seconds(message.ttl().seconds()) +
           absl::Nanoseconds(message.ttl().nanos());
  }
  return store::Expiration();
}

service::WarmStartSource FromProto(const v1::Source& proto) {
  service::WarmStartSource source;
  source.checkpoint = proto.checkpoint();
  source.subtree = proto.subtree();
  if (proto.has_weight()) source.weight = proto.weight();
  if (proto.has_lora()) source.lora = rpc::FromProto(proto.lora());
  return source;
}

absl::Status AddAdapters(const v1::WarmStartRequest& proto,
                         service::WarmStartRequest* request) {
  for (int i = 0; i < proto.shape_adapters_size(); ++i) {
    ASSIGN_OR_RETURN(ShapeAdapter adapter,
                     rpc::FromProto(proto.shape_adapters(i), i));
    request->shape_adapters.push_back(std::move(adapter));
  }
  for (const v1::Widening& widening : proto.widenings()) {
    request->widenings.push_back(rpc::FromProto(widening));
  }
  for (int i = 0; i < proto.initializers_size(); ++i) {
    const v1::InitializerOverride& given = proto.initializers(i);
    ASSIGN_OR_RETURN(
        Initializer initializer,
        rpc::FromProto(given.initializer(),
                       absl::StrCat("initializers[", i, "].initializer")));
    request->initializers.push_back({given.keys(), std::move(initializer)});
  }
  return absl::OkStatus();
}

void AddGates(const v1::WarmStartRequest& proto,
              service::WarmStartRequest* request) {
  request->strict = proto.strict();
  request->min_coverage = proto.min_coverage();
  for (const v1::CoverageGate& gate : proto.coverage_gates()) {
    request->coverage_gates.push_back(rpc::FromProto(gate));
  }
  request->expected_missing.assign(proto.expected_missing().begin(),
                                   proto.expected_missing().end());
  request->expected_unexpected.assign(proto.expected_unexpected().begin(),
                                      proto.expected_unexpected().end());
  request->refuse_non_finite = proto.refuse_non_finite();
}

}  // namespace

absl::StatusOr<service::SaveModelRequest> FromProto(
    const v1::SaveModelHeader& header) {
  service::SaveModelRequest request;
  request.architecture = header.architecture();
  if (header.has_seed()) request.seed = header.seed();
  request.device = header.device();
  request.upload = header.upload();
  request.options = {FromProto(header.labels()), header.alias(),
                     header.request_id()};
  ASSIGN_OR_RETURN(request.options.expiration, ExpirationFromProto(header));
  return request;
}

absl::StatusOr<service::WarmStartRequest> FromProto(
    const v1::WarmStartRequest& proto) {
  service::WarmStartRequest request;
  request.architecture = proto.architecture();
  for (const v1::Source& source : proto.sources()) {
    request.sources.push_back(FromProto(source));
  }
  for (int i = 0; i < proto.key_rules_size(); ++i) {
    ASSIGN_OR_RETURN(KeyRule rule, FromProto(proto.key_rules(i), i));
    request.rules.push_back(std::move(rule));
  }
  request.invert_rules = proto.invert_key_rules();
  ASSIGN_OR_RETURN(request.matching, FromProto(proto.key_matching()));
  request.combination = FromProto(proto.combination());
  RETURN_IF_ERROR(AddAdapters(proto, &request));
  AddGates(proto, &request);
  request.include.assign(proto.include().begin(), proto.include().end());
  request.exclude.assign(proto.exclude().begin(), proto.exclude().end());
  ASSIGN_OR_RETURN(request.on_shape_mismatch,
                   FromProto(proto.on_shape_mismatch()));
  ASSIGN_OR_RETURN(request.on_dtype_mismatch,
                   FromProto(proto.on_dtype_mismatch()));
  request.device = proto.device();
  if (proto.has_seed()) request.seed = proto.seed();
  request.validate_only = proto.validate_only();
  request.options = {FromProto(proto.labels()), proto.alias(),
                     proto.request_id()};
  ASSIGN_OR_RETURN(request.options.expiration, ExpirationFromProto(proto));
  return request;
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
    absl::StatusOr<ArchitectureName> name =
        ArchitectureName::Parse(request.architecture());
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

absl::StatusOr<store::Expiration> ExpirationFromProto(
    const v1::SaveModelHeader& header) {
  return ExpirationOf(header);
}

absl::StatusOr<store::Expiration> ExpirationFromProto(
    const v1::WarmStartRequest& request) {
  return ExpirationOf(request);
}

absl::StatusOr<store::Expiration> ExpirationFromProto(
    const v1::Checkpoint& checkpoint) {
  return ExpirationOf(checkpoint);
}

absl::StatusOr<int> PageSize(int requested, int standard, int most) {
  if (requested < 0) {
    return InvalidField("page_size", absl::StrCat(requested, " is negative"));
  }
  return requested == 0 ? standard : std::min(requested, most);
}

}  // namespace warmstart::rpc
