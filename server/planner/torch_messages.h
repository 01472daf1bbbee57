// PyTorch's own words for what load_state_dict() finds, to the letter (2.11).

#ifndef WARMSTART_SERVER_PLANNER_TORCH_MESSAGES_H_
#define WARMSTART_SERVER_PLANNER_TORCH_MESSAGES_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/model/tensor_spec.h"

namespace warmstart::planner {

// repr() of a Python str.
std::string PythonRepr(absl::string_view text);

// What load_state_dict() returns, as Python prints it:
// "<All keys matched successfully>", or
// "_IncompatibleKeys(missing_keys=['a'], unexpected_keys=[])".
std::string IncompatibleKeysRepr(absl::Span<const std::string> missing,
                                 absl::Span<const std::string> unexpected);

// "size mismatch for fc3.weight: copying a param with shape ..."
std::string SizeMismatchMessage(absl::string_view key, const Shape& source,
                                const Shape& target);

// 'Missing key(s) in state_dict: "a", "b". '
std::string MissingKeysMessage(absl::Span<const std::string> keys);
// 'Unexpected key(s) in state_dict: "a", "b". '
std::string UnexpectedKeysMessage(absl::Span<const std::string> keys);

// "Error(s) in loading state_dict for NetB:\n\t...\n\t..."
std::string LoadingErrorMessage(absl::string_view class_name,
                                absl::Span<const std::string> errors);

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_TORCH_MESSAGES_H_
