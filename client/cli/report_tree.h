// A MatchReport as a tree of modules, in which layers that fared alike are one:
//
//   transformer
//     wte.weight                    matched      [50257, 768]
//     h.{0...11}                    12 times
//       attn.c_attn.weight          matched      [2304, 768]
//   lm_head.weight                  initialized  [10, 768]  kaiming_uniform

#ifndef WARMSTART_CLIENT_CLI_REPORT_TREE_H_
#define WARMSTART_CLIENT_CLI_REPORT_TREE_H_

#include <string>

#include "client/cli/table.h"
#include "warmstart/v1/report.pb.h"

namespace warmstart::client {

// The target's keys. Modules that follow each other, are numbered, and have the
// same keys, shapes and fates are folded.
std::string RenderReportTree(const v1::MatchReport& report,
                             const TableStyle& style);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_REPORT_TREE_H_
