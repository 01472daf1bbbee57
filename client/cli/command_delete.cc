#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/text.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

constexpr Flag kFlags[] = {
    {.name = "force", .help = "Deletes the aliases that point to it as well."},
};

absl::Status Run(const Arguments& arguments, Session& session) {
  v1::DeleteCheckpointRequest request;
  request.set_force(arguments.Has("force"));
  for (const std::string& handle : arguments.positional()) {
    request.set_name(handle);
    CLIENT_RETURN_IF_ERROR(session.client().DeleteCheckpoint(request));
    if (!session.json()) {
      session.Print(absl::StrCat("deleted ", Printable(handle), "\n"));
    }
  }
  if (session.json()) session.Print("{}\n");
  return absl::OkStatus();
}

}  // namespace

const Command kDeleteCommand = {
    .name = "delete",
    .synopsis = "HANDLE... [--force]",
    .summary = "Delete checkpoints.",
    .details =
        "Tensors that other checkpoints share stay. A HANDLE is "
        "checkpoints/ID here: no alias, so that a moved alias never "
        "decides what is deleted.",
    .example = "warmstart delete checkpoints/ab12",
    .flags = kFlags,
    .min_positional = 1,
    .max_positional = Command::kAnyNumber,
    .run = Run,
};

}  // namespace warmstart::client
