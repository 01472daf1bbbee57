// UploadWriter: one stream of bytes into an upload.

#ifndef WARMSTART_SERVER_STORE_UPLOADS_UPLOAD_WRITER_H_
#define WARMSTART_SERVER_STORE_UPLOADS_UPLOAD_WRITER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/base/clock.h"
#include "server/base/file_system.h"
#include "server/store/uploads/upload.h"
#include "server/store/uploads/upload_record.h"

namespace warmstart::store {

// The upload is the writer's alone while it lives. Bytes count once they are
// committed, which happens at intervals by itself; dropping the writer loses
// those that are not. Not thread-safe.
class UploadWriter {
 public:
  // `clock` outlives the writer.
  UploadWriter(UploadLease lease, Clock& clock);

  // Goes on with the `file`-th file.
  //   INVALID_ARGUMENT there is no such file
  //   OUT_OF_RANGE     `offset` is not where its bytes end; the message and the
  //                    metadata, "committed_bytes", tell where that is
  absl::Status Begin(int file, int64_t offset);

  // The next bytes of that file.
  //   INVALID_ARGUMENT   before any Begin, or beyond the file's size
  //   RESOURCE_EXHAUSTED the disk is full
  // After an error of the disk, the writer is of no use any more.
  absl::Status Append(absl::string_view bytes);

  // Makes all that was appended survive a crash.
  absl::Status Commit();

 private:
  // A file with bytes that were not committed, or that comes next.
  struct Open {
    int file = 0;
    int64_t num_bytes = 0;
    std::unique_ptr<WritableFile> bytes;  // null before the first of them
    bool has_new_name = false;
  };

  absl::Status OpenBytes(Open& open);
  absl::Status AppendToDisk(absl::string_view bytes);
  absl::Status CommitToDisk();

  const UploadLease lease_;
  Clock& clock_;
  const std::vector<UploadFile> files_;  // as they were at the start
  std::vector<Open> open_;               // bytes go to the last
  int64_t uncommitted_ = 0;
  absl::Status disk_status_;
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_UPLOADS_UPLOAD_WRITER_H_
