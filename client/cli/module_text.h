// Module declarations for people, as Python prints a model:
//
//   Sequential
//     conv  Conv2d(in_channels=3, kernel_size=[3, 3], out_channels=8)
//     1     ReLU

#ifndef WARMSTART_CLIENT_CLI_MODULE_TEXT_H_
#define WARMSTART_CLIENT_CLI_MODULE_TEXT_H_

#include <string>

#include "warmstart/v1/architectures.pb.h"

namespace warmstart::client {

// A line for each module, indented under the one that holds it.
std::string ModuleTree(const v1::ModuleDeclaration& module);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_MODULE_TEXT_H_
