// CheckKey: what a tensor's key may look like, in every format.

#ifndef WARMSTART_SERVER_FORMAT_KEY_CHECK_H_
#define WARMSTART_SERVER_FORMAT_KEY_CHECK_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace warmstart::format {

// INVALID_ARGUMENT, with the key escaped in the message, for a key that is
// empty, is no UTF-8, has control characters, or would leave its folder if
// somebody took it for a path: a leading "/" or a ".." component. Warmstart
// itself never makes a path of a key; its users' tools might.
absl::Status CheckKey(absl::string_view key);

// The key as messages show it: quoted, shortened, with anything that is not
// printable ASCII or valid UTF-8 escaped.
std::string QuoteKey(absl::string_view key);

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_KEY_CHECK_H_
