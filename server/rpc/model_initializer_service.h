// The ModelInitializer service of the API.

#ifndef WARMSTART_SERVER_RPC_MODEL_INITIALIZER_SERVICE_H_
#define WARMSTART_SERVER_RPC_MODEL_INITIALIZER_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include "server/rpc/call_runner.h"
#include "server/service/context.h"
#include "warmstart/v1/model_initializer.grpc.pb.h"

namespace warmstart::rpc {

// Thread-safe, as gRPC calls it.
class ModelInitializerService final : public v1::ModelInitializer::Service {
 public:
  // Both outlive the service.
  ModelInitializerService(const service::Context& context, CallRunner& calls)
      : context_(context), calls_(calls) {}

  grpc::Status SaveModel(grpc::ServerContext* call,
                         grpc::ServerReader<v1::SaveModelRequest>* stream,
                         v1::SaveModelResponse* response) override;
  grpc::Status WarmStart(grpc::ServerContext* call,
                         const v1::WarmStartRequest* request,
                         v1::WarmStartResponse* response) override;
  grpc::Status Forward(grpc::ServerContext* call,
                       const v1::ForwardRequest* request,
                       v1::ForwardResponse* response) override;

 private:
  const service::Context& context_;
  CallRunner& calls_;
};

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_MODEL_INITIALIZER_SERVICE_H_
