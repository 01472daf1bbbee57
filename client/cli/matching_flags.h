// The flags of `warm-start` that say how tensors are matched, as the API's
// messages. A value that cannot be read is a usage error that names its flag.

#ifndef WARMSTART_CLIENT_CLI_MATCHING_FLAGS_H_
#define WARMSTART_CLIENT_CLI_MATCHING_FLAGS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "warmstart/v1/matching.pb.h"
#include "warmstart/v1/model_initializer.pb.h"

namespace warmstart::client {

// --template TO=FROM
absl::StatusOr<v1::KeyRule> ParseTemplate(const std::string& text);

// --rule JSON: a KeyRule in proto3 JSON, as reports print it.
absl::StatusOr<v1::KeyRule> ParseRule(const std::string& text);

// --rules FILE: adds what the file says to `request`. The file, JSON or (by its
// name, .yaml or .yml) YAML, is a list of key rules, or an object with those
// fields of a WarmStartRequest that say how tensors are matched.
absl::Status ReadRulesFile(const std::string& path,
                           v1::WarmStartRequest& request);

// --combine overlay|average|moving-average=DECAY|slerp=T|task-arithmetic
absl::StatusOr<v1::Combination> ParseCombination(const std::string& text);

// --lora ALPHA or ALPHA,rslora
absl::StatusOr<v1::LoraAdapter> ParseLora(const std::string& text);

// --adapt GLOB=ADAPTER, the adapter by its name in the API, or rows:mean,
// inflate:center
absl::StatusOr<v1::ShapeAdapter> ParseAdapter(const std::string& text);

// --init GLOB=INITIALIZER, the initializer as ReadInitializer takes it
absl::StatusOr<v1::InitializerOverride> ParseInitializer(
    const std::string& text);

// --coverage GLOB=FRACTION
absl::StatusOr<v1::CoverageGate> ParseCoverageGate(const std::string& text);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_MATCHING_FLAGS_H_
