#include "client/cli/unsound_error.h"

#include "absl/strings/cord.h"

namespace warmstart::client {
namespace {

constexpr absl::string_view kMark = "warmstart/unsound";

}  // namespace

absl::Status UnsoundError(absl::string_view message) {
  absl::Status status = absl::DataLossError(message);
  status.SetPayload(kMark, absl::Cord());
  return status;
}

bool IsUnsoundError(const absl::Status& status) {
  return status.GetPayload(kMark).has_value();
}

}  // namespace warmstart::client
