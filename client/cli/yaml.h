// YAML as JSON, so that files for people have one reader behind them.

#ifndef WARMSTART_CLIENT_CLI_YAML_H_
#define WARMSTART_CLIENT_CLI_YAML_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace warmstart::client {

// The first document of `text`, as JSON. Plain scalars are what YAML's core
// schema says: null, true, false, numbers, else strings; quoted ones are
// strings.
//
//   INVALID_ARGUMENT  text that is no YAML, with its line and column; a mapping
//                     whose keys are no scalars; aliases that make more than
//                     100,000 values of it
absl::StatusOr<std::string> YamlToJson(absl::string_view text);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_YAML_H_
