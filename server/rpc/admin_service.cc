#include "server/rpc/admin_service.h"

#include "absl/status/status.h"
#include "server/base/status_macros.h"
#include "server/rpc/collection_translation.h"
#include "server/service/collect_garbage.h"

namespace warmstart::rpc {

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

}  // namespace warmstart::rpc
