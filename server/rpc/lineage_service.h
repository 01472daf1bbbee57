// The Lineage service of the API.

#ifndef WARMSTART_SERVER_RPC_LINEAGE_SERVICE_H_
#define WARMSTART_SERVER_RPC_LINEAGE_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include "server/rpc/call_runner.h"
#include "server/service/context.h"
#include "warmstart/v1/lineage.grpc.pb.h"

namespace warmstart::rpc {

// Thread-safe, as gRPC calls it.
class LineageService final : public v1::Lineage::Service {
 public:
  // Both outlive the service.
  LineageService(const service::Context& context, CallRunner& calls)
      : context_(context), calls_(calls) {}

  grpc::Status GetLineage(grpc::ServerContext* call,
                          const v1::GetLineageRequest* request,
                          v1::GetLineageResponse* response) override;
  grpc::Status ReproduceCheckpoint(
      grpc::ServerContext* call, const v1::ReproduceCheckpointRequest* request,
      grpc::ServerWriter<v1::ReproduceCheckpointResponse>* stream) override;

 private:
  const service::Context& context_;
  CallRunner& calls_;
};

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_LINEAGE_SERVICE_H_
