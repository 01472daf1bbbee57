#include "client/cpp/backup/checksums.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/cpp/backup/local_files.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

constexpr absl::string_view kCatalog = "catalog.sqlite3";
constexpr absl::string_view kPacks = "packs/";
constexpr size_t kHexDigits = 64;

bool IsHex(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
}

// Of "{digest}  {path}".
absl::Status ParseLine(absl::string_view line, Checksums& checksums) {
  const std::string digest(line.substr(0, kHexDigits));
  absl::string_view path = line.substr(digest.size());
  const bool is_line = digest.size() == kHexDigits && IsHex(digest) &&
                       absl::ConsumePrefix(&path, "  ");
  if (is_line && path == kCatalog) {
    checksums.catalog = digest;
    return absl::OkStatus();
  }
  if (is_line && absl::ConsumePrefix(&path, kPacks) && IsPackName(path)) {
    checksums.packs[std::string(path)] = digest;
    return absl::OkStatus();
  }
  return absl::DataLossError(
      absl::StrCat("'", line, "' is no line of a backup's checksums"));
}

}  // namespace

bool IsPackName(absl::string_view name) {
  return name.size() == 32 && IsHex(name);
}

std::string ToText(const Checksums& checksums) {
  std::string text = absl::StrCat(checksums.catalog, "  ", kCatalog, "\n");
  for (const auto& [name, digest] : checksums.packs) {
    absl::StrAppend(&text, digest, "  ", kPacks, name, "\n");
  }
  return text;
}

absl::StatusOr<Checksums> ParseChecksums(absl::string_view text) {
  Checksums checksums;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (line.empty()) continue;  // behind the last
    CLIENT_RETURN_IF_ERROR(ParseLine(line, checksums));
  }
  return checksums;
}

absl::StatusOr<Checksums> ReadChecksums(const std::string& path) {
  std::string text;
  CLIENT_RETURN_IF_ERROR(
      ReadPieces(path, /*num_bytes=*/-1, [&](absl::string_view piece) {
        absl::StrAppend(&text, piece);
        return absl::OkStatus();
      }));
  absl::StatusOr<Checksums> checksums = ParseChecksums(text);
  if (checksums.ok()) return checksums;
  return absl::DataLossError(
      absl::StrCat(path, ": ", checksums.status().message()));
}

}  // namespace warmstart::client
