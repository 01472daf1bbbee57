#include "server/format/pickle/pickle_text.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"

namespace warmstart::format {
namespace {

constexpr size_t kMaxIntBytes = 256;
constexpr size_t kMaxIntDigits = 617;  // of a number of that many bytes

// Reads exactly `digits` hexadecimal digits.
std::optional<uint32_t> ParseHex(absl::string_view text, size_t digits) {
  if (text.size() < digits) return std::nullopt;
  uint32_t value = 0;
  for (char c : text.substr(0, digits)) {
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) {
      return std::nullopt;
    }
    const int digit = absl::ascii_isdigit(static_cast<unsigned char>(c))
                          ? c - '0'
                          : absl::ascii_tolower(c) - 'a' + 10;
    value = value * 16 + static_cast<uint32_t>(digit);
  }
  return value;
}

// Up to three octal digits; sets `length` to how many there were.
uint32_t ParseOctal(absl::string_view text, size_t& length) {
  uint32_t value = 0;
  for (length = 0; length < std::min<size_t>(3, text.size()); ++length) {
    const char c = text[length];
    if (c < '0' || c > '7') break;
    value = value * 8 + static_cast<uint32_t>(c - '0');
  }
  return value;
}

void AppendUtf8(uint32_t code_point, std::string& out) {
  const auto tail = [&](int shift) {
    out.push_back(static_cast<char>(0x80 | ((code_point >> shift) & 0x3F)));
  };
  if (code_point < 0x80) {
    out.push_back(static_cast<char>(code_point));
  } else if (code_point < 0x800) {
    out.push_back(static_cast<char>(0xC0 | (code_point >> 6)));
    tail(0);
  } else if (code_point < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | (code_point >> 12)));
    tail(6);
    tail(0);
  } else {
    out.push_back(static_cast<char>(0xF0 | (code_point >> 18)));
    tail(12);
    tail(6);
    tail(0);
  }
}

// The decimal digits of a magnitude given as little-endian 32-bit digits: takes
// nine decimal digits off at a time.
std::string DecimalOf(std::vector<uint32_t> digits) {
  constexpr uint32_t kChunk = 1'000'000'000;
  std::vector<uint32_t> chunks;
  while (!digits.empty()) {
    uint64_t remainder = 0;
    for (size_t i = digits.size(); i-- > 0;) {
      const uint64_t value = (remainder << 32) | digits[i];
      digits[i] = static_cast<uint32_t>(value / kChunk);
      remainder = value % kChunk;
    }
    chunks.push_back(static_cast<uint32_t>(remainder));
    while (!digits.empty() && digits.back() == 0) digits.pop_back();
  }
  if (chunks.empty()) return "0";
  std::string text = absl::StrCat(chunks.back());
  for (size_t i = chunks.size() - 1; i-- > 0;) {
    absl::StrAppendFormat(&text, "%09d", chunks[i]);
  }
  return text;
}

}  // namespace

PythonInt PythonIntFromBytes(absl::string_view bytes) {
  const bool negative =
      !bytes.empty() && (static_cast<uint8_t>(bytes.back()) & 0x80) != 0;
  if (bytes.size() <= 8) {
    uint64_t value = negative ? ~uint64_t{0} : 0;
    for (size_t i = bytes.size(); i-- > 0;) {
      value = (value << 8) | static_cast<uint8_t>(bytes[i]);
    }
    return PythonInt{static_cast<int64_t>(value), ""};
  }
  if (bytes.size() > kMaxIntBytes) return PythonInt{};
  // The magnitude of a negative number: all bits flipped, plus one.
  std::vector<uint32_t> digits((bytes.size() + 3) / 4);
  uint32_t carry = negative ? 1 : 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    uint32_t byte = static_cast<uint8_t>(bytes[i]);
    if (negative) byte = (~byte & 0xFF) + carry;
    carry = byte >> 8;
    digits[i / 4] |= (byte & 0xFF) << (8 * (i % 4));
  }
  return PythonInt{std::nullopt,
                   absl::StrCat(negative ? "-" : "", DecimalOf(digits))};
}

std::optional<PythonInt> PythonIntFromText(absl::string_view text) {
  text = absl::StripSuffix(text, "L");
  absl::string_view digits = text;
  if (!absl::ConsumePrefix(&digits, "-")) absl::ConsumePrefix(&digits, "+");
  if (digits.empty() || !std::all_of(digits.begin(), digits.end(), [](char c) {
        return absl::ascii_isdigit(static_cast<unsigned char>(c));
      })) {
    return std::nullopt;
  }
  if (digits.size() > kMaxIntDigits) return PythonInt{};
  int64_t small;
  if (absl::SimpleAtoi(text, &small)) return PythonInt{small, ""};
  return PythonInt{std::nullopt, std::string(absl::StripPrefix(text, "+"))};
}

std::optional<std::string> UnquotePythonString(absl::string_view literal) {
  if (literal.size() < 2 || literal.front() != literal.back() ||
      (literal.front() != '\'' && literal.front() != '"')) {
    return std::nullopt;
  }
  const absl::string_view body = literal.substr(1, literal.size() - 2);
  std::string out;
  for (size_t i = 0; i < body.size(); ++i) {
    if (body[i] != '\\') {
      out.push_back(body[i]);
      continue;
    }
    if (++i == body.size()) return std::nullopt;
    constexpr absl::string_view kNames = "abfnrtv\\'\"";
    constexpr absl::string_view kValues = "\a\b\f\n\r\t\v\\'\"";
    if (const size_t known = kNames.find(body[i]);
        known != absl::string_view::npos) {
      out.push_back(kValues[known]);
    } else if (body[i] == 'x') {
      const std::optional<uint32_t> value = ParseHex(body.substr(i + 1), 2);
      if (!value) return std::nullopt;
      out.push_back(static_cast<char>(*value));
      i += 2;
    } else {
      size_t length = 0;
      const uint32_t value = ParseOctal(body.substr(i), length);
      if (length == 0) return std::nullopt;
      out.push_back(static_cast<char>(value));
      i += length - 1;
    }
  }
  return out;
}

std::optional<std::string> DecodeRawUnicodeEscape(absl::string_view text) {
  std::string out;
  size_t i = 0;
  while (i < text.size()) {
    const char kind = i + 1 < text.size() ? text[i + 1] : '\0';
    if (text[i] != '\\' || (kind != 'u' && kind != 'U')) {
      AppendUtf8(static_cast<uint8_t>(text[i]), out);
      ++i;
      continue;
    }
    const size_t digits = kind == 'u' ? 4 : 8;
    const std::optional<uint32_t> code_point =
        ParseHex(text.substr(i + 2), digits);
    if (!code_point || *code_point > 0x10FFFF) return std::nullopt;
    AppendUtf8(*code_point, out);
    i += 2 + digits;
  }
  return out;
}

std::optional<std::string> EncodeLatin1(absl::string_view utf8) {
  std::string out;
  for (size_t i = 0; i < utf8.size(); ++i) {
    const uint8_t lead = static_cast<uint8_t>(utf8[i]);
    if (lead < 0x80) {
      out.push_back(utf8[i]);
      continue;
    }
    if ((lead != 0xC2 && lead != 0xC3) || ++i == utf8.size()) {
      return std::nullopt;
    }
    const uint8_t tail = static_cast<uint8_t>(utf8[i]);
    if ((tail & 0xC0) != 0x80) return std::nullopt;
    out.push_back(static_cast<char>((lead << 6) | (tail & 0x3F)));
  }
  return out;
}

}  // namespace warmstart::format
