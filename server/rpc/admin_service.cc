#include "server/rpc/admin_service.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/rpc/backup_stream.h"
#include "server/rpc/care_translation.h"
#include "server/rpc/collection_translation.h"
#include "server/rpc/response_translation.h"
#include "server/service/collect_garbage.h"
#include "server/service/retention.h"
#include "server/service/store_care.h"

namespace warmstart::rpc {
namespace {

using ScrubStream = grpc::ServerWriter<v1::ScrubStoreResponse>;

constexpr int kMaxRetired = 1000;

absl::StatusOr<service::RetentionRequest> FromProto(
    const v1::ApplyRetentionRequest& proto) {
  if (proto.max_count() < 0) {
    return InvalidField("max_count",
                        absl::StrCat(proto.max_count(), " is negative"));
  }
  service::RetentionRequest request;
  request.validate_only = proto.validate_only();
  request.max_count = proto.max_count() == 0
                          ? kMaxRetired
                          : std::min(proto.max_count(), kMaxRetired);
  return request;
}

void ToProto(const store::RetiredCheckpoint& retired,
             v1::RetiredCheckpoint* proto) {
  proto->set_checkpoint(retired.name.ToString());
  rpc::ToProto(retired.create_time, proto->mutable_create_time());
  if (retired.expire_time.has_value()) {
    rpc::ToProto(*retired.expire_time, proto->mutable_expire_time());
  } else {
    proto->set_rule(retired.rule);
  }
}

absl::Status Apply(const service::Context& context,
                   const v1::ApplyRetentionRequest& request,
                   v1::ApplyRetentionResponse* response) {
  ASSIGN_OR_RETURN(const service::RetentionRequest translated,
                   FromProto(request));
  ASSIGN_OR_RETURN(const service::RetentionResult result,
                   service::ApplyRetention(context, translated));
  for (const store::RetiredCheckpoint& retired : result.checkpoints) {
    ToProto(retired, response->add_checkpoints());
  }
  response->set_has_more(result.has_more);
  return absl::OkStatus();
}

constexpr absl::Duration kProgressInterval = absl::Milliseconds(250);

absl::Status ClientIsGone() {
  return absl::CancelledError("the client stopped listening");
}

absl::Status Scrub(const service::Context& context,
                   const grpc::ServerContext& call, ScrubStream* stream) {
  absl::Time last_told = absl::InfinitePast();
  const auto report = [&](const store::ScrubProgress& progress) {
    if (call.IsCancelled()) return ClientIsGone();
    const absl::Time now = absl::Now();
    if (now - last_told < kProgressInterval) return absl::OkStatus();
    last_told = now;
    v1::ScrubStoreResponse message;
    rpc::ToProto(progress, message.mutable_progress());
    return stream->Write(message) ? absl::OkStatus() : ClientIsGone();
  };
  ASSIGN_OR_RETURN(const store::ScrubResult result,
                   service::ScrubStore(context, report));
  v1::ScrubStoreResponse message;
  rpc::ToProto(result, message.mutable_result());
  return stream->Write(message) ? absl::OkStatus() : ClientIsGone();
}

}  // namespace

grpc::Status AdminService::BackUpStore(grpc::ServerContext* call,
                                       BackupStream* stream) {
  return calls_.Answer(*call,
                       [&] { return SendBackup(context_, *call, *stream); });
}

grpc::Status AdminService::ApplyRetention(
    grpc::ServerContext* call, const v1::ApplyRetentionRequest* request,
    v1::ApplyRetentionResponse* response) {
  return calls_.Answer(*call,
                       [&] { return Apply(context_, *request, response); });
}

grpc::Status AdminService::CollectGarbage(
    grpc::ServerContext* call, const v1::CollectGarbageRequest* request,
    v1::CollectGarbageResponse* response) {
  return calls_.Answer(*call, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(
        const store::Collection collection,
        service::CollectGarbage(context_, FromProto(*request),
                                [call] { return call->IsCancelled(); }));
    ToProto(collection, response);
    return absl::OkStatus();
  });
}

grpc::Status AdminService::ScrubStore(grpc::ServerContext* call,
                                      const v1::ScrubStoreRequest*,
                                      ScrubStream* stream) {
  return calls_.Answer(*call, [&] { return Scrub(context_, *call, stream); });
}

grpc::Status AdminService::ListDamagedTensors(
    grpc::ServerContext* call, const v1::ListDamagedTensorsRequest*,
    v1::ListDamagedTensorsResponse* response) {
  return calls_.Answer(*call, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(const store::Damage damage,
                     context_.store->FindDamage(store::DamageLimits()));
    ToProto(damage, response);
    return absl::OkStatus();
  });
}

grpc::Status AdminService::CheckStore(grpc::ServerContext* call,
                                      const v1::CheckStoreRequest*,
                                      v1::CheckStoreResponse* response) {
  return calls_.Answer(*call, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(const store::CheckResult result,
                     service::CheckStore(context_));
    ToProto(result, response);
    return absl::OkStatus();
  });
}

}  // namespace warmstart::rpc
