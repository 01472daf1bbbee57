#include <google/protobuf/util/time_util.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/progress_bar.h"
#include "client/cli/text.h"
#include "client/cpp/backup/backup.h"
#include "client/cpp/backup/restore.h"
#include "client/cpp/status_macros.h"
#include "nlohmann/json.hpp"

namespace warmstart::client {
namespace {

constexpr Flag kBackupFlags[] = {
    {.name = "replace",
     .help = "Go on where DIR has the backup of another server, which is lost "
             "then."},
};

void PrintJson(const nlohmann::ordered_json& json, const Session& session) {
  session.Print(json.dump(1, ' ', /*ensure_ascii=*/false,
                          nlohmann::json::error_handler_t::replace) +
                "\n");
}

void PrintBackup(const BackedUp& backup, const std::string& dir,
                 const Session& session) {
  if (session.json()) {
    PrintJson({{"dir", dir},
               {"snapshot_time", google::protobuf::util::TimeUtil::ToString(
                                     backup.snapshot_time)},
               {"packs_fetched", backup.packs_fetched},
               {"packs_reused", backup.packs_reused},
               {"packs_removed", backup.packs_removed},
               {"bytes_fetched", backup.bytes_fetched},
               {"size_bytes", backup.size}},
              session);
    return;
  }
  session.Print(Printable(absl::StrCat(
                    "backed up to ", dir, ": ", FormatBytes(backup.size),
                    ", the store of ", FormatTime(backup.snapshot_time))) +
                "\n");
  session.Print(absl::StrCat("fetched ", FormatBytes(backup.bytes_fetched),
                             " (", Plural(backup.packs_fetched, "pack"),
                             " and the catalog), reused ",
                             Plural(backup.packs_reused, "pack"), ", removed ",
                             Plural(backup.packs_removed, "pack"), "\n"));
}

absl::Status RunBackup(const Arguments& arguments, Session& session) {
  const BackupRequest request{.dir = arguments.positional().front(),
                              .replace = arguments.Has("replace")};
  absl::StatusOr<BackedUp> backup;
  {
    ProgressBar bar(session.console(), "backing up");
    backup = session.client().BackUp(request, bar.callback());
  }
  CLIENT_RETURN_IF_ERROR(backup.status());
  PrintBackup(*backup, request.dir, session);
  return absl::OkStatus();
}

absl::Status RunRestore(const Arguments& arguments, Session& session) {
  const std::string& dir = arguments.positional()[0];
  const std::string& data_dir = arguments.positional()[1];
  absl::StatusOr<Restored> restored;
  {
    ProgressBar bar(session.console(), "restoring");
    restored = RestoreBackup(dir, data_dir, bar.callback());
  }
  CLIENT_RETURN_IF_ERROR(restored.status());
  if (session.json()) {
    PrintJson({{"dir", dir},
               {"data_dir", data_dir},
               {"packs", restored->packs},
               {"size_bytes", restored->size}},
              session);
    return absl::OkStatus();
  }
  session.Print(
      Printable(absl::StrCat(
          "restored ", dir, " to ", data_dir, ": ", FormatBytes(restored->size),
          ", ", Plural(restored->packs, "pack"),
          "; start it with warmstart-server --data-dir ", data_dir)) +
      "\n");
  return absl::OkStatus();
}

}  // namespace

const Command kAdminBackupCommand = {
    .name = "admin backup",
    .synopsis = "DIR [--replace]",
    .summary = "Copy all that the server holds into a folder of this machine.",
    .details =
        "The server goes on meanwhile; DIR is what it held at one moment. Once "
        "it is complete and on disk, DIR is the new backup; until then, and "
        "where this is stopped or killed, the old one stays. Packs of tensors "
        "never change, so what DIR has is not fetched again: run it as often "
        "as you like.\n\n"
        "A copy of DIR is a data directory: restore it with admin restore, or "
        "with cp -a, and start a server on it, not on DIR itself. "
        "sha256sum -c SHA256SUMS checks DIR.",
    .example = "warmstart admin backup /backups/warmstart",
    .flags = kBackupFlags,
    .min_positional = 1,
    .max_positional = 1,
    .run = RunBackup,
};

const Command kAdminRestoreCommand = {
    .name = "admin restore",
    .synopsis = "DIR DATA_DIR",
    .summary = "Make a data directory from a backup.",
    .details =
        "Needs no server, and no network. DATA_DIR is new or empty; every file "
        "is compared with its SHA-256. The backup in DIR stays as it is.",
    .example =
        "warmstart admin restore /backups/warmstart /var/lib/warmstart\n"
        "warmstart-server --data-dir /var/lib/warmstart",
    .min_positional = 2,
    .max_positional = 2,
    .run = RunRestore,
};

}  // namespace warmstart::client
