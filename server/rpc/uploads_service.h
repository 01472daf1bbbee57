// The Uploads service of the API.

#ifndef WARMSTART_SERVER_RPC_UPLOADS_SERVICE_H_
#define WARMSTART_SERVER_RPC_UPLOADS_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include "server/rpc/call_runner.h"
#include "server/service/context.h"
#include "warmstart/v1/uploads.grpc.pb.h"

namespace warmstart::rpc {

// Thread-safe, as gRPC calls it.
class UploadsService final : public v1::Uploads::Service {
 public:
  // Both outlive the service.
  UploadsService(const service::Context& context, CallRunner& calls)
      : context_(context), calls_(calls) {}

  grpc::Status CreateUpload(grpc::ServerContext* call,
                            const v1::CreateUploadRequest* request,
                            v1::Upload* response) override;
  grpc::Status QueryUpload(grpc::ServerContext* call,
                           const v1::QueryUploadRequest* request,
                           v1::Upload* response) override;
  grpc::Status ListUploads(grpc::ServerContext* call,
                           const v1::ListUploadsRequest* request,
                           v1::ListUploadsResponse* response) override;
  grpc::Status WriteUpload(grpc::ServerContext* call,
                           grpc::ServerReader<v1::WriteUploadRequest>* stream,
                           v1::Upload* response) override;
  grpc::Status DeleteUpload(grpc::ServerContext* call,
                            const v1::DeleteUploadRequest* request,
                            google::protobuf::Empty* response) override;
  grpc::Status FindMissingTensors(
      grpc::ServerContext* call, const v1::FindMissingTensorsRequest* request,
      v1::FindMissingTensorsResponse* response) override;

 private:
  const service::Context& context_;
  CallRunner& calls_;
};

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_UPLOADS_SERVICE_H_
