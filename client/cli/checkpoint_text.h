// Checkpoints for people.

#ifndef WARMSTART_CLIENT_CLI_CHECKPOINT_TEXT_H_
#define WARMSTART_CLIENT_CLI_CHECKPOINT_TEXT_H_

#include <google/protobuf/map.h>

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "warmstart/v1/checkpoints.pb.h"

namespace warmstart::client {

// "checkpoints/ab12: NetB, 10 tensors, 241.0 KiB, aliases/demo"
std::string CheckpointLine(const v1::Checkpoint& checkpoint);

// "warm start from checkpoints/ab12; seed 7; on cpu"
std::string OriginText(const v1::Origin& origin);

// The sources of a warm start; none of another origin.
std::vector<std::string> OriginSources(const v1::Origin& origin);

// "a=1, b=2", sorted.
std::string LabelsText(
    const google::protobuf::Map<std::string, std::string>& labels);

// "architectures/NetB" -> "NetB"
std::string ArchitectureName(absl::string_view resource);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_CHECKPOINT_TEXT_H_
