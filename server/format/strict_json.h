// Parses JSON that nobody vouches for, as a stream of events: no tree is built,
// so memory follows what the caller keeps and the first wrong value ends it.

#ifndef WARMSTART_SERVER_FORMAT_STRICT_JSON_H_
#define WARMSTART_SERVER_FORMAT_STRICT_JSON_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace warmstart::format {

struct JsonEvent {
  enum class Kind {
    kObjectStart,
    kObjectEnd,
    kArrayStart,
    kArrayEnd,
    kKey,       // text: the key, unescaped
    kString,    // text: the string, unescaped
    kUnsigned,  // number; text: as kOther
    kOther,  // a negative or fractional number, true, false or null; text: it
  };

  Kind kind;
  // How many objects and arrays enclose this value; 0 for the outermost one. A
  // key counts as enclosed by its object; an end has the depth of its start.
  int depth = 0;
  absl::string_view text;
  uint64_t number = 0;
};

// Calls `sink` for each event of the one JSON value that `text` is, and stops
// at its first error, which is returned. INVALID_ARGUMENT, with the byte offset
// or the key, for what is no JSON (RFC 8259), for an object that has the same
// key twice, and for nesting deeper than `max_depth`.
absl::Status ParseStrictJson(
    absl::string_view text, int max_depth,
    absl::FunctionRef<absl::Status(const JsonEvent&)> sink);

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_STRICT_JSON_H_
