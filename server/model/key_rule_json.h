// A KeyRule as JSON: what the API's KeyRule message is in proto3's JSON, on one
// line, as the command line and rules files take it.

#ifndef WARMSTART_SERVER_MODEL_KEY_RULE_JSON_H_
#define WARMSTART_SERVER_MODEL_KEY_RULE_JSON_H_

#include <string>

#include "server/model/key_rule.h"

namespace warmstart {

// Leaves out what has its default, but for dimensions.
std::string KeyRuleToJson(const KeyRule& rule);

}  // namespace warmstart

#endif  // WARMSTART_SERVER_MODEL_KEY_RULE_JSON_H_
