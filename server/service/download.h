// Download: a checkpoint as a file, read from any offset.

#ifndef WARMSTART_SERVER_SERVICE_DOWNLOAD_H_
#define WARMSTART_SERVER_SERVICE_DOWNLOAD_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/format/writer.h"
#include "server/model/resource_name.h"
#include "server/service/context.h"

namespace warmstart::service {

enum class FileFormat { kTorch, kSafetensors };

// Reads the file front to back from where it was opened. Not thread-safe.
class Download {
 public:
  // NOT_FOUND, no such checkpoint; OUT_OF_RANGE, an offset beyond the file's
  // end; FAILED_PRECONDITION, a dtype that the format lacks.
  static absl::StatusOr<std::unique_ptr<Download>> Open(
      const Context& context, absl::string_view handle, FileFormat format,
      int64_t offset);

  const CheckpointName& checkpoint() const { return checkpoint_; }
  int64_t file_size() const { return layout_.num_bytes; }

  // Replaces *chunk by the next bytes: `max_bytes` of them, less only at the
  // end of the file, where it is empty. DATA_LOSS when a tensor can not be
  // read; NOT_FOUND when the checkpoint was deleted meanwhile.
  absl::Status Read(size_t max_bytes, std::string* chunk);

 private:
  Download(store::Store& store, CheckpointName checkpoint,
           format::FileLayout layout);

  void SkipTo(int64_t offset);
  // The bytes of the current segment.
  absl::StatusOr<absl::string_view> SegmentBytes();
  // With the tensor that was lost, where that is the error.
  absl::Status Named(absl::Status status) const;

  store::Store& store_;
  const CheckpointName checkpoint_;
  const format::FileLayout layout_;
  size_t segment_ = 0;
  int64_t position_ = 0;                 // in the segment
  std::optional<store::BlobData> blob_;  // of the segment, where it is one
};

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_DOWNLOAD_H_
