// Architectures for people, and from their files.

#ifndef WARMSTART_CLIENT_CLI_ARCHITECTURE_TEXT_H_
#define WARMSTART_CLIENT_CLI_ARCHITECTURE_TEXT_H_

#include <iosfwd>
#include <string>

#include "absl/status/statusor.h"
#include "client/cli/table.h"
#include "warmstart/v1/architectures.pb.h"

namespace warmstart::client {

// "normal(std=0.02)": the function and its arguments, those that have their
// default left out.
std::string InitializerText(const v1::Initializer& initializer);

// A row for each parameter and buffer.
Table ArchitectureTable(const v1::Architecture& architecture);

// Reads proto3 JSON of an Architecture from a file, or from standard input for
// "-".
//
//   INVALID_ARGUMENT  the file cannot be read, or is no such JSON; with the
//                     line and column, or the path of the field
absl::StatusOr<v1::Architecture> ReadArchitectureFile(const std::string& path);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_ARCHITECTURE_TEXT_H_
