// FakeServer: a gRPC server in the test's own process, on a free port of the
// loopback interface. Its methods do what the test says; those of which it says
// nothing are UNIMPLEMENTED. Health checks are answered as by any gRPC server.

#ifndef WARMSTART_TESTS_CLIENT_TESTING_FAKE_SERVER_H_
#define WARMSTART_TESTS_CLIENT_TESTING_FAKE_SERVER_H_

#include <grpcpp/server.h>
#include <grpcpp/server_context.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "warmstart/v1/admin.grpc.pb.h"
#include "warmstart/v1/architectures.grpc.pb.h"
#include "warmstart/v1/checkpoints.grpc.pb.h"
#include "warmstart/v1/lineage.grpc.pb.h"
#include "warmstart/v1/model_initializer.grpc.pb.h"
#include "warmstart/v1/server_info.grpc.pb.h"
#include "warmstart/v1/uploads.grpc.pb.h"

namespace warmstart::client {

template <typename Request, typename Response>
using Handler = std::function<grpc::Status(const Request&, Response*)>;

// What a test makes of the API's methods.
struct FakeMethods {
  std::function<grpc::Status(grpc::ServerReader<v1::SaveModelRequest>*,
                             v1::SaveModelResponse*)>
      save_model;
  Handler<v1::WarmStartRequest, v1::WarmStartResponse> warm_start;
  Handler<v1::ForwardRequest, v1::ForwardResponse> forward;

  Handler<v1::GetCheckpointRequest, v1::Checkpoint> get_checkpoint;
  Handler<v1::ListCheckpointsRequest, v1::ListCheckpointsResponse>
      list_checkpoints;
  Handler<v1::UpdateCheckpointRequest, v1::Checkpoint> update_checkpoint;
  Handler<v1::DeleteCheckpointRequest, google::protobuf::Empty>
      delete_checkpoint;
  std::function<grpc::Status(
      const v1::DownloadCheckpointRequest&,
      grpc::ServerWriter<v1::DownloadCheckpointResponse>*)>
      download_checkpoint;
  std::function<grpc::Status(const v1::DownloadTensorsRequest&,
                             grpc::ServerWriter<v1::DownloadTensorsResponse>*)>
      download_tensors;
  Handler<v1::GetManifestRequest, v1::Manifest> get_manifest;
  Handler<v1::DiffCheckpointsRequest, v1::DiffCheckpointsResponse>
      diff_checkpoints;
  Handler<v1::GetLineageRequest, v1::GetLineageResponse> get_lineage;
  std::function<grpc::Status(
      const v1::ReproduceCheckpointRequest&,
      grpc::ServerWriter<v1::ReproduceCheckpointResponse>*)>
      reproduce_checkpoint;
  Handler<v1::SetAliasRequest, v1::Alias> set_alias;
  Handler<v1::DeleteAliasRequest, google::protobuf::Empty> delete_alias;
  Handler<v1::ListAliasesRequest, v1::ListAliasesResponse> list_aliases;

  Handler<v1::RegisterArchitectureRequest, v1::Architecture>
      register_architecture;
  Handler<v1::GetArchitectureRequest, v1::Architecture> get_architecture;
  Handler<v1::ListArchitecturesRequest, v1::ListArchitecturesResponse>
      list_architectures;
  Handler<v1::DeleteArchitectureRequest, google::protobuf::Empty>
      delete_architecture;

  Handler<v1::GetServerInfoRequest, v1::ServerInfo> get_server_info;

  std::function<grpc::Status(grpc::ServerReaderWriter<v1::BackUpStoreResponse,
                                                      v1::BackUpStoreRequest>*)>
      back_up_store;
  Handler<v1::ApplyRetentionRequest, v1::ApplyRetentionResponse>
      apply_retention;
  Handler<v1::FindMissingTensorsRequest, v1::FindMissingTensorsResponse>
      find_missing_tensors;
  Handler<v1::CollectGarbageRequest, v1::CollectGarbageResponse>
      collect_garbage;
  std::function<grpc::Status(const v1::ScrubStoreRequest&,
                             grpc::ServerWriter<v1::ScrubStoreResponse>*)>
      scrub_store;
  Handler<v1::ListDamagedTensorsRequest, v1::ListDamagedTensorsResponse>
      list_damaged_tensors;
  Handler<v1::CheckStoreRequest, v1::CheckStoreResponse> check_store;
};

class FakeServer {
 public:
  FakeServer();
  ~FakeServer();

  // Set before the client is used.
  FakeMethods& methods() { return *methods_; }
  const std::string& address() const { return address_; }

  void SetServing(bool serving);

 private:
  class Services;

  const std::unique_ptr<FakeMethods> methods_;
  const std::unique_ptr<Services> services_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

// A file as SaveModel received it.
struct ReceivedFile {
  v1::FileHeader header;
  std::string bytes;
  size_t largest_chunk = 0;
};

// A whole stream of SaveModel.
struct ReceivedUpload {
  v1::SaveModelHeader header;
  v1::Manifest manifest;  // its messages merged
  std::vector<ReceivedFile> files;
};
ReceivedUpload ReceiveUpload(grpc::ServerReader<v1::SaveModelRequest>& reader);

// Streams `file` as DownloadCheckpoint does, in chunks of `chunk_bytes`, from
// the request's offset up to `end`.
void SendFile(const v1::DownloadCheckpointRequest& request,
              const std::string& file, size_t end, size_t chunk_bytes,
              grpc::ServerWriter<v1::DownloadCheckpointResponse>& writer);

// The status that the server answers with where a policy was not met, with the
// details as they go over the wire.
grpc::Status FailureWithDetails(grpc::StatusCode code,
                                const std::string& message,
                                const std::string& reason,
                                const v1::MatchReport* report = nullptr);

}  // namespace warmstart::client

#endif  // WARMSTART_TESTS_CLIENT_TESTING_FAKE_SERVER_H_
