#include "server/model/resource_name.h"

#include <unistd.h>

#include <cstdlib>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace warmstart {
namespace {

constexpr absl::string_view kCheckpoints = "checkpoints/";
constexpr absl::string_view kAliases = "aliases/";
constexpr absl::string_view kArchitectures = "architectures/";
constexpr absl::string_view kVersions = "/versions/";
// JSON and Python's floats hold it exactly.
constexpr int64_t kMaxVersion = int64_t{1} << 53;

bool IsIdCharacter(char c) {
  return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
}

bool IsCheckpointId(absl::string_view id) {
  if (id.empty() || id.size() > 64) return false;
  for (char c : id) {
    if (!absl::ascii_islower(c) && !absl::ascii_isdigit(c) && c != '-') {
      return false;
    }
  }
  return true;
}

bool IsAliasId(absl::string_view id) {
  if (id.empty() || id.size() > 128) return false;
  for (absl::string_view part : absl::StrSplit(id, '/')) {
    if (part.empty() || part == "." || part == "..") return false;
    for (char c : part) {
      if (!IsIdCharacter(c)) return false;
    }
  }
  return true;
}

bool IsArchitectureId(absl::string_view id) {
  if (id.empty() || id.size() > 128 || !absl::ascii_isalnum(id[0])) {
    return false;
  }
  for (char c : id) {
    if (!IsIdCharacter(c)) return false;
  }
  return true;
}

// One text for each version: no sign, no leading zeros.
bool ParseVersion(absl::string_view text, int64_t* version) {
  if (text.empty() || !absl::ascii_isdigit(text[0]) || text[0] == '0') {
    return false;
  }
  return absl::SimpleAtoi(text, version) && *version <= kMaxVersion;
}

}  // namespace

absl::StatusOr<CheckpointName> CheckpointName::Parse(absl::string_view name) {
  absl::string_view id = name;
  if (!absl::ConsumePrefix(&id, kCheckpoints) || !IsCheckpointId(id)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", name, "' is not the name of a checkpoint; 'checkpoints/{id}' is"));
  }
  return CheckpointName(std::string(id));
}

CheckpointName CheckpointName::Random() {
  // Base 32 without look-alikes; 16 digits of 5 bits.
  constexpr char kDigits[] = "abcdefghijkmnpqrstuvwxyz23456789";
  static_assert(sizeof(kDigits) == 33);
  unsigned char bytes[16];
  // Cannot fail for so few bytes, but on kernels that lack it (before 3.17).
  if (::getentropy(bytes, sizeof(bytes)) != 0) std::abort();
  std::string id;
  for (const unsigned char byte : bytes) id.push_back(kDigits[byte & 31]);
  return CheckpointName(std::move(id));
}

std::string CheckpointName::ToString() const {
  return absl::StrCat(kCheckpoints, id_);
}

absl::StatusOr<AliasName> AliasName::Parse(absl::string_view name) {
  absl::string_view id = absl::StripPrefix(name, kAliases);
  if (!IsAliasId(id)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", name,
        "' cannot be an alias; use up to 128 of letters, digits, '.', '_', "
        "'-' in parts separated by '/', e.g. 'resnet50/prod'"));
  }
  return AliasName(std::string(id));
}

std::string AliasName::ToString() const { return absl::StrCat(kAliases, id_); }

absl::StatusOr<ArchitectureName> ArchitectureName::Parse(
    absl::string_view name) {
  std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(
      absl::StripPrefix(name, kArchitectures), absl::MaxSplits(kVersions, 1));
  if (!IsArchitectureId(parts.first)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", name,
        "' cannot be the name of an architecture; use up to 128 of letters, "
        "digits, '.', '_', '-', the first a letter or digit"));
  }
  int64_t version = 0;
  const bool has_version = absl::StrContains(name, kVersions);
  if (has_version && !ParseVersion(parts.second, &version)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", name, "': '", parts.second,
                     "' cannot be a version; versions are numbers from 1"));
  }
  return ArchitectureName(std::string(parts.first), version);
}

std::string ArchitectureName::ToString() const {
  return version_ == 0 ? absl::StrCat(kArchitectures, id_)
                       : absl::StrCat(kArchitectures, id_, kVersions, version_);
}

}  // namespace warmstart
