#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/checkpoint_text.h"
#include "client/cli/command.h"
#include "client/cli/text.h"
#include "client/cli/usage_error.h"
#include "client/cli/values.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

constexpr Flag kFlags[] = {
    {.name = "remove",
     .value = "KEY",
     .help = "Takes a label away.",
     .repeated = true},
    {.name = "replace", .help = "Takes all labels away that are not given."},
};

// The API replaces all labels at once, so those that stay are read first. Two
// who label one checkpoint at the same moment can undo each other's change.
absl::StatusOr<std::map<std::string, std::string>> CurrentLabels(
    const std::string& handle, Session& session) {
  v1::GetCheckpointRequest request;
  request.set_name(handle);
  CLIENT_ASSIGN_OR_RETURN(const v1::Checkpoint checkpoint,
                          session.client().GetCheckpoint(request));
  return std::map<std::string, std::string>(checkpoint.labels().begin(),
                                            checkpoint.labels().end());
}

absl::StatusOr<std::map<std::string, std::string>> NewLabels(
    const Arguments& arguments, Session& session) {
  CLIENT_ASSIGN_OR_RETURN(
      auto labels,
      ParseLabels("label", absl::MakeSpan(arguments.positional()).subspan(1)));
  const std::vector<std::string> removed = arguments.All("remove");
  if (labels.empty() && removed.empty() && !arguments.Has("replace")) {
    return UsageError("nothing to change: name a KEY=VALUE or --remove KEY");
  }
  if (!arguments.Has("replace")) {
    CLIENT_ASSIGN_OR_RETURN(
        const auto current,
        CurrentLabels(arguments.positional().front(), session));
    labels.insert(current.begin(), current.end());  // new values win
  }
  for (const std::string& key : removed) labels.erase(key);
  return labels;
}

absl::Status Run(const Arguments& arguments, Session& session) {
  CLIENT_ASSIGN_OR_RETURN(const auto labels, NewLabels(arguments, session));
  CLIENT_ASSIGN_OR_RETURN(
      const v1::Checkpoint checkpoint,
      session.client().SetLabels(arguments.positional().front(), labels));
  if (session.json()) {
    session.PrintJson(checkpoint);
  } else {
    const std::string text = LabelsText(checkpoint.labels());
    session.Print(Printable(absl::StrCat(checkpoint.name(), ": ",
                                         text.empty() ? "no labels" : text)) +
                  "\n");
  }
  return absl::OkStatus();
}

}  // namespace

const Command kLabelCommand = {
    .name = "label",
    .synopsis = "HANDLE KEY=VALUE... [--remove KEY] [--replace]",
    .summary = "Set a checkpoint's labels.",
    .details = "Other labels stay, unless --replace is given.",
    .example =
        "warmstart label checkpoints/ab12 team=vision stage=prod\n"
        "warmstart label aliases/demo/net-b --remove stage",
    .flags = kFlags,
    .min_positional = 1,
    .max_positional = Command::kAnyNumber,
    .run = Run,
};

}  // namespace warmstart::client
