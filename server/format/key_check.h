// The rule that every tensor key has to meet, whichever file it comes from.

#ifndef WARMSTART_SERVER_FORMAT_KEY_CHECK_H_
#define WARMSTART_SERVER_FORMAT_KEY_CHECK_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace warmstart::format {

// INVALID_ARGUMENT, quoting the key escaped and shortened, unless `key` can be
// carried by protos and JSON and is harmless to whoever makes a path or prints
// a line of it: not empty, UTF-8, no control characters, no leading "/", and no
// component between slashes that is "..".
absl::Status CheckKey(absl::string_view key);

// `text` in quotes, for messages about untrusted input: what is not printable
// ASCII is escaped, and long text is cut.
std::string QuoteForMessage(absl::string_view text);

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_KEY_CHECK_H_
