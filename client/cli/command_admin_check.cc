#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/text.h"
#include "client/cli/unsound_error.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

void PrintResult(const v1::CheckStoreResponse& result, const Session& session) {
  session.Print(absl::StrCat(
      "checked ", Plural(result.checkpoint_count(), "checkpoint"), ", ",
      Plural(result.tensor_count(), "tensor"), ", ",
      Plural(result.pack_count(), "pack"), ": ",
      result.finding_count() == 0 ? "all sound" : "not sound", "\n"));
  for (const std::string& finding : result.findings()) {
    session.Print(absl::StrCat(Printable(finding), "\n"));
  }
  const int64_t more = result.finding_count() - result.findings_size();
  if (more > 0) {
    session.Print(absl::StrCat("and ", FormatCount(more), " more\n"));
  }
}

absl::Status Run(const Arguments&, Session& session) {
  CLIENT_ASSIGN_OR_RETURN(const v1::CheckStoreResponse result,
                          session.client().CheckStore());
  if (session.json()) {
    session.PrintJson(result);
  } else {
    PrintResult(result, session);
  }
  if (result.finding_count() == 0) return absl::OkStatus();
  return UnsoundError(absl::StrCat(Plural(result.finding_count(), "thing"),
                                   result.finding_count() == 1 ? " is" : " are",
                                   " wrong in the store"));
}

}  // namespace

const Command kAdminCheckCommand = {
    .name = "admin check",
    .synopsis = "",
    .summary = "Check that the store's catalog and its files agree.",
    .details =
        "What fsck is to a file system: the server looks at every row of its "
        "catalog, and whether each pack is there and as long as it should be. "
        "It changes nothing and reads no tensor; `warmstart admin scrub` "
        "does.\n\n"
        "Exit code 4 where something is wrong.",
    .example = "warmstart admin check",
    .run = Run,
};

}  // namespace warmstart::client
