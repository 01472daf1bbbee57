// Names for files, which nobody can guess and which never meet.

#ifndef WARMSTART_SERVER_STORE_RANDOM_ID_H_
#define WARMSTART_SERVER_STORE_RANDOM_ID_H_

#include <string>

#include "absl/strings/string_view.h"

namespace warmstart::store {

// 128 random bits from the operating system, as 32 hexadecimal digits.
std::string RandomId();

// Whether `text` could be one of those.
bool IsRandomId(absl::string_view text);

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_RANDOM_ID_H_
