// Checks of the fields that several requests share, and the fingerprint by
// which a retry is known.

#ifndef WARMSTART_SERVER_SERVICE_REQUEST_CHECKS_H_
#define WARMSTART_SERVER_SERVICE_REQUEST_CHECKS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/model/digest.h"
#include "server/model/resource_name.h"
#include "server/store/store.h"

namespace warmstart::service {

// What SaveModel and WarmStart alike are told of the checkpoint to be made.
struct CheckpointOptions {
  store::Labels labels;
  std::string alias;  // "aliases/{alias}", "{alias}" or ""
  std::string request_id;
  store::Expiration expiration;
};

// INVALID_ARGUMENT, with the field: a label's key or value, their number, or
// the request id is not as the API says.
absl::Status CheckLabels(const store::Labels& labels);
absl::Status CheckRequestId(absl::string_view request_id);
// The time is over, or too far for the catalog (year 2262); or the duration is
// none. `now` is the time of the server.
absl::Status CheckExpiration(const store::Expiration& expiration,
                             absl::Time now);
// INVALID_ARGUMENT, with the field, where a file that is sent besides
// `files_before` others is one too many, or has a name or size that cannot be.
// `field` is the path of its message.
absl::Status CheckFile(absl::string_view field, size_t files_before,
                       absl::string_view name, std::optional<int64_t> size);
// The upload that "uploads/{id}" names; INVALID_ARGUMENT, with the field, for
// other text.
absl::StatusOr<store::UploadName> ParseUploadName(absl::string_view field,
                                                  absl::string_view name);
// CheckLabels and CheckRequestId; the alias parsed.
absl::StatusOr<std::optional<AliasName>> CheckOptions(
    const CheckpointOptions& options);

// Collects a request's fields, in a fixed order, into a digest. Fields are
// length-prefixed, so that no two requests give the same bytes.
class Fingerprint {
 public:
  Fingerprint& Add(absl::string_view field);
  Fingerprint& Add(const store::Labels& labels);
  // Nothing where it never expires: the requests of those who did not know of
  // expiration stay what they were.
  Fingerprint& Add(const store::Expiration& expiration);
  Digest Finish() { return hasher_.Finish(); }

 private:
  Hasher hasher_;
};

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_REQUEST_CHECKS_H_
