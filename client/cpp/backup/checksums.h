// Checksums: what SHA256SUMS of a backup says, in the format of the command
// sha256sum, so that `sha256sum -c SHA256SUMS` checks a backup without us.

#ifndef WARMSTART_CLIENT_CPP_BACKUP_CHECKSUMS_H_
#define WARMSTART_CLIENT_CPP_BACKUP_CHECKSUMS_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace warmstart::client {

struct Checksums {
  std::string catalog;                       // in hexadecimal; "" where unknown
  std::map<std::string, std::string> packs;  // by the pack's name
};

// Whether a pack's file could be called so: 32 hexadecimal digits.
bool IsPackName(absl::string_view name);

std::string ToText(const Checksums& checksums);

// DATA_LOSS for a line that ToText would not write.
absl::StatusOr<Checksums> ParseChecksums(absl::string_view text);

// NOT_FOUND where there is no such file.
absl::StatusOr<Checksums> ReadChecksums(const std::string& path);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_BACKUP_CHECKSUMS_H_
