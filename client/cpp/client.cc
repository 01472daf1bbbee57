#include "client/cpp/client.h"

#include <grpc/grpc.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <utility>

#include "absl/time/clock.h"
#include "client/cpp/atomic_file.h"
#include "client/cpp/error.h"
#include "client/cpp/file_set.h"
#include "client/cpp/operation.h"
#include "client/cpp/request_id.h"
#include "client/cpp/scrub.h"
#include "client/cpp/status_macros.h"
#include "client/cpp/upload.h"

namespace warmstart::client {
namespace {

enum class Retry { kNever, kWhenUnavailable };

// A unary method of one of the services.
template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> Call(const ClientOptions& options, Retry retry,
                              Stub& stub,
                              grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                           const Request&,
                                                           Response*),
                              const Request& request) {
  Operation operation(options);
  while (true) {
    grpc::ClientContext context;
    operation.Prepare(context);
    Response response;
    const absl::Status status =
        FromGrpcStatus((stub.*method)(&context, request, &response));
    if (status.ok()) return response;
    if (retry == Retry::kNever || !operation.ShouldRetry(status)) return status;
  }
}

template <typename Message>
void EnsureRequestId(Message& message) {
  if (message.request_id().empty()) message.set_request_id(NewRequestId());
}

// gRPC stops its threads when the last channel of the process goes, and that
// can wait ten seconds for one of them which polls. Once started, it stays.
void KeepGrpcRunning() {
  static const bool started = (grpc_init(), true);
  static_cast<void>(started);
}

// gRPC gets on with a connection only while some call waits for it, and calls
// do not wait for a connection that has failed before. In a pause without
// calls, a server that is back would not be noticed.
void PauseWhileConnecting(grpc::Channel& channel, absl::Duration pause) {
  const absl::Time end = absl::Now() + pause;
  channel.WaitForConnected(absl::ToChronoTime(end));
  absl::SleepFor(end - absl::Now());
}

}  // namespace

std::shared_ptr<grpc::Channel> MakeChannel(const ClientOptions& options) {
  KeepGrpcRunning();
  grpc::ChannelArguments arguments;
  arguments.SetUserAgentPrefix("warmstart-cpp");
  // Reports and manifests of large models pass gRPC's default of 4 MiB.
  arguments.SetMaxReceiveMessageSize(-1);
  // Reports of errors travel in trailers; base64 makes them longer.
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, 2 * kMaxErrorBytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  // A channel that failed to connect fails calls until it tries again: it has
  // to try as often as RetryPolicy does.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  return grpc::CreateCustomChannel(
      options.address, grpc::InsecureChannelCredentials(), arguments);
}

std::unique_ptr<Client> Client::Connect(ClientOptions options) {
  const std::shared_ptr<grpc::Channel> channel = MakeChannel(options);
  if (!options.sleep) {
    options.sleep = [channel](absl::Duration pause) {
      PauseWhileConnecting(*channel, pause);
    };
  }
  return std::make_unique<Client>(
      Stubs{.model_initializer = v1::ModelInitializer::NewStub(channel),
            .checkpoints = v1::Checkpoints::NewStub(channel),
            .architectures = v1::Architectures::NewStub(channel),
            .server_information = v1::ServerInformation::NewStub(channel),
            .lineage = v1::Lineage::NewStub(channel),
            .uploads = v1::Uploads::NewStub(channel),
            .admin = v1::Admin::NewStub(channel)},
      std::move(options));
}

Client::Client(Stubs stubs, ClientOptions options)
    : stubs_(std::move(stubs)), options_(std::move(options)) {
  if (!options_.sleep) options_.sleep = absl::SleepFor;
}

absl::StatusOr<v1::SaveModelResponse> Client::Save(
    const std::vector<std::string>& paths, v1::SaveModelHeader header,
    const ProgressCallback& progress, const UploadOptions& upload) {
  CLIENT_ASSIGN_OR_RETURN(const std::vector<LocalFile> files,
                          ResolveFileSet(paths));
  EnsureRequestId(header);
  if (!upload.resume.empty() || TotalSize(files) >= options_.resumable_bytes) {
    absl::StatusOr<v1::SaveModelResponse> response =
        ResumableUpload(*stubs_.uploads, *stubs_.model_initializer, options_,
                        header, files, upload, progress);
    // A server of a time before uploads takes the files in one stream.
    if (!absl::IsUnimplemented(response.status())) return response;
  }
  return Upload(*stubs_.model_initializer, options_, header, files, progress);
}

absl::StatusOr<v1::SaveModelResponse> Client::SaveManifest(
    v1::SaveModelHeader header, const v1::Manifest& manifest,
    const std::vector<LocalBlob>& blobs, const ProgressCallback& progress) {
  EnsureRequestId(header);
  return UploadManifest(*stubs_.model_initializer, *stubs_.uploads, options_,
                        header, manifest, blobs, progress);
}

absl::StatusOr<v1::SaveModelResponse> Client::SaveFresh(
    v1::SaveModelHeader header) {
  EnsureRequestId(header);
  return Upload(*stubs_.model_initializer, options_, header, /*files=*/{},
                /*progress=*/{});
}

absl::StatusOr<v1::WarmStartResponse> Client::WarmStart(
    v1::WarmStartRequest request) {
  EnsureRequestId(request);
  return Call(options_, Retry::kWhenUnavailable, *stubs_.model_initializer,
              &v1::ModelInitializer::StubInterface::WarmStart, request);
}

absl::StatusOr<v1::ForwardResponse> Client::Forward(
    const v1::ForwardRequest& request) {
  return Call(options_, Retry::kWhenUnavailable, *stubs_.model_initializer,
              &v1::ModelInitializer::StubInterface::Forward, request);
}

absl::StatusOr<Downloaded> Client::DownloadToFile(
    const v1::DownloadCheckpointRequest& request, const std::string& path,
    const ProgressCallback& progress) {
  CLIENT_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  CLIENT_ASSIGN_OR_RETURN(
      Downloaded downloaded,
      Download(
          request, [&](absl::string_view bytes) { return file.Append(bytes); },
          progress));
  CLIENT_RETURN_IF_ERROR(file.Commit());
  return downloaded;
}

absl::StatusOr<Downloaded> Client::Download(
    const v1::DownloadCheckpointRequest& request, const ByteSink& sink,
    const ProgressCallback& progress) {
  return client::Download(*stubs_.checkpoints, options_, request, sink,
                          progress);
}

absl::Status Client::DownloadTensors(const std::string& checkpoint,
                                     const std::vector<std::string>& digests,
                                     TensorSink& sink) {
  return client::DownloadTensors(*stubs_.checkpoints, options_, checkpoint,
                                 digests, sink);
}

absl::StatusOr<v1::Checkpoint> Client::GetCheckpoint(
    const v1::GetCheckpointRequest& request) {
  return Call(options_, Retry::kWhenUnavailable, *stubs_.checkpoints,
              &v1::Checkpoints::StubInterface::GetCheckpoint, request);
}

absl::StatusOr<v1::ListCheckpointsResponse> Client::ListCheckpoints(
    const v1::ListCheckpointsRequest& request) {
  return Call(options_, Retry::kWhenUnavailable, *stubs_.checkpoints,
              &v1::Checkpoints::StubInterface::ListCheckpoints, request);
}

absl::StatusOr<v1::DiffCheckpointsResponse> Client::DiffCheckpoints(
    const v1::DiffCheckpointsRequest& request) {
  return Call(options_, Retry::kWhenUnavailable, *stubs_.checkpoints,
              &v1::Checkpoints::StubInterface::DiffCheckpoints, request);
}

absl::StatusOr<v1::Manifest> Client::GetManifest(
    const v1::GetManifestRequest& request) {
  return Call(options_, Retry::kWhenUnavailable, *stubs_.checkpoints,
              &v1::Checkpoints::StubInterface::GetManifest, request);
}

absl::StatusOr<v1::Checkpoint> Client::SetLabels(
    const std::string& name, const std::map<std::string, std::string>& labels) {
  v1::UpdateCheckpointRequest request;
  request.mutable_checkpoint()->set_name(name);
  request.mutable_checkpoint()->mutable_labels()->insert(labels.begin(),
                                                         labels.end());
  request.mutable_update_mask()->add_paths("labels");
  return UpdateCheckpoint(request);
}

absl::StatusOr<v1::Checkpoint> Client::UpdateCheckpoint(
    const v1::UpdateCheckpointRequest& request) {
  return Call(options_, Retry::kWhenUnavailable, *stubs_.checkpoints,
              &v1::Checkpoints::StubInterface::UpdateCheckpoint, request);
}

absl::Status Client::DeleteCheckpoint(
    const v1::DeleteCheckpointRequest& request) {
  return Call(options_, Retry::kNever, *stubs_.checkpoints,
              &v1::Checkpoints::StubInterface::DeleteCheckpoint, request)
      .status();
}

absl::StatusOr<v1::GetLineageResponse> Client::GetLineage(
    const v1::GetLineageRequest& request) {
  return Call(options_, Retry::kWhenUnavailable, *stubs_.lineage,
              &v1::Lineage::StubInterface::GetLineage, request);
}

absl::Status Client::ReproduceCheckpoint(
    const v1::ReproduceCheckpointRequest& request,
    absl::FunctionRef<void(const v1::ReproduceCheckpointResponse&)> take) {
  Operation operation(options_);
  while (true) {
    grpc::ClientContext context;
    operation.Prepare(context);
    const auto reader = stubs_.lineage->ReproduceCheckpoint(&context, request);
    bool has_begun = false;
    v1::ReproduceCheckpointResponse message;
    while (reader->Read(&message)) {
      has_begun = true;
      take(message);
    }
    const absl::Status status = FromGrpcStatus(reader->Finish());
    if (status.ok() || has_begun || !operation.ShouldRetry(status)) {
      return status;
    }
  }
}

absl::StatusOr<v1::ListUploadsResponse> Client::ListUploads(
    const v1::ListUploadsRequest& request) {
  return Call(options_, Retry::kWhenUnavailable, *stubs_.uploads,
              &v1::Uploads::StubInterface::ListUploads, request);
}

absl::Status Client::DeleteUpload(const v1::DeleteUploadRequest& request) {
  return Call(options_, Retry::kNever, *stubs_.uploads,
              &v1::Uploads::StubInterface::DeleteUpload, request)
      .status();
}

absl::StatusOr<v1::Alias> Client::SetAlias(const v1::SetAliasRequest& request) {
  return Call(options_, Retry::kWhenUnavailable, *stubs_.checkpoints,
              &v1::Checkpoints::StubInterface::SetAlias, request);
}

absl::StatusOr<v1::ListAliasesResponse> Client::ListAliases(
    const v1::ListAliasesRequest& request) {
  return Call(options_, Retry::kWhenUnavailable, *stubs_.checkpoints,
              &v1::Checkpoints::StubInterface::ListAliases, request);
}

absl::Status Client::DeleteAlias(const v1::DeleteAliasRequest& request) {
  return Call(options_, Retry::kNever, *stubs_.checkpoints,
              &v1::Checkpoints::StubInterface::DeleteAlias, request)
      .status();
}

absl::StatusOr<v1::Architecture> Client::RegisterArchitecture(
    const v1::RegisterArchitectureRequest& request) {
  return Call(options_, Retry::kWhenUnavailable, *stubs_.architectures,
              &v1::Architectures::StubInterface::RegisterArchitecture, request);
}

absl::StatusOr<v1::Architecture> Client::GetArchitecture(
    const v1::GetArchitectureRequest& request) {
  return Call(options_, Retry::kWhenUnavailable, *stubs_.architectures,
              &v1::Architectures::StubInterface::GetArchitecture, request);
}

absl::StatusOr<v1::ListArchitecturesResponse> Client::ListArchitectures(
    const v1::ListArchitecturesRequest& request) {
  return Call(options_, Retry::kWhenUnavailable, *stubs_.architectures,
              &v1::Architectures::StubInterface::ListArchitectures, request);
}

absl::Status Client::DeleteArchitecture(
    const v1::DeleteArchitectureRequest& request) {
  return Call(options_, Retry::kNever, *stubs_.architectures,
              &v1::Architectures::StubInterface::DeleteArchitecture, request)
      .status();
}

absl::StatusOr<v1::ServerInfo> Client::GetServerInfo() {
  return Call(options_, Retry::kWhenUnavailable, *stubs_.server_information,
              &v1::ServerInformation::StubInterface::GetServerInfo,
              v1::GetServerInfoRequest());
}

absl::StatusOr<BackedUp> Client::BackUp(const BackupRequest& request,
                                        const ProgressCallback& progress) {
  return client::BackUp(*stubs_.admin, options_, request, progress);
}

absl::StatusOr<v1::ApplyRetentionResponse> Client::ApplyRetention(
    const v1::ApplyRetentionRequest& request) {
  // The second answer would not have what the first call deleted.
  return Call(options_,
              request.validate_only() ? Retry::kWhenUnavailable : Retry::kNever,
              *stubs_.admin, &v1::Admin::StubInterface::ApplyRetention,
              request);
}

absl::StatusOr<v1::CollectGarbageResponse> Client::CollectGarbage(
    const v1::CollectGarbageRequest& request) {
  return Call(
      options_, request.dry_run() ? Retry::kWhenUnavailable : Retry::kNever,
      *stubs_.admin, &v1::Admin::StubInterface::CollectGarbage, request);
}

absl::StatusOr<v1::ScrubResult> Client::ScrubStore(
    const ProgressCallback& progress) {
  return Scrub(*stubs_.admin, options_, progress);
}

absl::StatusOr<v1::ListDamagedTensorsResponse> Client::ListDamagedTensors() {
  return Call(options_, Retry::kWhenUnavailable, *stubs_.admin,
              &v1::Admin::StubInterface::ListDamagedTensors,
              v1::ListDamagedTensorsRequest());
}

absl::StatusOr<v1::CheckStoreResponse> Client::CheckStore() {
  return Call(options_, Retry::kWhenUnavailable, *stubs_.admin,
              &v1::Admin::StubInterface::CheckStore, v1::CheckStoreRequest());
}

}  // namespace warmstart::client
