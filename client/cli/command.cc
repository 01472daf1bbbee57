#include "client/cli/command.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace warmstart::client {
namespace {

constexpr const Command* kCommands[] = {
    &kSaveCommand,
    &kWarmStartCommand,
    &kDownloadCommand,
    &kForwardCommand,
    &kListCommand,
    &kShowCommand,
    &kDiffCommand,
    &kLineageCommand,
    &kReproduceCommand,
    &kLabelCommand,
    &kExpireCommand,
    &kDeleteCommand,
    &kAliasSetCommand,
    &kAliasDeleteCommand,
    &kAliasListCommand,
    &kUploadsListCommand,
    &kUploadsDeleteCommand,
    &kArchitecturesListCommand,
    &kArchitecturesShowCommand,
    &kArchitecturesRegisterCommand,
    &kArchitecturesDeleteCommand,
    &kAdminBackupCommand,
    &kAdminRestoreCommand,
    &kAdminRetentionCommand,
    &kAdminExportCommand,
    &kAdminImportCommand,
    &kAdminGcCommand,
    &kAdminScrubCommand,
    &kAdminCheckCommand,
    &kHealthCommand,
    &kInfoCommand,
    &kVersionCommand,
};

}  // namespace

std::vector<Flag> Command::AllFlags() const {
  std::vector<Flag> all(flags.begin(), flags.end());
  all.insert(all.end(), GlobalFlags().begin(), GlobalFlags().end());
  return all;
}

absl::Span<const Command* const> Commands() { return kCommands; }

const Command* FindCommand(absl::Span<const std::string> words) {
  if (words.empty()) return nullptr;
  const std::string one = words[0];
  const std::string two =
      words.size() > 1 ? absl::StrCat(one, " ", words[1]) : one;
  for (const Command* command : Commands()) {
    if (command->name == one || command->name == two) return command;
  }
  return nullptr;
}

std::vector<const Command*> CommandsOfGroup(absl::string_view group) {
  std::vector<const Command*> found;
  for (const Command* command : Commands()) {
    if (absl::StartsWith(command->name, absl::StrCat(group, " "))) {
      found.push_back(command);
    }
  }
  return found;
}

}  // namespace warmstart::client
