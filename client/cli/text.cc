#include "client/cli/text.h"

#include <array>
#include <cmath>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"

namespace warmstart::client {
namespace {

absl::string_view EscapeCode(Color color) {
  switch (color) {
    case Color::kBold:
      return "\x1b[1m";
    case Color::kDim:
      return "\x1b[2m";
    case Color::kRed:
      return "\x1b[31m";
    case Color::kGreen:
      return "\x1b[32m";
    case Color::kYellow:
      return "\x1b[33m";
    case Color::kCyan:
      return "\x1b[36m";
    case Color::kPlain:
      break;
  }
  return "";
}

// Control characters are those below space, DEL, and U+0080 to U+009F, which
// UTF-8 writes as 0xc2 and the byte of the same number.
std::string Escape(absl::string_view text, absl::string_view allowed) {
  std::string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next =
        static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    if (byte == 0xc2 && next >= 0x80 && next <= 0x9f) {
      absl::StrAppendFormat(&result, "\\x%02x", next);
      ++i;
    } else if (absl::ascii_iscntrl(byte) &&
               !absl::c_linear_search(allowed, text[i])) {
      absl::StrAppendFormat(&result, "\\x%02x", byte);
    } else {
      result.push_back(text[i]);
    }
  }
  return result;
}

}  // namespace

std::string Paint(Color color, absl::string_view text, bool enabled) {
  if (!enabled || color == Color::kPlain) return std::string(text);
  return absl::StrCat(EscapeCode(color), text, "\x1b[0m");
}

std::string Printable(absl::string_view text) { return Escape(text, ""); }

std::string PrintableLines(absl::string_view text) {
  return Escape(text, "\n\t");
}

size_t DisplayWidth(absl::string_view text) {
  return absl::c_count_if(text, [](unsigned char byte) {
    return (byte & 0xc0) != 0x80;  // not the continuation of a code point
  });
}

std::string FormatBytes(int64_t bytes) {
  constexpr std::array<absl::string_view, 5> kUnits = {"KiB", "MiB", "GiB",
                                                       "TiB", "PiB"};
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  // 1023.95 would be written as 1024.0.
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return absl::StrFormat("%.1f %s", value, kUnits[unit]);
}

std::string FormatCount(int64_t count) {
  std::string digits = absl::StrCat(count);
  const size_t first = count < 0 ? 1 : 0;
  for (size_t end = digits.size(); end > first + 3; end -= 3) {
    digits.insert(end - 3, ",");
  }
  return digits;
}

std::string Plural(int64_t count, absl::string_view noun) {
  return absl::StrCat(FormatCount(count), " ", noun, count == 1 ? "" : "s");
}

std::string FormatPercent(double fraction) {
  return absl::StrFormat("%.1f %%", std::floor(fraction * 1000) / 10);
}

std::string FormatShape(const google::protobuf::RepeatedField<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

std::string FormatTime(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S",
                          absl::FromUnixSeconds(time.seconds()),
                          absl::LocalTimeZone());
}

std::string FoldLines(absl::string_view text, size_t max_lines) {
  const std::vector<absl::string_view> lines =
      absl::StrSplit(absl::StripSuffix(text, "\n"), '\n');
  if (lines.size() <= max_lines) return std::string(text);
  return absl::StrCat(
      absl::StrJoin(lines.begin(), lines.begin() + max_lines, "\n"), "\n",
      MoreLine(lines.size() - max_lines));
}

std::string MoreLine(size_t count) {
  return absl::StrCat("... ", FormatCount(static_cast<int64_t>(count)),
                      " more; --all shows them\n");
}

std::string Wrap(absl::string_view text, size_t indent, size_t width) {
  const std::string margin(indent, ' ');
  std::vector<std::string> lines;
  for (absl::string_view paragraph : absl::StrSplit(text, '\n')) {
    std::string line;
    for (absl::string_view word : absl::StrSplit(paragraph, ' ')) {
      if (!line.empty() &&
          indent + DisplayWidth(line) + 1 + DisplayWidth(word) > width) {
        lines.push_back(margin + line);
        line.clear();
      }
      absl::StrAppend(&line, line.empty() ? "" : " ", word);
    }
    lines.push_back(line.empty() ? "" : margin + line);
  }
  return absl::StrJoin(lines, "\n");
}

}  // namespace warmstart::client
