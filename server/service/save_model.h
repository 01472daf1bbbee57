// SaveModel: one save in progress, from the first byte to the commit.

#ifndef WARMSTART_SERVER_SERVICE_SAVE_MODEL_H_
#define WARMSTART_SERVER_SERVICE_SAVE_MODEL_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/format/file_contents.h"
#include "server/model/manifest.h"
#include "server/model/report.h"
#include "server/service/architecture_registry.h"
#include "server/service/context.h"
#include "server/service/origin.h"
#include "server/service/request_checks.h"
#include "server/store/store.h"

namespace warmstart::service {

// As SaveModelHeader.
struct SaveModelRequest {
  std::string architecture;
  std::optional<uint64_t> seed;
  std::string device;
  // "uploads/{id}", complete, whose files are saved; "" where they are sent.
  std::string upload;
  CheckpointOptions options;
};

struct SaveModelResult {
  store::Checkpoint checkpoint;
  std::optional<MatchReport> report;  // where an architecture was named
  std::vector<format::SkippedValue> skipped;
};

// Life cycle: Begin; AddManifest where the client sends one; for each file
// BeginFile and then Append; Finish, which commits. Dropping it at any time
// before leaves nothing behind. Not thread-safe.
class SaveModel {
 public:
  // Checks the request before any byte is sent.
  static absl::StatusOr<std::unique_ptr<SaveModel>> Begin(
      const Context& context, SaveModelRequest request);

  // The result of an earlier request with the same id: the caller need not send
  // anything more, and what it sends is ignored.
  const std::optional<SaveModelResult>& earlier() const { return earlier_; }

  // What the checkpoint is to hold, or more of it: what is added continues what
  // was. The files then only bring bytes. INVALID_ARGUMENT after a file, and
  // where it becomes too long.
  absl::Status AddManifest(Manifest part);
  // INVALID_ARGUMENT for a name that is too long, one file too many, when the
  // file before has less than the size that it was given, or where the files
  // are those of an upload.
  absl::Status BeginFile(std::string name, std::optional<int64_t> size);
  // INVALID_ARGUMENT before any BeginFile, or beyond the size that it was
  // given.
  absl::Status Append(absl::string_view bytes);
  // Reads and stores the files, as the manifest says where there is one. Where
  // there is neither, makes a fresh model.
  absl::StatusOr<SaveModelResult> Finish();

 private:
  struct File {
    std::string name;
    std::optional<int64_t> size;
    int64_t received = 0;
    store::StagedFile* staged = nullptr;
  };

  SaveModel(const Context& context, SaveModelRequest request);

  // What was received.
  struct Received {
    std::vector<format::FileView> views;
    std::vector<const store::StagedFile*> staged;
    format::FileContents contents;  // of no tensors where there are no files
  };

  absl::Status AdoptUpload();
  absl::Status EndFile();
  absl::StatusOr<Received> ReadReceived();
  absl::StatusOr<SaveModelResult> StoreFiles();
  absl::StatusOr<SaveModelResult> StoreManifest();
  absl::StatusOr<SaveModelResult> StoreFresh();
  // Matches, and commits as an upload of these contents.
  absl::StatusOr<SaveModelResult> CommitUpload(
      Manifest manifest, format::FileContents contents,
      std::optional<DeltaOrigin> delta);
  absl::StatusOr<store::Checkpoint> Commit(Manifest manifest,
                                           const std::string& origin_json,
                                           const std::string& report_json);

  const Context context_;
  const SaveModelRequest request_;
  std::optional<AliasName> alias_;
  ModelPtr model_;  // null where no architecture was named
  Digest fingerprint_;
  std::optional<SaveModelResult> earlier_;
  std::unique_ptr<store::Draft> draft_;
  std::optional<Manifest> manifest_;  // where the client sends it
  std::vector<File> files_;
};

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_SAVE_MODEL_H_
