#include "server/rpc/lineage_service.h"

#include "absl/status/status.h"
#include "server/base/status_macros.h"
#include "server/rpc/lineage_translation.h"
#include "server/rpc/recorded_request.h"
#include "server/service/lineage/lineage.h"
#include "server/service/lineage/reproduce.h"

namespace warmstart::rpc {
namespace {

using ReproduceStream = grpc::ServerWriter<v1::ReproduceCheckpointResponse>;

absl::Status Get(const service::Context& context,
                 const v1::GetLineageRequest& request,
                 v1::GetLineageResponse* response) {
  ASSIGN_OR_RETURN(const service::LineageOptions options, FromProto(request));
  ASSIGN_OR_RETURN(const service::Lineage lineage,
                   service::TraceLineage(context, request.name(), options));
  ToProto(lineage, response);
  return absl::OkStatus();
}

absl::Status Reproduce(const service::Context& context,
                       const grpc::ServerContext& call,
                       const v1::ReproduceCheckpointRequest& request,
                       ReproduceStream* stream) {
  const auto take = [&](const service::Reproduction& result) -> absl::Status {
    v1::ReproduceCheckpointResponse message;
    ToProto(result, &message);
    if (!stream->Write(message)) {
      return absl::CancelledError("the client stopped reading");
    }
    return absl::OkStatus();
  };
  const auto cancelled = [&] { return call.IsCancelled(); };
  return service::Reproduce(context, request.name(),
                            {.direct = request.direct()},
                            {ReadRecorded, take, cancelled});
}

}  // namespace

grpc::Status LineageService::GetLineage(grpc::ServerContext* call,
                                        const v1::GetLineageRequest* request,
                                        v1::GetLineageResponse* response) {
  return calls_.Answer(*call,
                       [&] { return Get(context_, *request, response); });
}

grpc::Status LineageService::ReproduceCheckpoint(
    grpc::ServerContext* call, const v1::ReproduceCheckpointRequest* request,
    ReproduceStream* stream) {
  return calls_.Answer(
      *call, [&] { return Reproduce(context_, *call, *request, stream); });
}

}  // namespace warmstart::rpc
