#include "client/cli/command_line.h"

#include <set>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/command.h"
#include "client/cli/failure.h"
#include "client/cli/flags.h"
#include "client/cli/help.h"
#include "client/cli/session.h"
#include "client/cli/suggest.h"
#include "client/cli/usage_error.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

using Args = std::vector<std::string>;

// Index of the first argument that is neither a global flag nor its value: the
// command's name, or what is wrong.
size_t SkipGlobalFlags(const Args& args) {
  size_t i = 0;
  while (i < args.size()) {
    const Flag* flag = FindFlag(GlobalFlags(), args[i]);
    if (flag == nullptr) break;
    const bool value_apart =
        !flag->is_switch() && args[i] == absl::StrCat("--", flag->name);
    i += value_apart ? 2 : 1;
  }
  return std::min(i, args.size());
}

bool IsGroup(const std::string& word) { return !CommandsOfGroup(word).empty(); }

absl::Status UnknownCommand(absl::Span<const std::string> words) {
  if (words[0].size() > 1 && words[0][0] == '-') {
    // Only global flags are known before a command is.
    return ParseArguments(GlobalFlags(), words.subspan(0, 1)).status();
  }
  std::set<std::string> names;
  for (const Command* command : Commands()) names.emplace(command->name);
  if (!IsGroup(words[0])) {
    return UsageError(
        absl::StrCat("unknown command ", words[0],
                     DidYouMean(words[0], Args(names.begin(), names.end()))));
  }
  const std::string two =
      absl::StrJoin(words.subspan(0, std::min<size_t>(2, words.size())), " ");
  return UsageError(
      absl::StrCat("unknown command ", two,
                   DidYouMean(two, Args(names.begin(), names.end()))));
}

// `warmstart help [COMMAND]`, `warmstart alias --help`.
int Help(absl::Span<const std::string> words, Console& console) {
  if (words.empty()) {
    console.out << GeneralHelp();
  } else if (const Command* command = FindCommand(words)) {
    console.out << CommandHelp(*command);
  } else if (words.size() == 1 && IsGroup(words[0])) {
    console.out << GroupHelp(words[0]);
  } else {
    return PrintUsageError(UnknownCommand(words), "", /*json=*/false, console);
  }
  return kDone;
}

absl::Status CheckPositional(const Command& command,
                             const Arguments& arguments) {
  const size_t count = arguments.positional().size();
  if (count < command.min_positional) {
    return UsageError(absl::StrCat("an argument is missing: warmstart ",
                                   command.name, " ", command.synopsis));
  }
  if (count > command.max_positional) {
    return UsageError(absl::StrCat(
        "unexpected argument \"",
        arguments.positional()[command.max_positional], "\": warmstart ",
        command.name, command.synopsis.empty() ? "" : " ", command.synopsis));
  }
  return absl::OkStatus();
}

// Output that did not arrive, such as on a full disk, is no success.
int Flush(int exit_code, Console& console) {
  console.out << std::flush;
  if (console.out.good()) return exit_code;
  console.err << "warmstart: cannot write to standard output\n";
  return exit_code == kDone ? kFailed : exit_code;
}

int RunCommand(const Command& command, const Args& args, Console& console) {
  const std::vector<Flag> flags = command.AllFlags();
  const bool json = absl::c_linear_search(args, "--json");
  const auto usage_error = [&](const absl::Status& status) {
    return PrintUsageError(status, command.name, json, console);
  };
  const absl::StatusOr<Arguments> arguments = ParseArguments(flags, args);
  if (!arguments.ok()) return usage_error(arguments.status());
  if (arguments->Has("help")) {
    console.out << CommandHelp(command);
    return kDone;
  }
  if (absl::Status status = CheckPositional(command, *arguments);
      !status.ok()) {
    return usage_error(status);
  }
  absl::StatusOr<Session> session = Session::Create(*arguments, console);
  if (!session.ok()) return usage_error(session.status());
  const absl::Status status = command.run(*arguments, *session);
  if (status.ok()) return kDone;
  if (IsUsageError(status)) return usage_error(status);
  return PrintFailure(status, *session);
}

int Dispatch(const Args& args, Console& console) {
  const size_t first = SkipGlobalFlags(args);
  const Args global(args.begin(), args.begin() + first);
  const Args words(args.begin() + first, args.end());
  const bool wants_help = absl::c_any_of(
      args, [](const auto& arg) { return arg == "--help" || arg == "-h"; });
  if (words.empty()) {
    if (wants_help) return Help({}, console);
    console.err << GeneralHelp();
    return kUsage;
  }
  if (words[0] == "--version") return RunCommand(kVersionCommand, {}, console);
  if (words[0] == "help") {
    return Help(absl::MakeSpan(words).subspan(1), console);
  }
  const Command* command = FindCommand(words);
  if (command != nullptr) {
    Args rest = global;
    const size_t name_words = absl::StrContains(command->name, ' ') ? 2 : 1;
    rest.insert(rest.end(), words.begin() + name_words, words.end());
    return RunCommand(*command, rest, console);
  }
  if (IsGroup(words[0]) && (wants_help || words.size() == 1)) {
    (wants_help ? console.out : console.err) << GroupHelp(words[0]);
    return wants_help ? kDone : kUsage;
  }
  return PrintUsageError(UnknownCommand(words), "",
                         absl::c_linear_search(args, "--json"), console);
}

}  // namespace

int RunCommandLine(absl::Span<const std::string> args, Console& console) {
  return Flush(Dispatch(Args(args.begin(), args.end()), console), console);
}

}  // namespace warmstart::client
