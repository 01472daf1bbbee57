#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/progress_bar.h"
#include "client/cli/table.h"
#include "client/cli/text.h"
#include "client/cli/unsound_error.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

constexpr Flag kFlags[] = {
    {.name = "list",
     .help = "Read nothing; list the tensors that are known to be damaged."},
};

// What tells one digest from all others of a store.
constexpr size_t kShortDigest = 16;

std::string PlaceOf(const v1::DamagedTensor& tensor) {
  if (tensor.pack().empty()) return "catalog";
  return absl::StrCat("packs/", tensor.pack(), " + ", tensor.offset());
}

// A row for each tensor of a checkpoint that needs it; what is known of the
// bytes is in the first alone.
void AddRows(const v1::DamagedTensor& tensor, Table& table) {
  const std::string digest = tensor.digest().substr(0, kShortDigest);
  std::vector<Table::Cell> row = {{digest, Color::kRed},
                                  {FormatBytes(tensor.size_bytes())},
                                  {FormatTime(tensor.damage_time())},
                                  {PlaceOf(tensor)}};
  const auto add = [&](const std::string& checkpoint, const std::string& key) {
    row.resize(4);
    row.push_back({checkpoint});
    row.push_back({key});
    table.AddRow(row);
    row.assign(4, {""});
  };
  for (const v1::TensorUse& use : tensor.uses()) {
    add(use.checkpoint(), use.key());
  }
  const int64_t more = tensor.use_count() - tensor.uses_size();
  if (more > 0) add("", absl::StrCat("and ", FormatCount(more), " more"));
}

void PrintDamage(const v1::ListDamagedTensorsResponse& damage,
                 const Session& session) {
  Table table({{"DAMAGED"},
               {"SIZE", true},
               {"FOUND"},
               {"PLACE"},
               {"CHECKPOINT"},
               {"KEY"}});
  for (const v1::DamagedTensor& tensor : damage.tensors()) {
    AddRows(tensor, table);
  }
  if (table.empty()) return;
  session.Print(absl::StrCat("\n", table.Render(session.table_style())));
  const int64_t more = damage.tensor_count() - damage.tensors_size();
  if (more > 0) {
    session.Print(absl::StrCat("and ", FormatCount(more), " more tensors\n"));
  }
}

absl::Status StatusOf(const v1::ListDamagedTensorsResponse& damage) {
  if (damage.tensor_count() == 0) return absl::OkStatus();
  return UnsoundError(absl::StrCat(
      Plural(damage.tensor_count(), "tensor"), " (",
      FormatBytes(damage.size_bytes()),
      ") damaged or gone; save a file that has the same tensors to bring them "
      "back"));
}

absl::Status List(Session& session) {
  CLIENT_ASSIGN_OR_RETURN(const v1::ListDamagedTensorsResponse damage,
                          session.client().ListDamagedTensors());
  if (session.json()) {
    session.PrintJson(damage);
  } else {
    if (damage.tensor_count() == 0) {
      session.Print("no tensor is known to be damaged\n");
    }
    PrintDamage(damage, session);
  }
  return StatusOf(damage);
}

void PrintResult(const v1::ScrubResult& result, const Session& session) {
  std::string text = absl::StrCat(
      "read ", Plural(result.tensors_read(), "tensor"), ", ",
      FormatBytes(result.bytes_read()), ": ",
      result.damage().tensor_count() == 0
          ? "all intact"
          : absl::StrCat(FormatCount(result.damage().tensor_count()),
                         " damaged, ", FormatCount(result.found_count()),
                         " of them found now"));
  if (result.cleared_count() > 0) {
    absl::StrAppend(&text, "; ", FormatCount(result.cleared_count()),
                    " intact again");
  }
  session.Print(absl::StrCat(text, "\n"));
  PrintDamage(result.damage(), session);
}

absl::Status Scrub(Session& session) {
  absl::StatusOr<v1::ScrubResult> result;
  {
    ProgressBar bar(session.console(), "scrubbing");
    result = session.client().ScrubStore(bar.callback());
  }
  CLIENT_RETURN_IF_ERROR(result.status());
  if (session.json()) {
    session.PrintJson(*result);
  } else {
    PrintResult(*result, session);
  }
  return StatusOf(result->damage());
}

absl::Status Run(const Arguments& arguments, Session& session) {
  return arguments.Has("list") ? List(session) : Scrub(session);
}

}  // namespace

const Command kAdminScrubCommand = {
    .name = "admin scrub",
    .synopsis = "[--list]",
    .summary = "Read all tensors, and find those that are damaged.",
    .details =
        "The server reads every tensor from its disk, at low priority, and "
        "compares it with its SHA-256. One that is damaged, gone or cannot be "
        "read is not handed out any more; what is listed is all of these, and "
        "the checkpoints that need them. Save a file with the same tensors, "
        "and they have them back.\n\n"
        "Exit code 4 where a tensor is damaged.",
    .example =
        "warmstart admin scrub\n"
        "warmstart admin scrub --list --json",
    .flags = kFlags,
    .run = Run,
};

}  // namespace warmstart::client
