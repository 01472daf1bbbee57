#ifndef WARMSTART_CLIENT_CLI_SUGGEST_H_
#define WARMSTART_CLIENT_CLI_SUGGEST_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace warmstart::client {

// "; did you mean X?" with the candidate that `typed` is most likely a slip of,
// or nothing where none is near.
std::string DidYouMean(absl::string_view typed,
                       absl::Span<const std::string> candidates);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_SUGGEST_H_
