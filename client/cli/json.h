// Messages as proto3 JSON, and back.

#ifndef WARMSTART_CLIENT_CLI_JSON_H_
#define WARMSTART_CLIENT_CLI_JSON_H_

#include <google/protobuf/message.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace warmstart::client {

// Indented, ending with a line break. Fields have the names that they have in
// the API ("missing_keys"), and those with their default value are there too,
// so that a script finds what it looks for. As proto3 JSON has it, 64-bit
// integers are strings.
std::string ToJson(const google::protobuf::Message& message);

// Reads what ToJson writes; names in camelCase will do as well.
//
//   INVALID_ARGUMENT  text that is no JSON, with its line and column; a field
//                     that the message lacks or a value of a wrong type, with
//                     its path
absl::Status FromJson(absl::string_view text,
                      google::protobuf::Message& message);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_JSON_H_
