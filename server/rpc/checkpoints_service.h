// The Checkpoints service of the API.

#ifndef WARMSTART_SERVER_RPC_CHECKPOINTS_SERVICE_H_
#define WARMSTART_SERVER_RPC_CHECKPOINTS_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include "server/rpc/call_runner.h"
#include "server/service/context.h"
#include "warmstart/v1/checkpoints.grpc.pb.h"

namespace warmstart::rpc {

// Thread-safe, as gRPC calls it.
class CheckpointsService final : public v1::Checkpoints::Service {
 public:
  // Both outlive the service.
  CheckpointsService(const service::Context& context, CallRunner& calls)
      : context_(context), calls_(calls) {}

  grpc::Status GetCheckpoint(grpc::ServerContext* call,
                             const v1::GetCheckpointRequest* request,
                             v1::Checkpoint* response) override;
  grpc::Status ListCheckpoints(grpc::ServerContext* call,
                               const v1::ListCheckpointsRequest* request,
                               v1::ListCheckpointsResponse* response) override;
  grpc::Status UpdateCheckpoint(grpc::ServerContext* call,
                                const v1::UpdateCheckpointRequest* request,
                                v1::Checkpoint* response) override;
  grpc::Status DeleteCheckpoint(grpc::ServerContext* call,
                                const v1::DeleteCheckpointRequest* request,
                                google::protobuf::Empty* response) override;
  grpc::Status DownloadCheckpoint(
      grpc::ServerContext* call, const v1::DownloadCheckpointRequest* request,
      grpc::ServerWriter<v1::DownloadCheckpointResponse>* stream) override;
  grpc::Status DownloadTensors(
      grpc::ServerContext* call, const v1::DownloadTensorsRequest* request,
      grpc::ServerWriter<v1::DownloadTensorsResponse>* stream) override;
  grpc::Status GetManifest(grpc::ServerContext* call,
                           const v1::GetManifestRequest* request,
                           v1::Manifest* response) override;
  grpc::Status DiffCheckpoints(grpc::ServerContext* call,
                               const v1::DiffCheckpointsRequest* request,
                               v1::DiffCheckpointsResponse* response) override;
  grpc::Status SetAlias(grpc::ServerContext* call,
                        const v1::SetAliasRequest* request,
                        v1::Alias* response) override;
  grpc::Status DeleteAlias(grpc::ServerContext* call,
                           const v1::DeleteAliasRequest* request,
                           google::protobuf::Empty* response) override;
  grpc::Status ListAliases(grpc::ServerContext* call,
                           const v1::ListAliasesRequest* request,
                           v1::ListAliasesResponse* response) override;

 private:
  const service::Context& context_;
  CallRunner& calls_;
};

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_CHECKPOINTS_SERVICE_H_
