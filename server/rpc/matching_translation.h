// The API's rules of matching, as the planner's, and back to where a person
// finds what is wrong: errors are INVALID_ARGUMENT and name the field.

#ifndef WARMSTART_SERVER_RPC_MATCHING_TRANSLATION_H_
#define WARMSTART_SERVER_RPC_MATCHING_TRANSLATION_H_

#include <string>

#include "absl/status/statusor.h"
#include "server/model/key_rule.h"
#include "server/model/shape_adapter.h"
#include "server/service/warm_start.h"
#include "warmstart/v1/matching.pb.h"

namespace warmstart::rpc {

absl::StatusOr<KeyRule> FromProto(const v1::KeyRule& rule, int index);

absl::StatusOr<planner::Matching> FromProto(v1::KeyMatching matching);

planner::Combination FromProto(const v1::Combination& combination);

planner::LoraAdapter FromProto(const v1::LoraAdapter& lora);

absl::StatusOr<ShapeAdapter> FromProto(const v1::ShapeAdapter& adapter,
                                       int index);

Widening FromProto(const v1::Widening& widening);

planner::CoverageGate FromProto(const v1::CoverageGate& gate);

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_MATCHING_TRANSLATION_H_
