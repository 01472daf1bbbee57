// The use cases of uploads: files that come in pieces, over as many connections
// as that takes, until SaveModel is told of them.

#ifndef WARMSTART_SERVER_SERVICE_UPLOADS_H_
#define WARMSTART_SERVER_SERVICE_UPLOADS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/service/context.h"
#include "server/service/save_model.h"
#include "server/store/store.h"
#include "server/store/uploads/upload.h"
#include "server/store/uploads/upload_writer.h"

namespace warmstart::service {

// INVALID_ARGUMENT, with the field, for no file, too many of them, or a name or
// size that cannot be; RESOURCE_EXHAUSTED for too many uploads or a full disk.
// Where `save`, what the files are for, is given, also what SaveModel would
// refuse it with, and ALREADY_EXISTS where it was done before.
absl::StatusOr<store::Upload> CreateUpload(
    const Context& context, std::vector<store::UploadFile> files,
    const std::optional<SaveModelRequest>& save);

// NOT_FOUND where there is no such upload; with digests, which are computed for
// it, also ABORTED while it is written.
absl::StatusOr<store::Upload> QueryUpload(store::Store& store,
                                          absl::string_view name,
                                          bool with_digests);

// NOT_FOUND; ABORTED while it is written or saved.
absl::Status DeleteUpload(store::Store& store, absl::string_view name);

// One stream of bytes into an upload: Begin, then any number of Append and
// Begin; Finish. Not thread-safe.
class WriteUpload {
 public:
  explicit WriteUpload(store::Store& store) : store_(store) {}

  // `upload` may be "" but for the first time. Errors as UploadWriter::Begin,
  // NOT_FOUND, and ABORTED while somebody else writes or saves the upload.
  absl::Status Begin(const std::string& upload, int file, int64_t offset);
  // Errors as UploadWriter::Append.
  absl::Status Append(absl::string_view bytes);
  // Makes what came survive a crash, also where a call before has failed; the
  // upload as it is then.
  absl::StatusOr<store::Upload> Finish();

 private:
  store::Store& store_;
  store::UploadName name_;
  std::unique_ptr<store::UploadWriter> writer_;  // null before Begin
};

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_UPLOADS_H_
