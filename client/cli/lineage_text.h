// Lineages for people: the checkpoints that tensors passed through, and for
// each way that tensors came, those that came it.
//
//   8 tensors: conv1.weight, conv1.bias, conv2.weight and 5 more
//     checkpoints/c3: renamed, --strip-prefix module.
//     <- checkpoints/c1 module.*: uploaded in net_a.pt
//   fc3.weight
//     checkpoints/c3: initialized, kaiming_uniform, seed 7

#ifndef WARMSTART_CLIENT_CLI_LINEAGE_TEXT_H_
#define WARMSTART_CLIENT_CLI_LINEAGE_TEXT_H_

#include <string>

#include "client/cli/table.h"
#include "warmstart/v1/lineage.pb.h"

namespace warmstart::client {

struct LineageTextOptions {
  TableStyle style;
  // Each tensor by itself, rather than together with those that came the same
  // way.
  bool each = false;
};

std::string RenderLineage(const v1::GetLineageResponse& lineage,
                          const LineageTextOptions& options);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_LINEAGE_TEXT_H_
