#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/cli/command.h"
#include "client/cli/table.h"
#include "client/cli/text.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

Color ColorOf(v1::DiffKind kind) {
  switch (kind) {
    case v1::DIFF_KIND_ADDED:
      return Color::kGreen;
    case v1::DIFF_KIND_REMOVED:
      return Color::kRed;
    default:
      return Color::kYellow;
  }
}

std::string KindText(v1::DiffKind kind) {
  const std::string name = v1::DiffKind_Name(kind);
  return name.empty()
             ? absl::StrCat("kind ", kind)
             : absl::AsciiStrToLower(absl::StripPrefix(name, "DIFF_KIND_"));
}

std::string SpecText(const v1::ManifestEntry& entry) {
  return absl::StrCat(entry.dtype(), " ", FormatShape(entry.shape()));
}

// "float32 [10, 84]", or both where they differ.
std::string TensorText(const v1::DiffEntry& entry) {
  if (!entry.has_base()) return SpecText(entry.other());
  if (!entry.has_other()) return SpecText(entry.base());
  const std::string base = SpecText(entry.base());
  const std::string other = SpecText(entry.other());
  return base == other ? base : absl::StrCat(base, " -> ", other);
}

std::string TotalsText(absl::string_view what, const v1::DiffTotals& totals) {
  return absl::StrCat(what, ": ", Plural(totals.keys(), "key"), ", ",
                      Plural(totals.parameters(), "parameter"), ", ",
                      FormatBytes(totals.bytes()), "\n");
}

void PrintDiff(const v1::DiffCheckpointsResponse& diff,
               const Session& session) {
  session.Print(absl::StrCat(
      TotalsText("equal", diff.equal()), TotalsText("changed", diff.changed()),
      TotalsText("added", diff.added()), TotalsText("removed", diff.removed()),
      TotalsText("moved", diff.moved())));
  Table table({{"DIFFERENCE"}, {"KEY"}, {"TENSOR"}, {"NOW"}});
  for (const v1::DiffEntry& entry : diff.entries()) {
    table.AddRow({{KindText(entry.kind()), ColorOf(entry.kind())},
                  {entry.key()},
                  {TensorText(entry)},
                  {entry.other_key()}});
  }
  if (!table.empty()) {
    session.Print(absl::StrCat("\n", table.Render(session.table_style())));
  }
}

absl::Status Run(const Arguments& arguments, Session& session) {
  v1::DiffCheckpointsRequest request;
  request.set_base(arguments.positional()[0]);
  request.set_other(arguments.positional()[1]);
  CLIENT_ASSIGN_OR_RETURN(const v1::DiffCheckpointsResponse diff,
                          session.client().DiffCheckpoints(request));
  if (session.json()) {
    session.PrintJson(diff);
  } else {
    PrintDiff(diff, session);
  }
  return absl::OkStatus();
}

}  // namespace

const Command kDiffCommand = {
    .name = "diff",
    .synopsis = "BASE OTHER",
    .summary = "Show which tensors two checkpoints do not share.",
    .details =
        "Tensors are compared by dtype, shape and SHA-256. A tensor that OTHER "
        "has under another key has moved.",
    .example = "warmstart diff aliases/demo/net-a aliases/demo/net-b",
    .min_positional = 2,
    .max_positional = 2,
    .run = Run,
};

}  // namespace warmstart::client
