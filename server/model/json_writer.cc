#include "server/model/json_writer.h"

#include <charconv>
#include <cmath>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "server/model/utf8.h"

namespace warmstart {
namespace {

constexpr absl::string_view kReplacementCharacter = "\xEF\xBF\xBD";

bool IsPlain(char c) {
  const unsigned char byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

// Of a character that JSON does not take as it is.
void AppendEscape(std::string& text, char c) {
  switch (c) {
    case '"':
    case '\\':
      text += {'\\', c};
      return;
    case '\n':
      text += "\\n";
      return;
    case '\t':
      text += "\\t";
      return;
    default:
      absl::StrAppend(
          &text, "\\u",
          absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad4));
  }
}

}  // namespace

JsonWriter& JsonWriter::Key(absl::string_view key) {
  BeginValue();
  text_ += '"';
  text_.append(key.data(), key.size());
  text_ += "\":";
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::String(absl::string_view value) {
  BeginValue();
  text_ += '"';
  AppendEscaped(value);
  text_ += '"';
  return *this;
}

JsonWriter& JsonWriter::Int(int64_t value) {
  BeginValue();
  absl::StrAppend(&text_, value);
  return *this;
}

JsonWriter& JsonWriter::Double(double value) {
  BeginValue();
  if (!std::isfinite(value)) {
    text_ += "null";
    return *this;
  }
  char digits[32];
  const auto [end, error] =
      std::to_chars(digits, digits + sizeof(digits), value);
  text_.append(digits, end);
  return *this;
}

JsonWriter& JsonWriter::Bool(bool value) {
  BeginValue();
  text_ += value ? "true" : "false";
  return *this;
}

JsonWriter& JsonWriter::Begin(char bracket) {
  BeginValue();
  text_ += bracket;
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::End(char bracket) {
  text_ += bracket;
  needs_comma_ = true;
  return *this;
}

void JsonWriter::BeginValue() {
  if (needs_comma_) text_ += ',';
  needs_comma_ = true;
}

void JsonWriter::AppendEscaped(absl::string_view value) {
  while (!value.empty()) {
    size_t plain = 0;
    while (plain < value.size() && IsPlain(value[plain])) ++plain;
    text_.append(value.data(), plain);
    value.remove_prefix(plain);
    if (value.empty()) return;
    const size_t size = Utf8CharacterSize(value);
    if (size > 1) {
      text_.append(value.data(), size);
    } else if (size == 1) {
      AppendEscape(text_, value[0]);
    } else {
      text_.append(kReplacementCharacter.data(), kReplacementCharacter.size());
    }
    value.remove_prefix(size == 0 ? 1 : size);
  }
}

}  // namespace warmstart
