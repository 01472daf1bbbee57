// Client: a Warmstart server, seen from C++.
//
//   std::unique_ptr<Client> client = Client::Connect({.address =
//   "host:50051"}); absl::StatusOr<v1::SaveModelResponse> saved =
//   client->Save({"net_a.pt"}, {});
//
//   v1::WarmStartRequest request;
//   request.set_architecture("NetB");
//   request.add_sources()->set_checkpoint(saved->checkpoint().name());
//   absl::StatusOr<v1::WarmStartResponse> warm = client->WarmStart(request);
//
//   v1::DownloadCheckpointRequest download;
//   download.set_name(warm->checkpoint().name());
//   client->DownloadToFile(download, "net_b.pt");
//
// It is thin: requests and answers are the API's own messages, and no rule of
// the server's is repeated here. What it adds: files are streamed from and to
// disk; requests that are safe to send twice are retried when the server cannot
// be reached (all of them but the deletions and the collections, which on a
// second try could not tell what the first one did); failures carry their
// details (client/cpp/error.h).
//
// Thread-safe. Methods block. Their errors are those that the API documents for
// the method, and
//   UNAVAILABLE        the server could not be reached, or was lost
//   DEADLINE_EXCEEDED  ClientOptions.timeout has passed

#ifndef WARMSTART_CLIENT_CPP_CLIENT_H_
#define WARMSTART_CLIENT_CPP_CLIENT_H_

#include <grpcpp/channel.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cpp/backup/backup.h"
#include "client/cpp/download.h"
#include "client/cpp/manifest_upload.h"
#include "client/cpp/options.h"
#include "client/cpp/resumable_upload.h"
#include "client/cpp/tensor_download.h"
#include "warmstart/v1/admin.grpc.pb.h"
#include "warmstart/v1/architectures.grpc.pb.h"
#include "warmstart/v1/checkpoints.grpc.pb.h"
#include "warmstart/v1/lineage.grpc.pb.h"
#include "warmstart/v1/model_initializer.grpc.pb.h"
#include "warmstart/v1/server_info.grpc.pb.h"
#include "warmstart/v1/uploads.grpc.pb.h"

namespace warmstart::client {

// A channel to `options.address` as the client wants it: answers of any size, a
// dead connection noticed, a restarted server found again soon.
std::shared_ptr<grpc::Channel> MakeChannel(const ClientOptions& options);

class Client {
 public:
  // The services, or tests' mocks of them.
  struct Stubs {
    std::unique_ptr<v1::ModelInitializer::StubInterface> model_initializer;
    std::unique_ptr<v1::Checkpoints::StubInterface> checkpoints;
    std::unique_ptr<v1::Architectures::StubInterface> architectures;
    std::unique_ptr<v1::ServerInformation::StubInterface> server_information;
    std::unique_ptr<v1::Lineage::StubInterface> lineage;
    std::unique_ptr<v1::Uploads::StubInterface> uploads;
    std::unique_ptr<v1::Admin::StubInterface> admin;
  };

  // Connects when the first method is called, and again when need be.
  static std::unique_ptr<Client> Connect(ClientOptions options);

  Client(Stubs stubs, ClientOptions options);

  // Stores the tensors of files as one checkpoint. `paths` is resolved as
  // client/cpp/file_set.h says. A header without a request_id gets one. Where
  // there is more than ClientOptions.resumable_bytes, or an upload to resume,
  // what was sent is not sent again when the server is lost.
  //
  // Also fails as ResolveFileSet, Upload and ResumableUpload do.
  absl::StatusOr<v1::SaveModelResponse> Save(
      const std::vector<std::string>& paths, v1::SaveModelHeader header,
      const ProgressCallback& progress = {}, const UploadOptions& upload = {});

  // Stores the checkpoint that `manifest` says, sending what the server lacks
  // of `blobs`. A header without a request_id gets one.
  //
  // Also fails as UploadManifest does.
  absl::StatusOr<v1::SaveModelResponse> SaveManifest(
      v1::SaveModelHeader header, const v1::Manifest& manifest,
      const std::vector<LocalBlob>& blobs,
      const ProgressCallback& progress = {});

  // Stores a fresh model of `header.architecture`.
  absl::StatusOr<v1::SaveModelResponse> SaveFresh(v1::SaveModelHeader header);

  // A request without a request_id gets one.
  absl::StatusOr<v1::WarmStartResponse> WarmStart(v1::WarmStartRequest request);

  // Sent again when the server cannot be reached: it changes nothing.
  absl::StatusOr<v1::ForwardResponse> Forward(
      const v1::ForwardRequest& request);

  // Downloads a checkpoint, or several, as a file, which is at `path` when it
  // is complete and on disk; until then, and on failure, what was there stays.
  //
  // Also fails as Download and AtomicFile do.
  absl::StatusOr<Downloaded> DownloadToFile(
      const v1::DownloadCheckpointRequest& request, const std::string& path,
      const ProgressCallback& progress = {});

  // The same, with the bytes going elsewhere.
  absl::StatusOr<Downloaded> Download(
      const v1::DownloadCheckpointRequest& request, const ByteSink& sink,
      const ProgressCallback& progress = {});

  // As DownloadTensors of tensor_download.h.
  absl::Status DownloadTensors(const std::string& checkpoint,
                               const std::vector<std::string>& digests,
                               TensorSink& sink);

  absl::StatusOr<v1::Checkpoint> GetCheckpoint(
      const v1::GetCheckpointRequest& request);
  absl::StatusOr<v1::ListCheckpointsResponse> ListCheckpoints(
      const v1::ListCheckpointsRequest& request);
  absl::StatusOr<v1::DiffCheckpointsResponse> DiffCheckpoints(
      const v1::DiffCheckpointsRequest& request);
  absl::StatusOr<v1::Manifest> GetManifest(
      const v1::GetManifestRequest& request);
  // Replaces a checkpoint's labels.
  absl::StatusOr<v1::Checkpoint> SetLabels(
      const std::string& name,
      const std::map<std::string, std::string>& labels);
  absl::StatusOr<v1::Checkpoint> UpdateCheckpoint(
      const v1::UpdateCheckpointRequest& request);
  absl::Status DeleteCheckpoint(const v1::DeleteCheckpointRequest& request);

  absl::StatusOr<v1::GetLineageResponse> GetLineage(
      const v1::GetLineageRequest& request);
  // Hands `take` what became of each checkpoint, as the server finds it. Where
  // the server is lost before the first, it is asked again; after it, the call
  // fails.
  absl::Status ReproduceCheckpoint(
      const v1::ReproduceCheckpointRequest& request,
      absl::FunctionRef<void(const v1::ReproduceCheckpointResponse&)> take);

  absl::StatusOr<v1::ListUploadsResponse> ListUploads(
      const v1::ListUploadsRequest& request);
  absl::Status DeleteUpload(const v1::DeleteUploadRequest& request);

  absl::StatusOr<v1::Alias> SetAlias(const v1::SetAliasRequest& request);
  absl::StatusOr<v1::ListAliasesResponse> ListAliases(
      const v1::ListAliasesRequest& request);
  absl::Status DeleteAlias(const v1::DeleteAliasRequest& request);

  absl::StatusOr<v1::Architecture> RegisterArchitecture(
      const v1::RegisterArchitectureRequest& request);
  absl::StatusOr<v1::Architecture> GetArchitecture(
      const v1::GetArchitectureRequest& request);
  absl::StatusOr<v1::ListArchitecturesResponse> ListArchitectures(
      const v1::ListArchitecturesRequest& request);
  absl::Status DeleteArchitecture(const v1::DeleteArchitectureRequest& request);

  absl::StatusOr<v1::ServerInfo> GetServerInfo();

  // As client/cpp/backup/backup.h says.
  absl::StatusOr<BackedUp> BackUp(const BackupRequest& request,
                                  const ProgressCallback& progress = {});
  absl::StatusOr<v1::ApplyRetentionResponse> ApplyRetention(
      const v1::ApplyRetentionRequest& request);
  // May take as long as the copying of all that is stored.
  absl::StatusOr<v1::CollectGarbageResponse> CollectGarbage(
      const v1::CollectGarbageRequest& request);
  // Also fails as Scrub (client/cpp/scrub.h) does.
  absl::StatusOr<v1::ScrubResult> ScrubStore(
      const ProgressCallback& progress = {});
  absl::StatusOr<v1::ListDamagedTensorsResponse> ListDamagedTensors();
  absl::StatusOr<v1::CheckStoreResponse> CheckStore();

 private:
  const Stubs stubs_;
  ClientOptions options_;  // as they were at the start
};

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_CLIENT_H_
