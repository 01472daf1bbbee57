#include "server/format/key_check.h"

#include <cstdint>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/model/utf8.h"

namespace warmstart::format {
namespace {

// C0 and DEL in ASCII, and C1 in its two-byte UTF-8 form: all of them can steer
// a terminal.
bool HasControlCharacter(absl::string_view utf8) {
  for (size_t i = 0; i < utf8.size(); ++i) {
    const uint8_t byte = static_cast<uint8_t>(utf8[i]);
    if (byte < 0x20 || byte == 0x7F) return true;
    if (byte == 0xC2 && static_cast<uint8_t>(utf8[i + 1]) < 0xA0) return true;
  }
  return false;
}

absl::Status Refuse(absl::string_view key, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("key ", QuoteForMessage(key), " ", why));
}

}  // namespace

absl::Status CheckKey(absl::string_view key) {
  if (key.empty()) return absl::InvalidArgumentError("a key is empty");
  if (!IsUtf8(key)) return Refuse(key, "is not valid UTF-8");
  if (HasControlCharacter(key)) return Refuse(key, "has control characters");
  if (absl::StartsWith(key, "/")) return Refuse(key, "starts with '/'");
  for (absl::string_view component : absl::StrSplit(key, '/')) {
    if (component == "..") return Refuse(key, "has a '..' path component");
  }
  return absl::OkStatus();
}

std::string QuoteForMessage(absl::string_view text) {
  constexpr size_t kMaxBytes = 128;
  const bool cut = text.size() > kMaxBytes;
  const std::string quoted =
      absl::StrCat("'", absl::CHexEscape(text.substr(0, kMaxBytes)), "'");
  return cut ? absl::StrCat(quoted, "... (", text.size(), " bytes)") : quoted;
}

}  // namespace warmstart::format
