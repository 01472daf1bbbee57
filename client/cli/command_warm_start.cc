#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/checkpoint_text.h"
#include "client/cli/command.h"
#include "client/cli/report_text.h"
#include "client/cli/warm_start_request.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

void PrintResponse(const v1::WarmStartRequest& request,
                   const v1::WarmStartResponse& response, bool tree,
                   const Session& session) {
  std::vector<std::string> sources;
  for (const v1::Source& source : request.sources()) {
    sources.push_back(source.checkpoint());
  }
  session.Print(
      RenderReport(response.report(), {.style = session.table_style(),
                                       .tree = tree,
                                       .sources = std::move(sources)}));
  session.Print(response.has_checkpoint()
                    ? absl::StrCat("\nstored ",
                                   CheckpointLine(response.checkpoint()), "\n")
                    : "\ndry run: nothing was stored\n");
}

absl::Status Run(const Arguments& arguments, Session& session) {
  CLIENT_ASSIGN_OR_RETURN(const v1::WarmStartRequest request,
                          BuildWarmStartRequest(arguments));
  CLIENT_ASSIGN_OR_RETURN(const v1::WarmStartResponse response,
                          session.client().WarmStart(request));
  if (session.json()) {
    session.PrintJson(response);
  } else if (!arguments.Has("quiet")) {
    PrintResponse(request, response, arguments.Has("tree"), session);
  } else if (response.has_checkpoint()) {
    session.Print(absl::StrCat(response.checkpoint().name(), "\n"));
  }
  return absl::OkStatus();
}

}  // namespace

const Command kWarmStartCommand = {
    .name = "warm-start",
    .synopsis = "ARCHITECTURE --from HANDLE [flags]",
    .summary = "Start a new model from stored checkpoints.",
    .details =
        "What fits is loaded, what is missing is initialized, and a report "
        "accounts for every key: load_state_dict(strict=False), unless the "
        "flags say otherwise. The "
        "renaming flags apply to every source key in the order in which they "
        "are given, each to the result of the one before.\n\n"
        "GLOBs are those of Python's fnmatch: * is any run of characters, dots "
        "included.",
    .example =
        "warmstart warm-start NetB --from aliases/demo/net-a --alias "
        "demo/net-b\n"
        "warmstart warm-start NetB --from checkpoints/ab12 --strip-prefix "
        "module. \\\n"
        "    --rename fc1.weight=fc2.weight --min-coverage 0.9 --dry-run",
    .flags = WarmStartFlags(),
    .min_positional = 1,
    .max_positional = 1,
    .run = Run,
};

}  // namespace warmstart::client
