// Session: one run of the tool. What the global flags say, the console, and the
// connection.

#ifndef WARMSTART_CLIENT_CLI_SESSION_H_
#define WARMSTART_CLIENT_CLI_SESSION_H_

#include <google/protobuf/message.h>

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "client/cli/console.h"
#include "client/cli/flags.h"
#include "client/cli/table.h"
#include "client/cpp/client.h"
#include "client/cpp/options.h"

namespace warmstart::client {

// --server, --timeout, --json, --all, --help: every command takes them.
absl::Span<const Flag> GlobalFlags();

class Session {
 public:
  // Fails with a usage error where a global flag has a value of no use.
  static absl::StatusOr<Session> Create(const Arguments& arguments,
                                        Console& console);

  Console& console() const { return console_; }
  const ClientOptions& options() const { return options_; }
  bool json() const { return json_; }

  // Connects at the first call. On a terminal, the first retry is told.
  Client& client();

  // Tables on standard output: folded on a terminal, unless --all is given.
  TableStyle table_style() const;

  // Writes text to standard output.
  void Print(absl::string_view text) const;

  // Writes a message as proto3 JSON to standard output.
  void PrintJson(const google::protobuf::Message& message) const;

 private:
  explicit Session(Console& console) : console_(console) {}

  Console& console_;
  ClientOptions options_;
  bool json_ = false;
  bool all_rows_ = false;
  std::unique_ptr<Client> client_;
};

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_SESSION_H_
