// Command: what the tool can do, as a table entry. Each has its file,
// command_<name>.cc; command.cc lists them.

#ifndef WARMSTART_CLIENT_CLI_COMMAND_H_
#define WARMSTART_CLIENT_CLI_COMMAND_H_

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "client/cli/flags.h"
#include "client/cli/session.h"

namespace warmstart::client {

struct Command {
  static constexpr size_t kAnyNumber = std::numeric_limits<size_t>::max();

  // One word, or two: "alias set".
  absl::string_view name;
  // As in the usage line: "HANDLE [--force]".
  absl::string_view synopsis;
  // One line, in the imperative.
  absl::string_view summary;
  // Paragraphs of the help; may be empty.
  absl::string_view details = "";
  // Lines that can be typed.
  absl::string_view example;
  absl::Span<const Flag> flags = {};
  // How many arguments besides flags it takes.
  size_t min_positional = 0;
  size_t max_positional = 0;
  // Prints its result; a failure is printed by the caller.
  absl::Status (*run)(const Arguments& arguments, Session& session);

  // Its flags and the global ones.
  std::vector<Flag> AllFlags() const;
};

// In the order of the help.
absl::Span<const Command* const> Commands();

// The command that the first one or two words name, or null.
const Command* FindCommand(absl::Span<const std::string> words);

// Those whose first word is `group`: "alias" has three.
std::vector<const Command*> CommandsOfGroup(absl::string_view group);

// command_save.cc
extern const Command kSaveCommand;
// command_warm_start.cc
extern const Command kWarmStartCommand;
// command_download.cc
extern const Command kDownloadCommand;
// command_forward.cc
extern const Command kForwardCommand;
// command_list.cc
extern const Command kListCommand;
// command_show.cc
extern const Command kDiffCommand;
extern const Command kShowCommand;
// command_lineage.cc
extern const Command kLineageCommand;
// command_reproduce.cc
extern const Command kReproduceCommand;
// command_label.cc
extern const Command kLabelCommand;
// command_expire.cc
extern const Command kExpireCommand;
// command_delete.cc
extern const Command kDeleteCommand;
// command_alias.cc
extern const Command kAliasSetCommand;
extern const Command kAliasDeleteCommand;
extern const Command kAliasListCommand;
// command_uploads.cc
extern const Command kUploadsListCommand;
extern const Command kUploadsDeleteCommand;
// command_architectures.cc
extern const Command kArchitecturesListCommand;
extern const Command kArchitecturesShowCommand;
extern const Command kArchitecturesRegisterCommand;
extern const Command kArchitecturesDeleteCommand;
// command_admin_retention.cc
extern const Command kAdminRetentionCommand;
// command_admin_export.cc
extern const Command kAdminExportCommand;
// command_admin_import.cc
extern const Command kAdminImportCommand;
// command_admin_gc.cc
extern const Command kAdminGcCommand;
// command_admin_scrub.cc
extern const Command kAdminScrubCommand;
// command_admin_check.cc
extern const Command kAdminCheckCommand;
// command_health.cc
extern const Command kHealthCommand;
// command_info.cc
extern const Command kInfoCommand;
// command_admin_backup.cc
extern const Command kAdminBackupCommand;
extern const Command kAdminRestoreCommand;
// command_version.cc
extern const Command kVersionCommand;

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_COMMAND_H_
