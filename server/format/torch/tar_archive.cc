#include "server/format/torch/tar_archive.h"

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/base/status_macros.h"
#include "server/format/key_check.h"

namespace warmstart::format {
namespace {

constexpr size_t kBlock = 512;

// Fields of a header block.
constexpr size_t kNameSize = 100;
constexpr size_t kSizeOffset = 124;
constexpr size_t kChecksumOffset = 148;
constexpr size_t kTypeOffset = 156;
constexpr size_t kMagicOffset = 257;
constexpr size_t kSizeFieldSize = 12;
constexpr size_t kChecksumFieldSize = 8;

absl::Status Error(absl::string_view what, size_t offset) {
  return absl::InvalidArgumentError(
      absl::StrCat("malformed tar: ", what, ", at byte ", offset));
}

// Octal digits with blanks or NULs around them; or, in GNU's extension for 8
// GiB and more, a big-endian number after a byte of 0x80.
std::optional<uint64_t> ParseNumber(absl::string_view field) {
  uint64_t value = 0;
  if (static_cast<uint8_t>(field[0]) == 0x80) {
    for (char c : field.substr(1)) {
      if (value >> 56 != 0) return std::nullopt;
      value = (value << 8) | static_cast<uint8_t>(c);
    }
    return value;
  }
  field = field.substr(0, field.find('\0'));
  field = absl::StripAsciiWhitespace(field);
  if (field.empty()) return std::nullopt;
  for (char c : field) {
    if (c < '0' || c > '7') return std::nullopt;
    value = value * 8 + static_cast<uint64_t>(c - '0');
  }
  return value;
}

// The sum of the header's bytes, the checksum's own taken for blanks.
uint64_t Checksum(absl::string_view header) {
  uint64_t sum = 0;
  for (size_t i = 0; i < kBlock; ++i) {
    const bool own =
        i >= kChecksumOffset && i < kChecksumOffset + kChecksumFieldSize;
    sum += own ? uint8_t{' '} : static_cast<uint8_t>(header[i]);
  }
  return sum;
}

}  // namespace

bool LooksLikeTar(absl::string_view bytes) {
  return bytes.size() >= kBlock &&
         bytes.substr(kMagicOffset, 5) == absl::string_view("ustar");
}

absl::StatusOr<absl::flat_hash_map<absl::string_view, absl::string_view>>
ReadTar(absl::string_view bytes) {
  absl::flat_hash_map<absl::string_view, absl::string_view> files;
  size_t at = 0;
  // A block of NULs ends the archive; so does its end, for lax writers.
  while (bytes.size() - at >= kBlock && bytes[at] != '\0') {
    const absl::string_view header = bytes.substr(at, kBlock);
    if (ParseNumber(header.substr(kChecksumOffset, kChecksumFieldSize)) !=
        Checksum(header)) {
      return Error("the checksum of a header is wrong", at);
    }
    const std::optional<uint64_t> size =
        ParseNumber(header.substr(kSizeOffset, kSizeFieldSize));
    const size_t data = at + kBlock;
    if (!size || *size > bytes.size() - data) {
      return Error("a file's size is wrong, or the archive was cut short", at);
    }
    absl::string_view name = header.substr(0, kNameSize);
    name = name.substr(0, name.find('\0'));
    absl::ConsumePrefix(&name, "./");
    // Others are folders, and headers with facts that nobody needs here.
    const bool regular =
        header[kTypeOffset] == '0' || header[kTypeOffset] == '\0';
    if (regular && !files.emplace(name, bytes.substr(data, *size)).second) {
      return Error(absl::StrCat("two files are named ", QuoteForMessage(name)),
                   at);
    }
    const uint64_t padding = (kBlock - *size % kBlock) % kBlock;
    if (padding > bytes.size() - data - *size) {
      return Error("the archive was cut short", bytes.size());
    }
    at = data + *size + padding;
  }
  return files;
}

}  // namespace warmstart::format
