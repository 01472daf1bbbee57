#include "client/cli/session.h"

#include <utility>

#include "client/cli/json.h"
#include "client/cli/values.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

constexpr size_t kRowsOnTerminal = 60;

constexpr Flag kFlags[] = {
    {.name = "server",
     .value = "HOST:PORT",
     .help = "The server. Default: $WARMSTART_SERVER, or localhost:50051."},
    {.name = "timeout",
     .value = "TIME",
     .help = "How long the server may take: 30 (seconds), 1.5s, 10m. Default: "
             "as long as it needs."},
    {.name = "json",
     .help = "Print the response, and errors, as JSON. Fields are named as in "
             "the API."},
    {.name = "all", .help = "Print every row of a table, also on a terminal."},
    {.name = "help", .help = "Print help for the command.", .letter = 'h'},
};

}  // namespace

absl::Span<const Flag> GlobalFlags() { return kFlags; }

absl::StatusOr<Session> Session::Create(const Arguments& arguments,
                                        Console& console) {
  Session session(console);
  session.json_ = arguments.Has("json");
  session.all_rows_ = arguments.Has("all");
  ClientOptions& options = session.options_;
  const std::string from_env = console.env("WARMSTART_SERVER").value_or("");
  if (!from_env.empty()) options.address = from_env;
  options.address = arguments.Get("server").value_or(options.address);
  CLIENT_ASSIGN_OR_RETURN(options.timeout,
                          DurationValue(arguments, "timeout", options.timeout));
  return session;
}

Client& Session::client() {
  if (client_ != nullptr) return *client_;
  ClientOptions options = options_;
  if (console_.err_is_terminal) {
    options.on_retry = [&console = console_, address = options_.address,
                        told = false](const absl::Status&,
                                      absl::Duration) mutable {
      if (std::exchange(told, true)) return;
      // Over the progress bar, if there is one.
      console.err << "\r\x1b[K" << address << " does not answer; trying again"
                  << std::endl;
    };
  }
  client_ = Client::Connect(std::move(options));
  return *client_;
}

TableStyle Session::table_style() const {
  TableStyle style{.color = console_.out_color()};
  if (console_.out_is_terminal && !all_rows_) style.max_rows = kRowsOnTerminal;
  return style;
}

void Session::Print(absl::string_view text) const { console_.out << text; }

void Session::PrintJson(const google::protobuf::Message& message) const {
  console_.out << ToJson(message);
}

}  // namespace warmstart::client
