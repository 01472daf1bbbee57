#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/checkpoint_text.h"
#include "client/cli/command.h"
#include "client/cli/expiration.h"
#include "client/cli/pages.h"
#include "client/cli/text.h"
#include "client/cli/values.h"

namespace warmstart::client {
namespace {

constexpr uint64_t kDefaultLimit = 50;

constexpr Flag kFlags[] = {
    {.name = "architecture",
     .value = "NAME",
     .help = "Only those of an architecture."},
    {.name = "label",
     .value = "KEY=VALUE",
     .help = "Only those that have the label.",
     .repeated = true},
    {.name = "alias",
     .value = "NAME",
     .help = "Only those that the alias points to; prod/* stands for all that "
             "begin so."},
    {.name = "limit",
     .value = "N",
     .help = "At most so many; 0 for all. Default: 50."},
    {.name = "quiet", .help = "Print handles alone.", .letter = 'q'},
};

absl::StatusOr<v1::ListCheckpointsRequest> BuildRequest(
    const Arguments& arguments) {
  v1::ListCheckpointsRequest request;
  request.set_architecture(arguments.Get("architecture").value_or(""));
  CLIENT_ASSIGN_OR_RETURN(const auto labels,
                          ParseLabels("--label", arguments.All("label")));
  request.mutable_labels()->insert(labels.begin(), labels.end());
  request.set_alias(arguments.Get("alias").value_or(""));
  return request;
}

absl::StatusOr<int64_t> Limit(const Arguments& arguments) {
  constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
  CLIENT_ASSIGN_OR_RETURN(const std::optional<uint64_t> limit,
                          Uint64Value(arguments, "limit"));
  return static_cast<int64_t>(std::min(limit.value_or(kDefaultLimit), kMost));
}

void PrintHandles(const v1::ListCheckpointsResponse& response,
                  const Session& session) {
  for (const v1::Checkpoint& checkpoint : response.checkpoints()) {
    session.Print(absl::StrCat(checkpoint.name(), "\n"));
  }
}

void PrintTable(const v1::ListCheckpointsResponse& response,
                const Session& session) {
  Table table({{"HANDLE"},
               {"ARCHITECTURE"},
               {"TENSORS", /*right_aligned=*/true},
               {"SIZE", /*right_aligned=*/true},
               {"CREATED"},
               {"EXPIRES"},
               {"ALIASES"},
               {"LABELS"}});
  for (const v1::Checkpoint& checkpoint : response.checkpoints()) {
    table.AddRow({{checkpoint.name(), Color::kBold},
                  {ArchitectureName(checkpoint.architecture())},
                  {FormatCount(checkpoint.tensor_count())},
                  {FormatBytes(checkpoint.size_bytes())},
                  {FormatTime(checkpoint.create_time())},
                  {ExpirationText(checkpoint)},
                  {absl::StrJoin(checkpoint.aliases(), ", ")},
                  {LabelsText(checkpoint.labels())}});
  }
  if (table.empty()) {
    session.console().err << "no checkpoints\n";
    return;
  }
  session.Print(table.Render(session.table_style()));
  if (!response.next_page_token().empty()) {
    session.console().err << "There are more; --limit N shows more of them, "
                             "--limit 0 all.\n";
  }
}

absl::Status Run(const Arguments& arguments, Session& session) {
  CLIENT_ASSIGN_OR_RETURN(const v1::ListCheckpointsRequest request,
                          BuildRequest(arguments));
  CLIENT_ASSIGN_OR_RETURN(const int64_t limit, Limit(arguments));
  CLIENT_ASSIGN_OR_RETURN(
      const auto response,
      GatherPages<v1::ListCheckpointsResponse>(
          request, limit, /*max_page=*/1000,
          [&](const auto& page) {
            return session.client().ListCheckpoints(page);
          },
          [](const auto& pages) { return pages.checkpoints_size(); }));
  if (session.json()) {
    session.PrintJson(response);
  } else if (arguments.Has("quiet")) {
    PrintHandles(response, session);
  } else {
    PrintTable(response, session);
  }
  return absl::OkStatus();
}

}  // namespace

const Command kListCommand = {
    .name = "list",
    .synopsis = "[flags]",
    .summary = "List checkpoints, newest first.",
    .example =
        "warmstart list --architecture NetB --label team=vision\n"
        "warmstart list --alias 'prod/*' --limit 0",
    .flags = kFlags,
    .run = Run,
};

}  // namespace warmstart::client
