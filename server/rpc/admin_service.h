// The Admin service of the API.

#ifndef WARMSTART_SERVER_RPC_ADMIN_SERVICE_H_
#define WARMSTART_SERVER_RPC_ADMIN_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include "server/rpc/backup_stream.h"
#include "server/rpc/call_runner.h"
#include "server/service/context.h"
#include "warmstart/v1/admin.grpc.pb.h"

namespace warmstart::rpc {

// Thread-safe, as gRPC calls it.
class AdminService final : public v1::Admin::Service {
 public:
  // Both outlive the service.
  AdminService(const service::Context& context, CallRunner& calls)
      : context_(context), calls_(calls) {}

  grpc::Status BackUpStore(grpc::ServerContext* call,
                           BackupStream* stream) override;
  grpc::Status ApplyRetention(grpc::ServerContext* call,
                              const v1::ApplyRetentionRequest* request,
                              v1::ApplyRetentionResponse* response) override;
  grpc::Status CollectGarbage(grpc::ServerContext* call,
                              const v1::CollectGarbageRequest* request,
                              v1::CollectGarbageResponse* response) override;
  grpc::Status ScrubStore(
      grpc::ServerContext* call, const v1::ScrubStoreRequest* request,
      grpc::ServerWriter<v1::ScrubStoreResponse>* stream) override;
  grpc::Status ListDamagedTensors(
      grpc::ServerContext* call, const v1::ListDamagedTensorsRequest* request,
      v1::ListDamagedTensorsResponse* response) override;
  grpc::Status CheckStore(grpc::ServerContext* call,
                          const v1::CheckStoreRequest* request,
                          v1::CheckStoreResponse* response) override;

 private:
  const service::Context& context_;
  CallRunner& calls_;
};

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_ADMIN_SERVICE_H_
