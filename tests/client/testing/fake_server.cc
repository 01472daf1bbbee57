#include "tests/client/testing/fake_server.h"

#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace warmstart::client {
namespace {

// Health checks may name it, as they may name the server as a whole.
constexpr char kNamedService[] = "warmstart.v1.Checkpoints";

using grpc::ServerContext;
using grpc::Status;

template <typename Method, typename... Arguments>
Status Answer(const Method& method, Arguments&&... arguments) {
  if (!method) {
    return {grpc::StatusCode::UNIMPLEMENTED, "the test did not expect this"};
  }
  return method(std::forward<Arguments>(arguments)...);
}

class FakeModelInitializer : public v1::ModelInitializer::Service {
 public:
  explicit FakeModelInitializer(const FakeMethods& methods)
      : methods_(methods) {}

  Status SaveModel(ServerContext*,
                   grpc::ServerReader<v1::SaveModelRequest>* reader,
                   v1::SaveModelResponse* response) override {
    return Answer(methods_.save_model, reader, response);
  }
  Status WarmStart(ServerContext*, const v1::WarmStartRequest* request,
                   v1::WarmStartResponse* response) override {
    return Answer(methods_.warm_start, *request, response);
  }
  Status Forward(ServerContext*, const v1::ForwardRequest* request,
                 v1::ForwardResponse* response) override {
    return Answer(methods_.forward, *request, response);
  }

 private:
  const FakeMethods& methods_;
};

class FakeCheckpoints : public v1::Checkpoints::Service {
 public:
  explicit FakeCheckpoints(const FakeMethods& methods) : methods_(methods) {}

  Status GetCheckpoint(ServerContext*, const v1::GetCheckpointRequest* request,
                       v1::Checkpoint* response) override {
    return Answer(methods_.get_checkpoint, *request, response);
  }
  Status ListCheckpoints(ServerContext*,
                         const v1::ListCheckpointsRequest* request,
                         v1::ListCheckpointsResponse* response) override {
    return Answer(methods_.list_checkpoints, *request, response);
  }
  Status UpdateCheckpoint(ServerContext*,
                          const v1::UpdateCheckpointRequest* request,
                          v1::Checkpoint* response) override {
    return Answer(methods_.update_checkpoint, *request, response);
  }
  Status DeleteCheckpoint(ServerContext*,
                          const v1::DeleteCheckpointRequest* request,
                          google::protobuf::Empty* response) override {
    return Answer(methods_.delete_checkpoint, *request, response);
  }
  Status DownloadCheckpoint(
      ServerContext*, const v1::DownloadCheckpointRequest* request,
      grpc::ServerWriter<v1::DownloadCheckpointResponse>* writer) override {
    return Answer(methods_.download_checkpoint, *request, writer);
  }
  Status DownloadTensors(
      ServerContext*, const v1::DownloadTensorsRequest* request,
      grpc::ServerWriter<v1::DownloadTensorsResponse>* writer) override {
    return Answer(methods_.download_tensors, *request, writer);
  }
  Status GetManifest(ServerContext*, const v1::GetManifestRequest* request,
                     v1::Manifest* response) override {
    return Answer(methods_.get_manifest, *request, response);
  }
  Status DiffCheckpoints(ServerContext*,
                         const v1::DiffCheckpointsRequest* request,
                         v1::DiffCheckpointsResponse* response) override {
    return Answer(methods_.diff_checkpoints, *request, response);
  }
  Status SetAlias(ServerContext*, const v1::SetAliasRequest* request,
                  v1::Alias* response) override {
    return Answer(methods_.set_alias, *request, response);
  }
  Status DeleteAlias(ServerContext*, const v1::DeleteAliasRequest* request,
                     google::protobuf::Empty* response) override {
    return Answer(methods_.delete_alias, *request, response);
  }
  Status ListAliases(ServerContext*, const v1::ListAliasesRequest* request,
                     v1::ListAliasesResponse* response) override {
    return Answer(methods_.list_aliases, *request, response);
  }

 private:
  const FakeMethods& methods_;
};

class FakeLineage : public v1::Lineage::Service {
 public:
  explicit FakeLineage(const FakeMethods& methods) : methods_(methods) {}

  Status GetLineage(ServerContext*, const v1::GetLineageRequest* request,
                    v1::GetLineageResponse* response) override {
    return Answer(methods_.get_lineage, *request, response);
  }
  Status ReproduceCheckpoint(
      ServerContext*, const v1::ReproduceCheckpointRequest* request,
      grpc::ServerWriter<v1::ReproduceCheckpointResponse>* writer) override {
    return Answer(methods_.reproduce_checkpoint, *request, writer);
  }

 private:
  const FakeMethods& methods_;
};

class FakeArchitectures : public v1::Architectures::Service {
 public:
  explicit FakeArchitectures(const FakeMethods& methods) : methods_(methods) {}

  Status RegisterArchitecture(ServerContext*,
                              const v1::RegisterArchitectureRequest* request,
                              v1::Architecture* response) override {
    return Answer(methods_.register_architecture, *request, response);
  }
  Status GetArchitecture(ServerContext*,
                         const v1::GetArchitectureRequest* request,
                         v1::Architecture* response) override {
    return Answer(methods_.get_architecture, *request, response);
  }
  Status ListArchitectures(ServerContext*,
                           const v1::ListArchitecturesRequest* request,
                           v1::ListArchitecturesResponse* response) override {
    return Answer(methods_.list_architectures, *request, response);
  }
  Status DeleteArchitecture(ServerContext*,
                            const v1::DeleteArchitectureRequest* request,
                            google::protobuf::Empty* response) override {
    return Answer(methods_.delete_architecture, *request, response);
  }

 private:
  const FakeMethods& methods_;
};

class FakeServerInformation : public v1::ServerInformation::Service {
 public:
  explicit FakeServerInformation(const FakeMethods& methods)
      : methods_(methods) {}

  Status GetServerInfo(ServerContext*, const v1::GetServerInfoRequest* request,
                       v1::ServerInfo* response) override {
    return Answer(methods_.get_server_info, *request, response);
  }

 private:
  const FakeMethods& methods_;
};

class FakeUploads : public v1::Uploads::Service {
 public:
  explicit FakeUploads(const FakeMethods& methods) : methods_(methods) {}

  Status FindMissingTensors(ServerContext*,
                            const v1::FindMissingTensorsRequest* request,
                            v1::FindMissingTensorsResponse* response) override {
    return Answer(methods_.find_missing_tensors, *request, response);
  }

 private:
  const FakeMethods& methods_;
};

class FakeAdmin : public v1::Admin::Service {
 public:
  explicit FakeAdmin(const FakeMethods& methods) : methods_(methods) {}

  Status BackUpStore(
      ServerContext*,
      grpc::ServerReaderWriter<v1::BackUpStoreResponse, v1::BackUpStoreRequest>*
          stream) override {
    return Answer(methods_.back_up_store, stream);
  }

  Status ApplyRetention(ServerContext*,
                        const v1::ApplyRetentionRequest* request,
                        v1::ApplyRetentionResponse* response) override {
    return Answer(methods_.apply_retention, *request, response);
  }

  Status CollectGarbage(ServerContext*,
                        const v1::CollectGarbageRequest* request,
                        v1::CollectGarbageResponse* response) override {
    return Answer(methods_.collect_garbage, *request, response);
  }

  Status ScrubStore(
      ServerContext*, const v1::ScrubStoreRequest* request,
      grpc::ServerWriter<v1::ScrubStoreResponse>* writer) override {
    return Answer(methods_.scrub_store, *request, writer);
  }
  Status ListDamagedTensors(ServerContext*,
                            const v1::ListDamagedTensorsRequest* request,
                            v1::ListDamagedTensorsResponse* response) override {
    return Answer(methods_.list_damaged_tensors, *request, response);
  }
  Status CheckStore(ServerContext*, const v1::CheckStoreRequest* request,
                    v1::CheckStoreResponse* response) override {
    return Answer(methods_.check_store, *request, response);
  }

 private:
  const FakeMethods& methods_;
};

}  // namespace

class FakeServer::Services {
 public:
  explicit Services(const FakeMethods& methods)
      : model_initializer(methods),
        checkpoints(methods),
        lineage(methods),
        architectures(methods),
        server_information(methods),
        uploads(methods),
        admin(methods) {}

  FakeModelInitializer model_initializer;
  FakeCheckpoints checkpoints;
  FakeLineage lineage;
  FakeArchitectures architectures;
  FakeServerInformation server_information;
  FakeUploads uploads;
  FakeAdmin admin;
};

FakeServer::FakeServer()
    : methods_(std::make_unique<FakeMethods>()),
      services_(std::make_unique<Services>(*methods_)) {
  grpc::EnableDefaultHealthCheckService(true);
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(&services_->model_initializer);
  builder.RegisterService(&services_->checkpoints);
  builder.RegisterService(&services_->lineage);
  builder.RegisterService(&services_->architectures);
  builder.RegisterService(&services_->server_information);
  builder.RegisterService(&services_->uploads);
  builder.RegisterService(&services_->admin);
  server_ = builder.BuildAndStart();
  address_ = absl::StrCat("127.0.0.1:", port);
  server_->GetHealthCheckService()->SetServingStatus(kNamedService, true);
}

FakeServer::~FakeServer() { server_->Shutdown(); }

void FakeServer::SetServing(bool serving) {
  server_->GetHealthCheckService()->SetServingStatus(serving);
}

ReceivedUpload ReceiveUpload(grpc::ServerReader<v1::SaveModelRequest>& reader) {
  ReceivedUpload upload;
  v1::SaveModelRequest message;
  while (reader.Read(&message)) {
    if (message.has_header()) {
      upload.header = message.header();
    } else if (message.has_manifest()) {
      upload.manifest.MergeFrom(message.manifest());
    } else if (message.has_file()) {
      upload.files.push_back({.header = message.file()});
    } else {
      ReceivedFile& file = upload.files.back();
      file.bytes += message.chunk();
      file.largest_chunk = std::max(file.largest_chunk, message.chunk().size());
    }
  }
  return upload;
}

void SendFile(const v1::DownloadCheckpointRequest& request,
              const std::string& file, size_t end, size_t chunk_bytes,
              grpc::ServerWriter<v1::DownloadCheckpointResponse>& writer) {
  v1::DownloadCheckpointResponse message;
  message.set_file_size(static_cast<int64_t>(file.size()));
  if (request.parts().empty()) message.set_checkpoint("checkpoints/c1");
  for (int i = 0; i < request.parts_size(); ++i) {
    message.add_part_checkpoints(absl::StrCat("checkpoints/c", i + 1));
  }
  for (size_t offset = request.offset(); offset < end; offset += chunk_bytes) {
    message.set_chunk(file.substr(offset, std::min(chunk_bytes, end - offset)));
    writer.Write(message);
    message.Clear();
  }
  if (message.has_file_size()) writer.Write(message);  // nothing to send
}

grpc::Status FailureWithDetails(grpc::StatusCode code,
                                const std::string& message,
                                const std::string& reason,
                                const v1::MatchReport* report) {
  google::rpc::Status details;
  details.set_code(code);
  details.set_message(message);
  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  info.set_domain("warmstart");
  (*info.mutable_metadata())["field"] = "name";
  details.add_details()->PackFrom(info);
  if (report != nullptr) details.add_details()->PackFrom(*report);
  return {code, message, details.SerializeAsString()};
}

}  // namespace warmstart::client
