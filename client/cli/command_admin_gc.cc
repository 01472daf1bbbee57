#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/table.h"
#include "client/cli/text.h"
#include "client/cli/values.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

constexpr Flag kFlags[] = {
    {.name = "dry-run", .help = "Tell what would go, and change nothing."},
    {.name = "max-bytes",
     .value = "SIZE",
     .help = "Write at most so much, that which frees most first: 10GiB. "
             "Default: no limit."},
    {.name = "min-live-share",
     .value = "FRACTION",
     .help = "Rewrite packs of which less than this is live. Default: 0.5."},
    {.name = "merge-below",
     .value = "SIZE",
     .help = "Merge packs with less than this; 0 merges none. Default: 4MiB."},
};

absl::StatusOr<v1::CollectGarbageRequest> BuildRequest(
    const Arguments& arguments) {
  v1::CollectGarbageRequest request;
  request.set_dry_run(arguments.Has("dry-run"));
  CLIENT_ASSIGN_OR_RETURN(const auto max_bytes,
                          BytesValue(arguments, "max-bytes"));
  if (max_bytes.has_value()) request.set_max_written_bytes(*max_bytes);
  CLIENT_ASSIGN_OR_RETURN(const auto share,
                          FractionValue(arguments, "min-live-share"));
  if (share.has_value()) request.set_min_live_share(*share);
  CLIENT_ASSIGN_OR_RETURN(const auto merge_below,
                          BytesValue(arguments, "merge-below"));
  if (merge_below.has_value()) request.set_merge_below_bytes(*merge_below);
  return request;
}

absl::string_view FateText(v1::PackFate fate) {
  switch (fate) {
    case v1::PACK_FATE_REWRITTEN:
      return "rewritten";
    case v1::PACK_FATE_MERGED:
      return "merged";
    case v1::PACK_FATE_OVER_BUDGET:
      return "left: over the limit";
    case v1::PACK_FATE_DAMAGED:
      return "left: damaged";
    case v1::PACK_FATE_STRAY:
      return "removed: nobody's";
    default:
      return "unknown to this client";
  }
}

void PrintPacks(const v1::CollectGarbageResponse& response,
                const Session& session) {
  Table table({{"PACK"}, {"SIZE", true}, {"LIVE", true}, {"FATE"}});
  for (const v1::CollectedPack& pack : response.packs()) {
    const bool is_damaged = pack.fate() == v1::PACK_FATE_DAMAGED;
    table.AddRow({{pack.name()},
                  {FormatBytes(pack.size_bytes())},
                  {FormatBytes(pack.live_bytes())},
                  {std::string(FateText(pack.fate())),
                   is_damaged ? Color::kRed : Color::kPlain}});
  }
  if (table.empty()) return;
  session.Print(table.Render(session.table_style()) + "\n");
}

// FormatBytes for what may be less than nothing.
std::string FormatChange(int64_t bytes) {
  return bytes < 0 ? absl::StrCat("-", FormatBytes(-bytes))
                   : FormatBytes(bytes);
}

void PrintSums(const v1::CollectGarbageResponse& response, bool is_dry_run,
               const Session& session) {
  const auto line = [&](absl::string_view name, const std::string& value) {
    std::string label(name);
    label.resize(14, ' ');
    session.Print(absl::StrCat(
        Paint(Color::kDim, label, session.table_style().color), value, "\n"));
  };
  const auto count = [&](absl::string_view name, int64_t packs) {
    if (packs > 0) line(name, Plural(packs, "pack"));
  };
  line("examined",
       absl::StrCat(Plural(response.examined_pack_count(), "pack"), ", ",
                    FormatBytes(response.examined_bytes()), ", of which ",
                    FormatBytes(response.live_bytes()), " live"));
  count("rewritten", response.rewritten_pack_count());
  count("merged", response.merged_pack_count());
  count("over limit", response.over_budget_pack_count());
  count("damaged", response.damaged_pack_count());
  count("nobody's", response.stray_pack_count());
  line("written", absl::StrCat(Plural(response.written_pack_count(), "pack"),
                               ", ", FormatBytes(response.written_bytes())));
  line(is_dry_run ? "would free" : "freed",
       FormatChange(response.freed_bytes()));
  line("catalog",
       absl::StrCat(FormatBytes(response.catalog_bytes()), ", of which ",
                    FormatBytes(response.catalog_free_bytes()),
                    " free for what comes"));
  if (is_dry_run) line("dry run", "nothing was changed");
}

absl::Status Run(const Arguments& arguments, Session& session) {
  CLIENT_ASSIGN_OR_RETURN(const v1::CollectGarbageRequest request,
                          BuildRequest(arguments));
  CLIENT_ASSIGN_OR_RETURN(const v1::CollectGarbageResponse response,
                          session.client().CollectGarbage(request));
  if (session.json()) {
    session.PrintJson(response);
    return absl::OkStatus();
  }
  PrintPacks(response, session);
  PrintSums(response, request.dry_run(), session);
  return absl::OkStatus();
}

}  // namespace

const Command kAdminGcCommand = {
    .name = "admin gc",
    .synopsis = "[--dry-run] [flags]",
    .summary = "Give back to the disk what deletions left behind.",
    .details =
        "A file of tensors goes with its last tensor at once. This rewrites "
        "those that are mostly dead, merges small ones, and removes what "
        "nobody references, while the server goes on. It may be stopped at any "
        "time; what was done until then stays done.",
    .example =
        "warmstart admin gc --dry-run\n"
        "warmstart admin gc --max-bytes 10GiB",
    .flags = kFlags,
    .run = Run,
};

}  // namespace warmstart::client
