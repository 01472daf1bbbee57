#include "client/cli/failure.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "client/cli/json.h"
#include "client/cli/report_text.h"
#include "client/cli/text.h"
#include "client/cli/unsound_error.h"
#include "client/cli/usage_error.h"
#include "client/cpp/error.h"
#include "nlohmann/json.hpp"

namespace warmstart::client {
namespace {

void PrintLine(absl::string_view message, Console& console) {
  console.err << Paint(Color::kRed, "warmstart:", console.err_color()) << " "
              << PrintableLines(message) << "\n";
}

void PrintHint(absl::string_view hint, Console& console) {
  console.err << Paint(Color::kDim, hint, console.err_color()) << "\n";
}

// The server's own errors have a reason; without one, it was not reached.
bool IsConnectionFailure(const absl::Status& status,
                         const ErrorDetails& details) {
  return absl::IsUnavailable(status) && details.reason.empty();
}

// gRPC tells the whole way down to what happened, which comes last: "failed to
// connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:50051: Failed
// to connect to remote host: Connection refused".
absl::string_view Cause(absl::string_view message) {
  const size_t colon = message.rfind(": ");
  return colon == absl::string_view::npos ? message : message.substr(colon + 2);
}

std::string MessageFor(const absl::Status& status, const ErrorDetails& details,
                       const Session& session) {
  if (IsConnectionFailure(status, details)) {
    return absl::StrCat("cannot reach the server at ",
                        session.options().address, ": ",
                        Cause(status.message()));
  }
  if (status.message().empty()) return absl::StatusCodeToString(status.code());
  return std::string(status.message());
}

std::optional<std::string> HintFor(const absl::Status& status,
                                   const ErrorDetails& details,
                                   const Session& session) {
  if (IsConnectionFailure(status, details)) {
    return "Is it running there? Name another with --server HOST:PORT or "
           "WARMSTART_SERVER.";
  }
  if (ExitCodeOf(status) == kNotMet) return "Nothing was stored.";
  if (absl::IsDeadlineExceeded(status) && details.reason.empty()) {
    return absl::StrCat("It had ",
                        absl::FormatDuration(session.options().timeout),
                        "; --timeout gives it more.");
  }
  if (details.reason == "CHECKPOINT_NOT_FOUND") {
    return "`warmstart list` shows the checkpoints that there are.";
  }
  if (details.reason == "ALIAS_NOT_FOUND") {
    return "`warmstart alias list` shows the aliases that there are.";
  }
  if (details.reason == "ARCHITECTURE_NOT_FOUND") {
    return "`warmstart architectures list` shows those that there are.";
  }
  return std::nullopt;
}

// Where the report and the error meet on one terminal, PyTorch's message, which
// is often both, is printed once.
bool PrintsSummary(const absl::Status& status, const v1::MatchReport& report,
                   const Console& console) {
  const bool same_terminal = console.out_is_terminal && console.err_is_terminal;
  return !same_terminal || report.summary() != status.message();
}

void PrintReport(const absl::Status& status, const v1::MatchReport& report,
                 const Session& session) {
  session.Print(RenderReport(
      report, {.style = session.table_style(),
               .summary = PrintsSummary(status, report, session.console())}));
  // Before the error, also where both go to one file.
  session.console().out << "\n" << std::flush;
}

}  // namespace

ExitCode ExitCodeOf(const absl::Status& status) {
  if (status.ok()) return kDone;
  if (IsUsageError(status)) return kUsage;
  if (IsUnsoundError(status)) return kUnsound;
  if (absl::IsFailedPrecondition(status) &&
      GetErrorDetails(status).report.has_value()) {
    return kNotMet;
  }
  return kFailed;
}

std::string FailureJson(const absl::Status& status) {
  const ErrorDetails details = GetErrorDetails(status);
  nlohmann::ordered_json json;
  json["code"] = absl::StatusCodeToString(status.code());
  json["message"] = std::string(status.message());
  json["reason"] = IsUsageError(status)     ? "USAGE"
                   : IsUnsoundError(status) ? "UNSOUND"
                                            : details.reason;
  json["metadata"] = details.metadata;
  if (details.report.has_value()) {
    json["report"] = nlohmann::ordered_json::parse(
        ToJson(*details.report), /*cb=*/nullptr, /*allow_exceptions=*/false);
  }
  return json.dump(1, ' ', /*ensure_ascii=*/false,
                   nlohmann::ordered_json::error_handler_t::replace) +
         "\n";
}

ExitCode PrintUsageError(const absl::Status& status, absl::string_view command,
                         bool json, Console& console) {
  if (json) {
    console.err << FailureJson(status);
    return kUsage;
  }
  PrintLine(status.message(), console);
  PrintHint(absl::StrCat("`warmstart help", command.empty() ? "" : " ", command,
                         "` tells how it is used."),
            console);
  return kUsage;
}

ExitCode PrintFailure(const absl::Status& status, const Session& session) {
  Console& console = session.console();
  if (session.json()) {
    console.err << FailureJson(status);
    return ExitCodeOf(status);
  }
  const ErrorDetails details = GetErrorDetails(status);
  if (details.report.has_value()) {
    PrintReport(status, *details.report, session);
  }
  PrintLine(MessageFor(status, details, session), console);
  if (const auto hint = HintFor(status, details, session)) {
    PrintHint(*hint, console);
  }
  return ExitCodeOf(status);
}

}  // namespace warmstart::client
