// Upload: files that a client sends in pieces, as many connections and starts
// of the server as that takes, before they become a checkpoint.

#ifndef WARMSTART_SERVER_STORE_UPLOADS_UPLOAD_H_
#define WARMSTART_SERVER_STORE_UPLOADS_UPLOAD_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/model/digest.h"
#include "server/store/uploads/upload_name.h"

namespace warmstart::store {

struct UploadFile {
  std::string name;
  int64_t num_bytes = 0;
  // How many of them are on the disk, from the first: these survive a crash.
  int64_t committed_bytes = 0;
  // Of those; only where it was asked for.
  std::optional<Digest> digest;
};

// Of all of them together; no more than a number holds.
int64_t NumBytes(absl::Span<const UploadFile> files);

struct Upload {
  UploadName name;
  std::vector<UploadFile> files;
  absl::Time create_time;
  absl::Time expire_time;  // unless something is committed before
};

struct UploadPage {
  std::vector<Upload> uploads;  // by name
  std::string next_page_token;  // "" at the end
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_UPLOADS_UPLOAD_H_
