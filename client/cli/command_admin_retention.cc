#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/table.h"
#include "client/cli/text.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

constexpr Flag kFlags[] = {
    {.name = "dry-run", .help = "Tells what would go, and deletes nothing."},
};

// All that is deleted; of what would be, the first that the server tells.
absl::StatusOr<v1::ApplyRetentionResponse> Apply(bool dry_run,
                                                 Session& session) {
  v1::ApplyRetentionRequest request;
  request.set_validate_only(dry_run);
  v1::ApplyRetentionResponse all;
  do {
    CLIENT_ASSIGN_OR_RETURN(const v1::ApplyRetentionResponse response,
                            session.client().ApplyRetention(request));
    all.mutable_checkpoints()->MergeFrom(response.checkpoints());
    all.set_has_more(response.has_more());
  } while (all.has_more() && !dry_run);
  return all;
}

std::string WhyText(const v1::RetiredCheckpoint& checkpoint) {
  if (checkpoint.has_expire_time()) {
    return absl::StrCat("expired ", FormatTime(checkpoint.expire_time()));
  }
  return absl::StrCat(checkpoint.rule(), " keeps newer ones");
}

void Print(const v1::ApplyRetentionResponse& response, bool dry_run,
           const Session& session) {
  Table table({{"HANDLE"}, {"CREATED"}, {"WHY"}});
  for (const v1::RetiredCheckpoint& checkpoint : response.checkpoints()) {
    table.AddRow({{checkpoint.checkpoint(), Color::kBold},
                  {FormatTime(checkpoint.create_time())},
                  {WhyText(checkpoint)}});
  }
  if (!table.empty()) {
    session.Print(table.Render(session.table_style()) + "\n");
  }
  const std::string count =
      absl::StrCat(Plural(response.checkpoints_size(), "checkpoint"),
                   response.has_more() ? " and more" : "");
  session.Print(dry_run ? absl::StrCat("dry run: would delete ", count, "\n")
                        : absl::StrCat("deleted ", count, "\n"));
}

absl::Status Run(const Arguments& arguments, Session& session) {
  const bool dry_run = arguments.Has("dry-run");
  CLIENT_ASSIGN_OR_RETURN(const v1::ApplyRetentionResponse response,
                          Apply(dry_run, session));
  if (session.json()) {
    session.PrintJson(response);
  } else {
    Print(response, dry_run, session);
  }
  return absl::OkStatus();
}

}  // namespace

const Command kAdminRetentionCommand = {
    .name = "admin retention",
    .synopsis = "[--dry-run]",
    .summary = "Delete what has expired or is no longer kept.",
    .details =
        "The server does so by itself, as a rule once a minute. What it keeps, "
        "its flag --keep-last says; \"warmstart info\" shows it.",
    .example = "warmstart admin retention --dry-run",
    .flags = kFlags,
    .run = Run,
};

}  // namespace warmstart::client
