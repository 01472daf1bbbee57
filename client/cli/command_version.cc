#include "absl/strings/str_cat.h"
#include "client/cli/command.h"

namespace warmstart::client {
namespace {

absl::Status Run(const Arguments&, Session& session) {
  session.Print(session.json()
                    ? absl::StrCat("{\"version\": \"", WARMSTART_VERSION,
                                   "\", \"api\": \"warmstart.v1\"}\n")
                    : absl::StrCat("warmstart ", WARMSTART_VERSION,
                                   " (API warmstart.v1)\n"));
  return absl::OkStatus();
}

}  // namespace

const Command kVersionCommand = {
    .name = "version",
    .synopsis = "",
    .summary = "Print the version of this tool.",
    .example = "warmstart version",
    .run = Run,
};

}  // namespace warmstart::client
