// Origin: where a checkpoint came from, as its record keeps it.

#ifndef WARMSTART_SERVER_SERVICE_ORIGIN_H_
#define WARMSTART_SERVER_SERVICE_ORIGIN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/format/file_contents.h"
#include "server/model/resource_name.h"

namespace warmstart::service {

// What the files of an upload by manifest brought.
struct DeltaOrigin {
  int64_t num_tensors = 0;  // shared storages among them
  int64_t num_bytes = 0;

  friend bool operator==(const DeltaOrigin&, const DeltaOrigin&) = default;
};
struct UploadOrigin {
  std::vector<std::string> files;  // as the client called them
  std::string format;              // as FileContents::format
  std::vector<format::SkippedValue> skipped;
  std::optional<DeltaOrigin> delta;  // where a manifest was sent
};
struct InitializationOrigin {
  uint64_t seed = 0;
  std::string device;
};
struct WarmStartOrigin {
  std::vector<CheckpointName> sources;  // in the request's order
  uint64_t seed = 0;
  std::string device;
  // WarmStartRequest::recorded; none where it was too long, and in origins that
  // were written before requests were recorded.
  std::optional<std::string> request = std::nullopt;
};

using Origin =
    std::variant<UploadOrigin, InitializationOrigin, WarmStartOrigin>;

// A JSON object. FromJson takes what ToJson gave, from this version or an
// earlier one; DATA_LOSS for other text.
std::string OriginToJson(const Origin& origin);
absl::StatusOr<Origin> OriginFromJson(absl::string_view json);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_ORIGIN_H_
