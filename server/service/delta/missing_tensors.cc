#include "server/service/delta/missing_tensors.h"

#include <optional>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"

namespace warmstart::service {
namespace {

constexpr size_t kMaxDigests = 10000;

}  // namespace

absl::StatusOr<std::vector<Digest>> ParseDigests(
    const std::vector<std::string>& digests) {
  if (digests.size() > kMaxDigests) {
    return InvalidField(
        "digests", absl::StrCat("there are ", digests.size(), ", at most ",
                                kMaxDigests, " are allowed in one request"));
  }
  std::vector<Digest> parsed;
  parsed.reserve(digests.size());
  for (size_t i = 0; i < digests.size(); ++i) {
    const absl::StatusOr<Digest> digest = Digest::FromHex(digests[i]);
    if (!digest.ok()) {
      return InvalidField(absl::StrCat("digests[", i, "]"),
                          digest.status().message());
    }
    parsed.push_back(*digest);
  }
  return parsed;
}

absl::StatusOr<std::vector<Digest>> FindMissingTensors(
    store::Store& store, absl::Span<const Digest> digests) {
  ASSIGN_OR_RETURN(const std::vector<std::optional<store::Blob>> blobs,
                   store.FindBlobs(digests));
  std::vector<Digest> missing;
  absl::flat_hash_set<Digest> seen;
  for (size_t i = 0; i < digests.size(); ++i) {
    if (!blobs[i].has_value() && seen.insert(digests[i]).second) {
      missing.push_back(digests[i]);
    }
  }
  return missing;
}

}  // namespace warmstart::service
