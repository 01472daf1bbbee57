#include "server/rpc/admin_service.h"

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/base/status_macros.h"
#include "server/rpc/care_translation.h"
#include "server/service/store_care.h"

namespace warmstart::rpc {
namespace {

using ScrubStream = grpc::ServerWriter<v1::ScrubStoreResponse>;

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
    ToProto(progress, message.mutable_progress());
    return stream->Write(message) ? absl::OkStatus() : ClientIsGone();
  };
  ASSIGN_OR_RETURN(const store::ScrubResult result,
                   service::ScrubStore(context, report));
  v1::ScrubStoreResponse message;
  ToProto(result, message.mutable_result());
  return stream->Write(message) ? absl::OkStatus() : ClientIsGone();
}

}  // namespace

grpc::Status AdminService::ScrubStore(grpc::ServerContext* call,
                                      const v1::ScrubStoreRequest*,
                                      ScrubStream* stream) {
  return calls_.Answer(*call, [&] { return Scrub(context_, *call, stream); });
}

grpc::Status AdminService::ListDamagedTensors(
    grpc::ServerContext* call, const v1::ListDamagedTensorsRequest*,
    v1::ListDamagedTensorsResponse* response) {
  return calls_.Answer(*call, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(const store::Damage damage, context_.store->FindDamage());
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
