// The literals of pickles that are not plain bytes: protocol 0 writes its
// values as Python source text, and integers may have any length.

#ifndef WARMSTART_SERVER_FORMAT_PICKLE_PICKLE_TEXT_H_
#define WARMSTART_SERVER_FORMAT_PICKLE_PICKLE_TEXT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace warmstart::format {

// A Python integer: `small`, or `decimal` where it does not fit. `decimal` is
// "" for one of more than 256 bytes, which nobody needs and which would take
// quadratic time to convert.
struct PythonInt {
  std::optional<int64_t> small;
  std::string decimal;
};

// Little-endian two's complement, as LONG1 and LONG4 have it; no bytes are 0.
PythonInt PythonIntFromBytes(absl::string_view bytes);

// Decimal text, with or without the trailing "L" of Python 2; nullopt for what
// is no such text.
std::optional<PythonInt> PythonIntFromText(absl::string_view text);

// A string literal in either kind of quotes with Python's escapes, as STRING
// has it; nullopt for what is no such literal.
std::optional<std::string> UnquotePythonString(absl::string_view literal);

// Latin-1 text with \uXXXX and \UXXXXXXXX escapes, as UNICODE has it, in UTF-8
// (lone surrogates in their three-byte form); nullopt for a broken escape.
std::optional<std::string> DecodeRawUnicodeEscape(absl::string_view text);

// UTF-8 text whose code points are all below 256, as the bytes of that Latin-1
// text; nullopt for other text. Protocols below 3 write bytes as such text.
std::optional<std::string> EncodeLatin1(absl::string_view utf8);

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_PICKLE_PICKLE_TEXT_H_
