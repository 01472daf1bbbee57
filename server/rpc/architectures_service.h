// The Architectures service of the API.

#ifndef WARMSTART_SERVER_RPC_ARCHITECTURES_SERVICE_H_
#define WARMSTART_SERVER_RPC_ARCHITECTURES_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include "server/rpc/call_runner.h"
#include "server/service/context.h"
#include "warmstart/v1/architectures.grpc.pb.h"

namespace warmstart::rpc {

// Thread-safe, as gRPC calls it.
class ArchitecturesService final : public v1::Architectures::Service {
 public:
  // Both outlive the service.
  ArchitecturesService(const service::Context& context, CallRunner& calls)
      : registry_(*context.architectures),
        resident_models_(*context.resident_models),
        calls_(calls) {}

  grpc::Status RegisterArchitecture(
      grpc::ServerContext* call, const v1::RegisterArchitectureRequest* request,
      v1::Architecture* response) override;
  grpc::Status GetArchitecture(grpc::ServerContext* call,
                               const v1::GetArchitectureRequest* request,
                               v1::Architecture* response) override;
  grpc::Status ListArchitectures(
      grpc::ServerContext* call, const v1::ListArchitecturesRequest* request,
      v1::ListArchitecturesResponse* response) override;
  grpc::Status DeleteArchitecture(grpc::ServerContext* call,
                                  const v1::DeleteArchitectureRequest* request,
                                  google::protobuf::Empty* response) override;

 private:
  service::ArchitectureRegistry& registry_;
  service::ResidentModels& resident_models_;
  CallRunner& calls_;
};

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_ARCHITECTURES_SERVICE_H_
