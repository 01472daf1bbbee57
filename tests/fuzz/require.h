// Require: how a fuzzer says that a promise was broken.

#ifndef WARMSTART_TESTS_FUZZ_REQUIRE_H_
#define WARMSTART_TESTS_FUZZ_REQUIRE_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace warmstart::fuzz {

// Unless `promise` holds, prints what was promised, and about what, and aborts.
void Require(bool promise, absl::string_view what,
             absl::string_view about = "");

// A refusal: INVALID_ARGUMENT, in a short line of UTF-8.
void RequireRefusal(const absl::Status& status);

}  // namespace warmstart::fuzz

#endif  // WARMSTART_TESTS_FUZZ_REQUIRE_H_
