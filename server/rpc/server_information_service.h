// The ServerInformation service of the API.

#ifndef WARMSTART_SERVER_RPC_SERVER_INFORMATION_SERVICE_H_
#define WARMSTART_SERVER_RPC_SERVER_INFORMATION_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/rpc/call_runner.h"
#include "server/service/context.h"
#include "warmstart/v1/server_info.grpc.pb.h"

namespace warmstart::rpc {

// Thread-safe, as gRPC calls it.
class ServerInformationService final : public v1::ServerInformation::Service {
 public:
  // Both outlive the service, which starts as the server does.
  ServerInformationService(const service::Context& context, CallRunner& calls)
      : context_(context), calls_(calls), start_time_(absl::Now()) {}

  grpc::Status GetServerInfo(grpc::ServerContext* call,
                             const v1::GetServerInfoRequest* request,
                             v1::ServerInfo* response) override;

 private:
  const service::Context& context_;
  CallRunner& calls_;
  const absl::Time start_time_;
};

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_SERVER_INFORMATION_SERVICE_H_
