#include "client/cli/help.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "client/cli/text.h"

namespace warmstart::client {
namespace {

constexpr size_t kWidth = 80;

// Names to the left, what they mean to the right of them.
std::string TwoColumns(
    const std::vector<std::pair<std::string, std::string>>& rows) {
  constexpr size_t kMaxLeft = 26;
  size_t left = 0;
  for (const auto& [name, text] : rows) {
    if (name.size() <= kMaxLeft) left = std::max(left, name.size());
  }
  const size_t indent = 2 + left + 2;
  std::string result;
  for (const auto& [name, text] : rows) {
    const std::string wrapped = Wrap(text, indent, kWidth);
    std::string head = absl::StrCat("  ", name);
    if (name.size() > left) {
      absl::StrAppend(&result, head, "\n", wrapped, "\n");
    } else {
      head.resize(indent, ' ');
      absl::StrAppend(&result, head, wrapped.substr(indent), "\n");
    }
  }
  return result;
}

std::string FlagHelp(absl::Span<const Flag> flags) {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const Flag& flag : flags) {
    const std::string letter =
        flag.letter == 0 ? ""
                         : absl::StrCat("-", std::string(1, flag.letter), ", ");
    rows.emplace_back(
        absl::StrCat(letter, "--", flag.name, flag.is_switch() ? "" : " ",
                     flag.value),
        absl::StrCat(flag.help, flag.repeated ? " Repeatable." : ""));
  }
  return TwoColumns(rows);
}

std::string CommandList(absl::Span<const Command* const> commands) {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const Command* command : commands) {
    rows.emplace_back(command->name, command->summary);
  }
  return TwoColumns(rows);
}

std::string Indented(absl::string_view lines) {
  return absl::StrCat("  ", absl::StrReplaceAll(lines, {{"\n", "\n  "}}), "\n");
}

}  // namespace

std::string GeneralHelp() {
  return absl::StrCat(
      "warmstart stores model checkpoints on a Warmstart server and starts "
      "new\n"
      "models from them.\n\n"
      "Usage: warmstart COMMAND [arguments] [flags]\n\n"
      "Commands:\n",
      CommandList(Commands()), "\nFlags of every command:\n",
      FlagHelp(GlobalFlags()),
      "\nA HANDLE is checkpoints/ID, as the commands print it, or "
      "aliases/NAME.\n\n"
      "Example:\n"
      "  warmstart save net_a.pt --alias demo/net-a\n"
      "  warmstart warm-start NetB --from aliases/demo/net-a --alias "
      "demo/net-b\n"
      "  warmstart download aliases/demo/net-b -o net_b.pt\n\n"
      "Exit codes: 0 done; 1 the request failed; 2 the command line was "
      "wrong;\n"
      "3 the report missed what was demanded (--strict, --min-coverage, "
      "--on-...);\n"
      "4 the store is damaged (admin scrub, admin check).\n\n"
      "`warmstart help COMMAND` tells more.\n");
}

std::string GroupHelp(absl::string_view group) {
  return absl::StrCat("Usage: warmstart ", group,
                      " COMMAND [arguments] [flags]\n\nCommands:\n",
                      CommandList(CommandsOfGroup(group)), "\n`warmstart help ",
                      group, " COMMAND` tells more.\n");
}

std::string CommandHelp(const Command& command) {
  std::string help = absl::StrCat(
      "Usage: warmstart ", command.name, command.synopsis.empty() ? "" : " ",
      command.synopsis, "\n\n", command.summary, "\n");
  if (!command.details.empty()) {
    absl::StrAppend(&help, "\n", Wrap(command.details, 0, kWidth), "\n");
  }
  if (!command.flags.empty()) {
    absl::StrAppend(&help, "\nFlags:\n", FlagHelp(command.flags));
  }
  absl::StrAppend(&help, "\nFlags of every command:\n", FlagHelp(GlobalFlags()),
                  "\nExample:\n", Indented(command.example));
  return help;
}

}  // namespace warmstart::client
