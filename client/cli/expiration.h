// When a checkpoint expires: the flags that say so, and what is printed of it.

#ifndef WARMSTART_CLIENT_CLI_EXPIRATION_H_
#define WARMSTART_CLIENT_CLI_EXPIRATION_H_

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "client/cli/flags.h"
#include "warmstart/v1/checkpoints.pb.h"

namespace warmstart::client {

inline constexpr Flag kTtlFlag = {
    .name = "ttl",
    .value = "TIME",
    .help =
        "The checkpoint expires so long after it was stored: 90m, 36h, 7d, "
        "2w."};
inline constexpr Flag kExpireTimeFlag = {
    .name = "expire-time",
    .value = "TIME",
    .help =
        "The checkpoint expires then: 2026-12-31, 2026-12-31T18:00:00 "
        "(local time), or with a zone, 2026-12-31T18:00:00Z."};

// Nothing where neither flag is given.
using Expiration = std::variant<std::monostate, google::protobuf::Timestamp,
                                google::protobuf::Duration>;

// What the two flags say. A usage error where both are given, or one of them
// cannot be read.
absl::StatusOr<Expiration> ExpirationValue(const Arguments& arguments);

// Sets it in a message with the fields `expire_time` and `ttl`.
template <typename Message>
void SetExpiration(const Expiration& expiration, Message& message) {
  if (const auto* time =
          std::get_if<google::protobuf::Timestamp>(&expiration)) {
    *message.mutable_expire_time() = *time;
  }
  if (const auto* ttl = std::get_if<google::protobuf::Duration>(&expiration)) {
    *message.mutable_ttl() = *ttl;
  }
}

// "2026-01-31 12:00:00", in the local time zone; "" where it never expires.
std::string ExpirationText(const v1::Checkpoint& checkpoint);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_EXPIRATION_H_
