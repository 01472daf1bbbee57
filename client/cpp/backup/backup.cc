#include "client/cpp/backup/backup.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/cpp/backup/backup_folder.h"
#include "client/cpp/backup/backup_paths.h"
#include "client/cpp/error.h"
#include "client/cpp/operation.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

using Stream = grpc::ClientReaderWriterInterface<v1::BackUpStoreRequest,
                                                 v1::BackUpStoreResponse>;

constexpr size_t kPacksInMessage = 10'000;

// A backup over all of its attempts.
class BackupState {
 public:
  BackupState(BackupFolder folder, const BackupRequest& request,
              const ProgressCallback& progress)
      : folder_(std::move(folder)),
        request_(request),
        report_progress_(progress) {}

  // `local` is set where it failed for what was received or for this machine,
  // rather than by the server's answer.
  absl::Status Attempt(v1::Admin::StubInterface& stub, Operation& operation,
                       bool& local) {
    grpc::ClientContext context;
    operation.Prepare(context);
    const std::unique_ptr<Stream> stream = stub.BackUpStore(&context);
    local = true;
    if (absl::Status status = Exchange(*stream, operation); !status.ok()) {
      context.TryCancel();
      stream->Finish().IgnoreError();
      return status;
    }
    local = false;
    return FromGrpcStatus(stream->Finish());
  }

  // Once an attempt went well.
  absl::StatusOr<BackedUp> Finish() {
    if (static_cast<int64_t>(named_.size()) != summary_.pack_count()) {
      return absl::DataLossError(absl::StrCat("the server sent ", named_.size(),
                                              " of ", summary_.pack_count(),
                                              " packs"));
    }
    CLIENT_ASSIGN_OR_RETURN(result_.packs_removed, folder_.Commit(named_));
    result_.snapshot_time = summary_.snapshot_time();
    result_.size = summary_.pack_bytes() + summary_.catalog_bytes();
    result_.packs_fetched = std::count_if(
        named_.begin(), named_.end(),
        [this](const std::string& name) { return fetched_.contains(name); });
    result_.packs_reused = summary_.pack_count() - result_.packs_fetched;
    return result_;
  }

 private:
  // Fails for local reasons alone.
  absl::Status Exchange(Stream& stream, Operation& operation) {
    folder_.StartOver();
    named_.clear();
    progress_ = {};
    CLIENT_RETURN_IF_ERROR(TellHeld(stream));
    v1::BackUpStoreResponse message;
    while (stream.Read(&message)) {
      operation.Reached();
      CLIENT_RETURN_IF_ERROR(Take(message));
      if (!message.chunk().empty()) operation.Advanced();
    }
    return absl::OkStatus();
  }

  // Where the server has already failed, Finish tells.
  absl::Status TellHeld(Stream& stream) {
    CLIENT_ASSIGN_OR_RETURN(const std::vector<BackupFolder::HeldPack> held,
                            folder_.Held());
    v1::BackUpStoreRequest message;
    for (size_t i = 0; i < held.size(); ++i) {
      v1::HeldPack& pack = *message.add_held_packs();
      pack.set_name(held[i].name);
      pack.set_size_bytes(held[i].num_bytes);
      pack.set_partial(held[i].partial);
      if ((i + 1) % kPacksInMessage == 0 || i + 1 == held.size()) {
        if (!stream.Write(message)) return absl::OkStatus();
        message.clear_held_packs();
      }
    }
    stream.WritesDone();
    return absl::OkStatus();
  }

  absl::Status Take(const v1::BackUpStoreResponse& message) {
    switch (message.kind_case()) {
      case v1::BackUpStoreResponse::kSummary:
        summary_ = message.summary();
        progress_.bytes_total = summary_.bytes_to_send();
        return absl::OkStatus();
      case v1::BackUpStoreResponse::kKept:
        named_.insert(message.kept().names().begin(),
                      message.kept().names().end());
        return absl::OkStatus();
      case v1::BackUpStoreResponse::kFile:
        return BeginFile(message.file());
      case v1::BackUpStoreResponse::kChunk:
        return TakeChunk(message.chunk());
      case v1::BackUpStoreResponse::kSha256:
        return EndFile(message.sha256());
      case v1::BackUpStoreResponse::KIND_NOT_SET:
        return absl::OkStatus();  // of a later version
    }
    return absl::OkStatus();
  }

  absl::Status BeginFile(const v1::BackupFile& file) {
    CLIENT_RETURN_IF_ERROR(CheckIsSameStore());
    pack_ = file.pack();
    if (pack_.empty()) return folder_.BeginCatalog(file.size_bytes());
    return folder_.BeginPack(pack_, file.size_bytes(), file.offset());
  }

  absl::Status TakeChunk(const std::string& chunk) {
    CLIENT_RETURN_IF_ERROR(folder_.Append(chunk));
    const auto size = static_cast<int64_t>(chunk.size());
    result_.bytes_fetched += size;
    progress_.bytes_done += size;
    if (report_progress_) report_progress_(progress_);
    return absl::OkStatus();
  }

  absl::Status EndFile(const std::string& sha256) {
    CLIENT_RETURN_IF_ERROR(folder_.FinishFile(sha256));
    if (pack_.empty()) return absl::OkStatus();
    named_.insert(pack_);
    fetched_.insert(pack_);
    return absl::OkStatus();
  }

  // Neither a wrong address nor a server that lost its store must cost the
  // backup. A store that deleted or collected every pack since looks the same.
  absl::Status CheckIsSameStore() const {
    if (request_.replace || !folder_.has_packs_of_a_backup() ||
        !named_.empty()) {
      return absl::OkStatus();
    }
    return absl::FailedPreconditionError(absl::StrCat(
        "the backup in ", request_.dir,
        " shares no pack with this server: it is of another one, or all packs "
        "were deleted or collected since; name another folder, or give "
        "--replace if this one is to be replaced"));
  }

  BackupFolder folder_;
  const BackupRequest& request_;
  const ProgressCallback& report_progress_;
  v1::BackupSummary summary_;
  Progress progress_;                       // of this attempt
  absl::flat_hash_set<std::string> named_;  // packs of the backup that are here
  absl::flat_hash_set<std::string> fetched_;  // in all attempts
  std::string pack_;                          // that is being received, or ""
  BackedUp result_;
};

}  // namespace

absl::StatusOr<BackedUp> BackUp(v1::Admin::StubInterface& stub,
                                const ClientOptions& options,
                                const BackupRequest& request,
                                const ProgressCallback& progress) {
  CLIENT_ASSIGN_OR_RETURN(BackupFolder folder,
                          BackupFolder::Open(WithoutSlashes(request.dir)));
  Operation operation(options);
  BackupState state(std::move(folder), request, progress);
  while (true) {
    bool local = false;
    const absl::Status status = state.Attempt(stub, operation, local);
    if (status.ok()) return state.Finish();
    if (local || !operation.ShouldRetry(status)) return status;
  }
}

}  // namespace warmstart::client
