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

// "float32 [10, 84]", or both where they differ.
std::string TensorText(const v1::DiffEntry& entry) {
  const std::string base =
      absl::StrCat(entry.base_dtype(), " ", FormatShape(entry.base_shape()));
  const std::string other =
      absl::StrCat(entry.other_dtype(), " ", FormatShape(entry.other_shape()));
  if (entry.base_dtype().empty() || base == other) return other;
  if (entry.other_dtype().empty()) return base;
  return absl::StrCat(base, " -> ", other);
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
  Table table({{"DIFFERENCE"}, {"KEY"}, {"TENSOR"}, {"WAS"}});
  for (const v1::DiffEntry& entry : diff.entries()) {
    table.AddRow({{KindText(entry.kind()), ColorOf(entry.kind())},
                  {entry.key()},
                  {TensorText(entry)},
                  {entry.base_key()}});
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
        "Tensors are compared by dtype, shape and SHA-256. A tensor that BASE "
        "has under another key has moved.",
    .example = "warmstart diff aliases/demo/net-a aliases/demo/net-b",
    .min_positional = 2,
    .max_positional = 2,
    .run = Run,
};

}  // namespace warmstart::client
