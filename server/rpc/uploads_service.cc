#include "server/rpc/uploads_service.h"

#include <vector>

#include "server/base/status_macros.h"
#include "server/service/delta/missing_tensors.h"

namespace warmstart::rpc {
namespace {

absl::Status FindMissing(store::Store& store,
                         const v1::FindMissingTensorsRequest& request,
                         v1::FindMissingTensorsResponse* response) {
  ASSIGN_OR_RETURN(const std::vector<Digest> digests,
                   service::ParseDigests(
                       {request.digests().begin(), request.digests().end()}));
  ASSIGN_OR_RETURN(const std::vector<Digest> missing,
                   service::FindMissingTensors(store, digests));
  for (const Digest& digest : missing) response->add_missing(digest.ToHex());
  return absl::OkStatus();
}

}  // namespace

grpc::Status UploadsService::FindMissingTensors(
    grpc::ServerContext* call, const v1::FindMissingTensorsRequest* request,
    v1::FindMissingTensorsResponse* response) {
  return calls_.Answer(
      *call, [&] { return FindMissing(*context_.store, *request, response); });
}

}  // namespace warmstart::rpc
