// ZipLayout: lays out a zip archive exactly as torch.save does.
//
// Records are stored, not compressed, each followed by a data descriptor. Their
// bytes start at multiples of 64, which padding in the local header's extra
// field sees to, so that a tensor can be used where the file is mapped. The end
// of the archive always has its zip64 form too.

#ifndef WARMSTART_SERVER_FORMAT_TORCH_ZIP_WRITER_H_
#define WARMSTART_SERVER_FORMAT_TORCH_ZIP_WRITER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/format/writer.h"
#include "server/model/digest.h"

namespace warmstart::format {

// Not thread-safe.
class ZipLayout {
 public:
  // All names are put under `folder`.
  explicit ZipLayout(absl::string_view folder);

  void AddLiteral(absl::string_view name, absl::string_view bytes);
  void AddBlob(absl::string_view name, const Digest& digest, int64_t num_bytes,
               uint32_t crc32);

  // The whole archive. Call once, last.
  FileLayout Finish() &&;

 private:
  struct Record {
    std::string name;
    uint64_t offset = 0;  // of its local header
    uint64_t num_bytes = 0;
    uint32_t crc32 = 0;
  };

  void StartRecord(absl::string_view name, int64_t num_bytes, uint32_t crc32);
  void EndRecord();
  void AppendCentralDirectory();
  void AppendEnd(uint64_t directory_offset, uint64_t directory_size);
  void FlushLiteral();
  uint64_t offset() const;

  const std::string prefix_;
  std::vector<Record> records_;
  FileLayout layout_;
  std::string literal_;  // what comes after the last segment of layout_
};

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_TORCH_ZIP_WRITER_H_
