#include "server/store/random_id.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>

#include "absl/strings/escaping.h"

namespace warmstart::store {
namespace {

constexpr size_t kNumBytes = 16;

bool IsLowerHexDigit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

}  // namespace

std::string RandomId() {
  char bytes[kNumBytes];
  // Cannot fail for so few bytes, but on kernels that lack it (before 3.17).
  if (::getentropy(bytes, kNumBytes) != 0) std::abort();
  return absl::BytesToHexString(absl::string_view(bytes, kNumBytes));
}

bool IsRandomId(absl::string_view text) {
  return text.size() == 2 * kNumBytes &&
         std::all_of(text.begin(), text.end(), IsLowerHexDigit);
}

}  // namespace warmstart::store
