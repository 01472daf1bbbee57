// ZipArchive: the records of a zip file, found through its central directory
// and checked against the file, zip64 included. Nothing is ever extracted.

#ifndef WARMSTART_SERVER_FORMAT_TORCH_ZIP_ARCHIVE_H_
#define WARMSTART_SERVER_FORMAT_TORCH_ZIP_ARCHIVE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace warmstart::format {

struct ZipRecord {
  absl::string_view name;  // raw bytes of the file
  int64_t offset = 0;      // of the data, from the start of the file
  int64_t num_bytes = 0;   // of the data as it stands in the file
  // Where the data is not stored as it is: deflated, encrypted, of another size
  // than the directory says. Open gives it; other records are not affected.
  absl::Status readable;
  // Unset where the writer did not compute it: torch.save leaves zeros with
  // torch.serialization.set_crc32_options(False) and under skip_data(), and
  // torch.load never looks. A flipped bit does not turn a checksum into zero.
  std::optional<uint32_t> crc32;
};

class ZipArchive {
 public:
  // INVALID_ARGUMENT, with the byte offset, for what is no zip file, for
  // records that overlap or lie outside of the file, and for names that come
  // twice. The bytes must outlive the archive. Time follows the number of
  // records.
  static absl::StatusOr<ZipArchive> Open(absl::string_view bytes);

  // In the order of the central directory.
  absl::Span<const ZipRecord> records() const { return records_; }

  // nullptr where there is no such record.
  const ZipRecord* Find(absl::string_view name) const;

  // The data of a record, compared with its checksum. For small records: the
  // time follows their size.
  absl::StatusOr<absl::string_view> ReadChecked(const ZipRecord& record) const;

 private:
  explicit ZipArchive(absl::string_view bytes) : bytes_(bytes) {}

  absl::string_view bytes_;
  std::vector<ZipRecord> records_;
  absl::flat_hash_map<absl::string_view, size_t> by_name_;
};

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_TORCH_ZIP_ARCHIVE_H_
