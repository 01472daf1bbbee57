#include <set>
#include <string>
#include <utility>

#include "client/cli/command.h"
#include "client/cli/lineage_text.h"
#include "client/cli/pages.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

constexpr Flag kFlags[] = {
    {.name = "key",
     .value = "GLOB",
     .help = "Only tensors whose keys match: 'layer4.*'.",
     .repeated = true},
    {.name = "each",
     .help = "Every tensor by itself, rather than with those that came the "
             "same way."},
};

// Pages name the same checkpoints.
void NameCheckpointsOnce(v1::GetLineageResponse& lineage) {
  v1::GetLineageResponse once;
  std::set<std::string> known;
  for (v1::LineageCheckpoint& checkpoint : *lineage.mutable_checkpoints()) {
    if (known.insert(checkpoint.name()).second) {
      once.add_checkpoints()->Swap(&checkpoint);
    }
  }
  lineage.mutable_checkpoints()->Swap(once.mutable_checkpoints());
}

absl::Status Run(const Arguments& arguments, Session& session) {
  v1::GetLineageRequest request;
  request.set_name(arguments.positional().front());
  for (std::string& key : arguments.All("key")) {
    request.add_keys(std::move(key));
  }
  CLIENT_ASSIGN_OR_RETURN(
      v1::GetLineageResponse lineage,
      GatherPages<v1::GetLineageResponse>(
          request, /*limit=*/0, /*max_page=*/10'000,
          [&](const auto& page) { return session.client().GetLineage(page); },
          [](const auto& pages) { return pages.tensors_size(); }));
  NameCheckpointsOnce(lineage);
  if (session.json()) {
    session.PrintJson(lineage);
    return absl::OkStatus();
  }
  session.Print(RenderLineage(lineage, {.style = session.table_style(),
                                        .each = arguments.Has("each")}));
  return absl::OkStatus();
}

}  // namespace

const Command kLineageCommand = {
    .name = "lineage",
    .synopsis = "HANDLE [--key GLOB]... [--each]",
    .summary = "Tell where each tensor comes from, back to the uploads.",
    .details =
        "Lists the checkpoints that the tensors passed through and, for each "
        "tensor, the steps back: its source's key and the rules that led from "
        "there, or its initializer and seed. Tensors that came the same way "
        "are told of together; \"*\" stands for what their keys do not share.",
    .example =
        "warmstart lineage aliases/demo/net-b\n"
        "warmstart lineage checkpoints/ab12 --key 'fc3.*' --json",
    .flags = kFlags,
    .min_positional = 1,
    .max_positional = 1,
    .run = Run,
};

}  // namespace warmstart::client
