#include "client/cpp/manifest_upload.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "client/cpp/error.h"
#include "client/cpp/operation.h"
#include "client/cpp/safetensors_head.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

constexpr char kFileName[] = "delta.safetensors";
constexpr size_t kMaxDigests = 10000;  // of FindMissingTensors
constexpr int kEntriesInMessage = 4096;
constexpr size_t kHeadPiece = 1 << 20;
// How often what is missing is asked for, should tensors vanish meanwhile. Then
// all of them are sent: those cannot vanish.
constexpr int kMaxQuestions = 2;
// What vector instructions like.
constexpr int64_t kAlignment = 64;

// The largest power of two in `size`, up to what matters: a blob is a multiple
// of its elements' size, and so begins well where those of greater powers come
// before it.
int64_t Alignment(int64_t size) { return std::min(size & -size, kAlignment); }

// One attempt at the whole stream.
class ManifestStream {
 public:
  ManifestStream(v1::ModelInitializer::StubInterface& stub,
                 Operation& operation, const ProgressCallback& progress)
      : operation_(operation), report_progress_(progress) {
    operation.Prepare(context_);
    writer_ = stub.SaveModel(&context_, &response_);
  }

  absl::StatusOr<v1::SaveModelResponse> Run(
      const v1::SaveModelHeader& header, const v1::Manifest& manifest,
      const std::vector<LocalBlob>& blobs) {
    absl::Status local = SendAll(header, manifest, blobs);
    if (!local.ok()) context_.TryCancel();
    absl::Status remote = FromGrpcStatus(writer_->Finish());
    if (!local.ok()) {
      local_failure_ = true;
      return local;
    }
    if (!remote.ok()) return remote;
    return std::move(response_);
  }

  // Whether Run failed for a reason that is not the server's or the network's.
  bool local_failure() const { return local_failure_; }

 private:
  // Fails for local reasons alone. Where the server has already answered, it
  // stops early, and Finish tells.
  absl::Status SendAll(const v1::SaveModelHeader& header,
                       const v1::Manifest& manifest,
                       const std::vector<LocalBlob>& blobs) {
    *message_.mutable_header() = header;
    if (!Send()) return absl::OkStatus();
    operation_.Reached();
    if (!SendManifest(manifest)) return absl::OkStatus();
    if (!blobs.empty()) {
      CLIENT_ASSIGN_OR_RETURN(const bool more, SendBlobs(blobs));
      if (!more) return absl::OkStatus();
    }
    writer_->WritesDone();
    return absl::OkStatus();
  }

  // These tell whether the server goes on listening.
  bool Send() { return writer_->Write(message_); }

  bool SendManifest(const v1::Manifest& manifest) {
    v1::Manifest& part = *message_.mutable_manifest();
    *part.mutable_storages() = manifest.storages();
    *part.mutable_subtrees() = manifest.subtrees();
    *part.mutable_module_versions() = manifest.module_versions();
    part.set_metadata_json(manifest.metadata_json());
    if (!Send()) return false;
    for (int first = 0; first < manifest.entries_size();
         first += kEntriesInMessage) {
      part.Clear();
      const int count =
          std::min(kEntriesInMessage, manifest.entries_size() - first);
      for (int i = 0; i < count; ++i) {
        *part.add_entries() = manifest.entries(first + i);
      }
      if (!Send()) return false;
    }
    return true;
  }

  absl::StatusOr<bool> SendBlobs(const std::vector<LocalBlob>& blobs) {
    std::vector<SafetensorsEntry> entries;
    entries.reserve(blobs.size());
    for (const LocalBlob& blob : blobs) {
      entries.push_back({blob.digest, blob.bytes.size});
    }
    const std::string head = SafetensorsHead(entries);
    progress_.bytes_total = static_cast<int64_t>(head.size());
    for (const LocalBlob& blob : blobs) {
      progress_.bytes_total += blob.bytes.size;
    }
    message_.mutable_file()->set_name(kFileName);
    message_.mutable_file()->set_size(progress_.bytes_total);
    if (!Send() || !SendHead(head)) return false;
    for (const LocalBlob& blob : blobs) {
      CLIENT_ASSIGN_OR_RETURN(const bool more,
                              ReadRange(blob.bytes, *message_.mutable_chunk(),
                                        [this] { return SendChunk(); }));
      if (!more) return false;
    }
    return true;
  }

  bool SendHead(absl::string_view head) {
    for (; !head.empty();
         head.remove_prefix(std::min(kHeadPiece, head.size()))) {
      const absl::string_view piece = head.substr(0, kHeadPiece);
      message_.set_chunk(piece.data(), piece.size());
      if (!SendChunk()) return false;
    }
    return true;
  }

  bool SendChunk() {
    if (!Send()) return false;
    progress_.bytes_done += static_cast<int64_t>(message_.chunk().size());
    if (report_progress_) report_progress_(progress_);
    return true;
  }

  Operation& operation_;
  const ProgressCallback& report_progress_;
  Progress progress_;
  grpc::ClientContext context_;
  v1::SaveModelResponse response_;
  std::unique_ptr<grpc::ClientWriterInterface<v1::SaveModelRequest>> writer_;
  v1::SaveModelRequest message_;  // its chunk's buffer is used again and again
  bool local_failure_ = false;
};

absl::StatusOr<std::vector<LocalBlob>> FindMissing(
    v1::Uploads::StubInterface& stub, const Operation& operation,
    const std::vector<LocalBlob>& blobs) {
  absl::flat_hash_set<std::string> missing;
  for (size_t first = 0; first < blobs.size(); first += kMaxDigests) {
    v1::FindMissingTensorsRequest request;
    const size_t end = std::min(blobs.size(), first + kMaxDigests);
    for (size_t i = first; i < end; ++i) {
      request.add_digests(blobs[i].digest);
    }
    grpc::ClientContext context;
    operation.Prepare(context);
    v1::FindMissingTensorsResponse response;
    CLIENT_RETURN_IF_ERROR(
        FromGrpcStatus(stub.FindMissingTensors(&context, request, &response)));
    missing.insert(response.missing().begin(), response.missing().end());
  }
  std::vector<LocalBlob> found;
  for (const LocalBlob& blob : blobs) {
    if (missing.contains(blob.digest)) found.push_back(blob);
  }
  return found;
}

// In the order in which a file has them.
std::vector<LocalBlob> Sorted(std::vector<LocalBlob> blobs) {
  std::stable_sort(blobs.begin(), blobs.end(),
                   [](const LocalBlob& a, const LocalBlob& b) {
                     return Alignment(a.bytes.size) > Alignment(b.bytes.size);
                   });
  return blobs;
}

bool HaveVanished(const absl::Status& status) {
  return absl::IsAborted(status) ||
         GetErrorDetails(status).reason == "TENSORS_MISSING";
}

}  // namespace

absl::StatusOr<v1::SaveModelResponse> UploadManifest(
    v1::ModelInitializer::StubInterface& models,
    v1::Uploads::StubInterface& uploads, const ClientOptions& options,
    const v1::SaveModelHeader& header, const v1::Manifest& manifest,
    const std::vector<LocalBlob>& blobs, const ProgressCallback& progress) {
  Operation operation(options);
  for (int vanished = 0;;) {
    const absl::StatusOr<std::vector<LocalBlob>> missing =
        vanished < kMaxQuestions ? FindMissing(uploads, operation, blobs)
                                 : blobs;
    absl::Status failure = missing.status();
    if (missing.ok()) {
      ManifestStream stream(models, operation, progress);
      absl::StatusOr<v1::SaveModelResponse> response =
          stream.Run(header, manifest, Sorted(*missing));
      if (response.ok() || stream.local_failure()) return response;
      failure = response.status();
    }
    if (vanished < kMaxQuestions && HaveVanished(failure)) {
      ++vanished;
      continue;
    }
    if (!operation.ShouldRetry(failure)) return failure;
  }
}

}  // namespace warmstart::client
