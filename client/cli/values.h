// Values of flags and arguments, read. A value that cannot be read is a usage
// error that names its flag.

#ifndef WARMSTART_CLIENT_CLI_VALUES_H_
#define WARMSTART_CLIENT_CLI_VALUES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "client/cli/flags.h"

namespace warmstart::client {

// A whole number from 0 to 2^64-1; nothing where the flag is not given.
absl::StatusOr<std::optional<uint64_t>> Uint64Value(const Arguments& arguments,
                                                    absl::string_view flag);

// A number from 0 to 1; nothing where the flag is not given.
absl::StatusOr<std::optional<double>> FractionValue(const Arguments& arguments,
                                                    absl::string_view flag);

// "4096" (bytes), "100KB", "1.5GiB", "2 MiB"; nothing where the flag is not
// given. At most 2^63-1.
absl::StatusOr<std::optional<int64_t>> BytesValue(const Arguments& arguments,
                                                  absl::string_view flag);

// "30" (seconds), "1.5s", "2m"; more than nothing. `otherwise` where the flag
// is not given.
absl::StatusOr<absl::Duration> DurationValue(const Arguments& arguments,
                                             absl::string_view flag,
                                             absl::Duration otherwise);

// "A=B", divided at its first "="; A is not empty. `what` and `form` are for
// errors: "--rename", "OLD=NEW".
absl::StatusOr<std::pair<std::string, std::string>> ParsePair(
    absl::string_view what, absl::string_view form, absl::string_view text);

// Pairs KEY=VALUE with no KEY twice.
absl::StatusOr<std::map<std::string, std::string>> ParseLabels(
    absl::string_view what, absl::Span<const std::string> texts);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_VALUES_H_
