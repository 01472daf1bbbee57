// How values are written for people.

#ifndef WARMSTART_CLIENT_CLI_TEXT_H_
#define WARMSTART_CLIENT_CLI_TEXT_H_

#include <google/protobuf/repeated_field.h>
#include <google/protobuf/timestamp.pb.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace warmstart::client {

enum class Color { kPlain, kBold, kDim, kRed, kGreen, kYellow, kCyan };

// `text` in a colour, or as it is where `enabled` is false.
std::string Paint(Color color, absl::string_view text, bool enabled);

// `text` with its control characters written out ("\x1b"), so that a key or
// name that somebody else chose cannot drive the reader's terminal. Line breaks
// and tabs are control characters too.
std::string Printable(absl::string_view text);

// The same for text of several lines: line breaks and tabs stay.
std::string PrintableLines(absl::string_view text);

// Number of characters: UTF-8 code points, not bytes.
size_t DisplayWidth(absl::string_view text);

// "512 B", "1.5 KiB", "2.0 GiB"
std::string FormatBytes(int64_t bytes);

// "61,706"
std::string FormatCount(int64_t count);

// "1 key", "1,200 keys"
std::string Plural(int64_t count, absl::string_view noun);

// "98.6 %". Rounded down, so that only all of it is "100.0 %".
std::string FormatPercent(double fraction);

// "[120, 400]"; "[]" for a scalar.
std::string FormatShape(const google::protobuf::RepeatedField<int64_t>& shape);

// "2026-01-31 12:00:00", in the local time zone.
std::string FormatTime(const google::protobuf::Timestamp& time);

// The first `max_lines` lines, and a line that tells how many more there are.
std::string FoldLines(absl::string_view text, size_t max_lines);

// "... 12 more; --all shows them", for rows or lines that were left out.
std::string MoreLine(size_t count);

// Lines of at most `width` characters, each after `indent` spaces, broken at
// spaces. Line breaks in `text` stay.
std::string Wrap(absl::string_view text, size_t indent, size_t width);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_TEXT_H_
