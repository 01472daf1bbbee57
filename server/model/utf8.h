// Whether text is UTF-8: keys must be, since protos and JSON carry them.

#ifndef WARMSTART_SERVER_MODEL_UTF8_H_
#define WARMSTART_SERVER_MODEL_UTF8_H_

#include <cstddef>

#include "absl/strings/string_view.h"

namespace warmstart {

// Well-formed UTF-8 as the Unicode standard defines it: no overlong forms, no
// surrogates, nothing above U+10FFFF.
bool IsUtf8(absl::string_view text);

// The longest prefix of `text` of at most `limit` bytes that ends between two
// characters of UTF-8.
absl::string_view Utf8Prefix(absl::string_view text, size_t limit);

// How many bytes the character takes with which `text`, which is not empty,
// begins; 0 where it begins with none.
size_t Utf8CharacterSize(absl::string_view text);

}  // namespace warmstart

#endif  // WARMSTART_SERVER_MODEL_UTF8_H_
