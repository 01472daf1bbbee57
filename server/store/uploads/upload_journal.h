// The journal of an upload: what was announced, and everything that counts of
// what happened since, one line each. A line is
//
//   CHECK JSON "\n"
//
// where CHECK is the beginning of the SHA-256 of JSON, so that a line which a
// crash has torn, or mixed with one that was there before, is known for what it
// is. This file writes and reads the text, and goes on reading what it once
// wrote; who puts it on the disk is upload_store.cc.

#ifndef WARMSTART_SERVER_STORE_UPLOADS_UPLOAD_JOURNAL_H_
#define WARMSTART_SERVER_STORE_UPLOADS_UPLOAD_JOURNAL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/model/resource_name.h"
#include "server/store/uploads/upload.h"

namespace warmstart::store {

// So many bytes of a file are on the disk.
struct CommittedBytes {
  int file = 0;  // its position in the upload
  int64_t num_bytes = 0;
};

// The first line, and those that may follow.
std::string CreatedLine(absl::Time create_time,
                        absl::Span<const UploadFile> files);
std::string CommittedLine(absl::Time time,
                          absl::Span<const CommittedBytes> committed);
// Where `checkpoint` exists, the upload has become it.
std::string TakenLine(const CheckpointName& checkpoint);
std::string DeletedLine();

// What the lines say together.
struct UploadHistory {
  std::vector<UploadFile> files;
  absl::Time create_time;
  absl::Time write_time;  // of the last commit, or as create_time
  std::vector<CheckpointName> taken_for;
  bool is_deleted = false;
  int64_t num_bytes = 0;  // of the lines that are whole
};

// Reads up to the first line that is not whole. DATA_LOSS where that is the
// first of all: then nobody was told of the upload.
absl::StatusOr<UploadHistory> ReadUploadJournal(absl::string_view text);

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_UPLOADS_UPLOAD_JOURNAL_H_
