#include "tests/fuzz/require.h"

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/model/utf8.h"

namespace warmstart::fuzz {

void Require(bool promise, absl::string_view what, absl::string_view about) {
  if (promise) return;
  const std::string line = absl::StrCat("broken promise: ", what, ": ", about);
  std::fprintf(stderr, "%s\n", line.c_str());
  std::abort();
}

void RequireRefusal(const absl::Status& status) {
  constexpr size_t kMaxMessageBytes = 4096;
  Require(status.code() == absl::StatusCode::kInvalidArgument,
          "files are refused as invalid arguments", status.ToString());
  Require(!status.message().empty(), "a refusal says why");
  Require(status.message().size() <= kMaxMessageBytes, "messages are short",
          status.message());
  Require(IsUtf8(status.message()), "messages are UTF-8", status.message());
}

}  // namespace warmstart::fuzz
