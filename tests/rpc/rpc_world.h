// RpcWorld: a server that listens on this machine, with a real store behind it,
// and stubs that talk to it.

#ifndef WARMSTART_TESTS_RPC_RPC_WORLD_H_
#define WARMSTART_TESTS_RPC_RPC_WORLD_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/rpc/server.h"
#include "tests/service/world.h"
#include "warmstart/v1/admin.grpc.pb.h"
#include "warmstart/v1/architectures.grpc.pb.h"
#include "warmstart/v1/checkpoints.grpc.pb.h"
#include "warmstart/v1/lineage.grpc.pb.h"
#include "warmstart/v1/model_initializer.grpc.pb.h"
#include "warmstart/v1/server_info.grpc.pb.h"
#include "warmstart/v1/uploads.grpc.pb.h"

namespace warmstart::rpc {

class RpcWorld {
 public:
  RpcWorld();

  service::World& world() { return world_; }
  RpcServer& server() { return *server_; }
  v1::ModelInitializer::Stub& initializer() { return *initializer_; }
  v1::Checkpoints::Stub& checkpoints() { return *checkpoints_; }
  v1::Architectures::Stub& architectures() { return *architectures_; }
  v1::ServerInformation::Stub& information() { return *information_; }
  v1::Lineage::Stub& lineage() { return *lineage_; }
  v1::Uploads::Stub& uploads() { return *uploads_; }
  v1::Admin::Stub& admin() { return *admin_; }

  // A channel of its own, with gRPC's standard limits.
  std::shared_ptr<grpc::Channel> NewChannel(
      const grpc::ChannelArguments& arguments = {});

  grpc::Status Save(const v1::SaveModelHeader& header,
                    const std::vector<service::NamedFile>& files,
                    v1::SaveModelResponse* response);
  // Saves a .safetensors file; aborts where that fails. The handle.
  std::string MustSave(const std::string& file);

  // Whether nothing is in staging/, now or soon: a handler may need a moment to
  // notice that its client has gone.
  bool StagingEmpties();

 private:
  service::World world_;
  std::unique_ptr<RpcServer> server_;
  std::unique_ptr<v1::ModelInitializer::Stub> initializer_;
  std::unique_ptr<v1::Checkpoints::Stub> checkpoints_;
  std::unique_ptr<v1::Architectures::Stub> architectures_;
  std::unique_ptr<v1::ServerInformation::Stub> information_;
  std::unique_ptr<v1::Lineage::Stub> lineage_;
  std::unique_ptr<v1::Uploads::Stub> uploads_;
  std::unique_ptr<v1::Admin::Stub> admin_;
};

// What is in the details of an error.
struct ErrorDetails {
  google::rpc::Status status;
  google::rpc::ErrorInfo info;
  std::optional<v1::MatchReport> report;
};
// Fails the test where the details are not such.
ErrorDetails DetailsOf(const grpc::Status& status);
std::string ReasonOf(const grpc::Status& status);
std::string FieldOf(const grpc::Status& status);

}  // namespace warmstart::rpc

#endif  // WARMSTART_TESTS_RPC_RPC_WORLD_H_
