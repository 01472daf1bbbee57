#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cpp/health.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

// A probe has to come to an end by itself.
constexpr absl::Duration kPatience = absl::Seconds(5);

constexpr Flag kFlags[] = {
    {.name = "service",
     .value = "NAME",
     .help = "One service, such as warmstart.v1.Checkpoints, rather than the "
             "server."},
};

absl::Status Run(const Arguments& arguments, Session& session) {
  ClientOptions options = session.options();
  if (!arguments.Has("timeout")) options.timeout = kPatience;
  CLIENT_ASSIGN_OR_RETURN(const ServingStatus status,
                          CheckHealth(MakeChannel(options), options,
                                      arguments.Get("service").value_or("")));
  const absl::string_view name = ServingStatusName(status);
  session.Print(session.json() ? absl::StrCat("{\"status\": \"", name, "\"}\n")
                               : absl::StrCat(name, "\n"));
  if (status == ServingStatus::kServing) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the server at ", options.address, " answers ", name));
}

}  // namespace

const Command kHealthCommand = {
    .name = "health",
    .synopsis = "[--service NAME]",
    .summary = "Ask whether the server serves.",
    .details =
        "Exit code 0 if so, 1 if not: made for the probes of "
        "containers. It asks once, and waits for at most 5 seconds "
        "unless --timeout says otherwise.",
    .example = "warmstart health --server localhost:50051",
    .flags = kFlags,
    .run = Run,
};

}  // namespace warmstart::client
