// Outcomes of keys, in words and colours, for reports.

#ifndef WARMSTART_CLIENT_CLI_OUTCOME_TEXT_H_
#define WARMSTART_CLIENT_CLI_OUTCOME_TEXT_H_

#include <string>

#include "client/cli/text.h"
#include "warmstart/v1/report.pb.h"

namespace warmstart::client {

// "matched". A number that this version does not know is shown as it is.
std::string OutcomeText(v1::TargetOutcome outcome);
std::string OutcomeText(v1::SourceOutcome outcome);

// Green for what was loaded as it is, cyan for what was changed on the way,
// yellow for what deserves a look.
Color OutcomeColor(v1::TargetOutcome outcome);
Color OutcomeColor(v1::SourceOutcome outcome);

// How an entry came to its values, where there is more to say than its outcome:
// what an adapter did, the derivation, the initializer, the rules, a tie.
std::string HowText(const v1::TargetEntry& entry);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_OUTCOME_TEXT_H_
