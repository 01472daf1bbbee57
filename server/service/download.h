// Download: a checkpoint, or several, as a file, read from any offset.

#ifndef WARMSTART_SERVER_SERVICE_DOWNLOAD_H_
#define WARMSTART_SERVER_SERVICE_DOWNLOAD_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/format/writer.h"
#include "server/model/resource_name.h"
#include "server/service/context.h"
#include "server/service/file_format.h"

namespace warmstart::service {

// A checkpoint in a file of several.
struct DownloadPart {
  std::string checkpoint;  // "checkpoints/{id}" or "aliases/{alias}"
  std::string key;         // of its state_dict in the file
};

// Reads the file front to back from where it was opened. Not thread-safe.
class Download {
 public:
  // NOT_FOUND, no such checkpoint; OUT_OF_RANGE, an offset beyond the file's
  // end; FAILED_PRECONDITION, a dtype that the format lacks.
  static absl::StatusOr<std::unique_ptr<Download>> Open(
      const Context& context, absl::string_view handle, FileFormat format,
      int64_t offset);

  // Several checkpoints as one file: a dict of their state_dicts. Besides:
  // INVALID_ARGUMENT, no parts or too many of them; a key that is empty, not
  // UTF-8, has a dot or is there twice.
  static absl::StatusOr<std::unique_ptr<Download>> Open(
      const Context& context, absl::Span<const DownloadPart> parts,
      FileFormat format, int64_t offset);

  // Those that are in the file.
  const std::vector<CheckpointName>& checkpoints() const {
    return checkpoints_;
  }
  int64_t file_size() const { return layout_.num_bytes; }

  // Replaces *chunk by the next bytes: `max_bytes` of them, less only at the
  // end of the file, where it is empty. DATA_LOSS when a tensor can not be
  // read; NOT_FOUND when the checkpoint was deleted meanwhile.
  absl::Status Read(size_t max_bytes, std::string* chunk);

 private:
  Download(store::Store& store, std::vector<CheckpointName> checkpoints,
           format::FileLayout layout);

  // Of the file that `layout` is, read from `offset` on.
  static absl::StatusOr<std::unique_ptr<Download>> At(
      int64_t offset, store::Store& store,
      std::vector<CheckpointName> checkpoints,
      absl::StatusOr<format::FileLayout> layout);

  void SkipTo(int64_t offset);
  // The bytes of the current segment.
  absl::StatusOr<absl::string_view> SegmentBytes();
  // With the tensor that was lost, where that is the error.
  absl::Status Named(absl::Status status) const;

  store::Store& store_;
  const std::vector<CheckpointName> checkpoints_;
  const format::FileLayout layout_;
  size_t segment_ = 0;
  int64_t position_ = 0;                 // in the segment
  std::optional<store::BlobData> blob_;  // of the segment, where it is one
};

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_DOWNLOAD_H_
