#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/expiration.h"
#include "client/cli/text.h"
#include "client/cli/usage_error.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

constexpr Flag kFlags[] = {
    {.name = kTtlFlag.name,
     .value = kTtlFlag.value,
     .help = "The checkpoint expires so long after now: 90m, 36h, 7d, 2w."},
    kExpireTimeFlag,
    {.name = "never", .help = "The checkpoint no longer expires."},
};

absl::StatusOr<v1::UpdateCheckpointRequest> BuildRequest(
    const Arguments& arguments) {
  CLIENT_ASSIGN_OR_RETURN(const Expiration expiration,
                          ExpirationValue(arguments));
  const bool is_given = !std::holds_alternative<std::monostate>(expiration);
  if (is_given == arguments.Has("never")) {
    return UsageError("say one of --ttl, --expire-time and --never");
  }
  v1::UpdateCheckpointRequest request;
  request.mutable_checkpoint()->set_name(arguments.positional().front());
  SetExpiration(expiration, *request.mutable_checkpoint());
  request.mutable_update_mask()->add_paths("expire_time");
  return request;
}

absl::Status Run(const Arguments& arguments, Session& session) {
  CLIENT_ASSIGN_OR_RETURN(const v1::UpdateCheckpointRequest request,
                          BuildRequest(arguments));
  CLIENT_ASSIGN_OR_RETURN(const v1::Checkpoint checkpoint,
                          session.client().UpdateCheckpoint(request));
  if (session.json()) {
    session.PrintJson(checkpoint);
    return absl::OkStatus();
  }
  const std::string time = ExpirationText(checkpoint);
  session.Print(
      Printable(absl::StrCat(
          checkpoint.name(), ": ",
          time.empty() ? "never expires" : absl::StrCat("expires ", time))) +
      "\n");
  return absl::OkStatus();
}

}  // namespace

const Command kExpireCommand = {
    .name = "expire",
    .synopsis = "HANDLE --ttl TIME|--expire-time TIME|--never",
    .summary = "Set when a checkpoint expires.",
    .details =
        "The server deletes what has expired, as a rule within a minute. While "
        "an alias points to a checkpoint, or an architecture has its initial "
        "values, it stays nevertheless.",
    .example =
        "warmstart expire checkpoints/ab12 --ttl 7d\n"
        "warmstart expire aliases/demo/net-b --never",
    .flags = kFlags,
    .min_positional = 1,
    .max_positional = 1,
    .run = Run,
};

}  // namespace warmstart::client
