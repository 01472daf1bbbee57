// A MatchReport for people.
//
//   _IncompatibleKeys(missing_keys=['fc3.weight', 'fc3.bias'],
//   unexpected_keys=[])
//
//   NetB: loaded 8 of 10 keys, 98.6 % of the parameters, 237.7 KiB of 241.0 KiB
//   target keys: 8 matched, 2 initialized
//   source keys: 8 used
//
//   OUTCOME      KEY         SHAPE      DTYPE    FROM        HOW
//   matched      fc1.weight  [120, 400] float32  fc1.weight
//   ...

#ifndef WARMSTART_CLIENT_CLI_REPORT_TEXT_H_
#define WARMSTART_CLIENT_CLI_REPORT_TEXT_H_

#include <string>
#include <vector>

#include "client/cli/table.h"
#include "warmstart/v1/report.pb.h"

namespace warmstart::client {

struct ReportOptions {
  TableStyle style;
  // Whether PyTorch's message comes first.
  bool summary = true;
  // By module, with repeated layers folded, rather than key by key.
  bool tree = false;
  // The sources' names, in the request's order, where they are known.
  std::vector<std::string> sources;
};

std::string RenderReport(const v1::MatchReport& report,
                         const ReportOptions& options);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_REPORT_TEXT_H_
