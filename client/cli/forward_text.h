// The answer to Forward, for people and for scripts.

#ifndef WARMSTART_CLIENT_CLI_FORWARD_TEXT_H_
#define WARMSTART_CLIENT_CLI_FORWARD_TEXT_H_

#include <string>

#include "warmstart/v1/model_initializer.pb.h"

namespace warmstart::client {

// What ran where, each output with its dtype, shape, range, mean and first
// values, the class that each row of a small matrix speaks for, and the notes.
std::string RenderForward(const v1::ForwardResponse& response);

// The same as JSON, with all values.
std::string ForwardJson(const v1::ForwardResponse& response);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_FORWARD_TEXT_H_
