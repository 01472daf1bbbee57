#include "client/cli/flags.h"

#include <utility>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/cli/suggest.h"
#include "client/cli/usage_error.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

// An argument that is a flag, taken apart.
struct Written {
  absl::string_view flag;                  // "--name" or "-n"
  std::optional<absl::string_view> value;  // what is written together with it
};

// "-" alone is no flag: it stands for standard input or output.
bool LooksLikeFlag(absl::string_view arg) {
  return arg.size() > 1 && arg[0] == '-';
}

Written TakeApart(absl::string_view arg) {
  if (!absl::StartsWith(arg, "--")) {
    if (arg.size() == 2) return {arg, std::nullopt};
    return {arg.substr(0, 2), arg.substr(2)};
  }
  const size_t equals = arg.find('=');
  if (equals == absl::string_view::npos) return {arg, std::nullopt};
  return {arg.substr(0, equals), arg.substr(equals + 1)};
}

absl::Status UnknownFlag(absl::Span<const Flag> flags,
                         absl::string_view written) {
  std::vector<std::string> names;
  for (const Flag& flag : flags) names.push_back(absl::StrCat("--", flag.name));
  return UsageError(
      absl::StrCat("unknown flag ", written, DidYouMean(written, names)));
}

absl::Status CheckChoice(const Flag& flag, absl::string_view written,
                         const std::string& value) {
  if (!absl::StrContains(flag.value, '|')) return absl::OkStatus();
  const std::vector<std::string> choices = absl::StrSplit(flag.value, '|');
  if (absl::c_linear_search(choices, value)) return absl::OkStatus();
  return UsageError(absl::StrCat(written, " takes ",
                                 absl::StrJoin(choices, ", "), "; not \"",
                                 value, "\"", DidYouMean(value, choices)));
}

class Parser {
 public:
  Parser(absl::Span<const Flag> flags, absl::Span<const std::string> args)
      : flags_(flags), args_(args) {}

  absl::StatusOr<Arguments> Run() && {
    while (next_ < args_.size()) {
      const std::string& arg = args_[next_++];
      if (arg == "--") {
        positional_.insert(positional_.end(), args_.begin() + next_,
                           args_.end());
        break;
      }
      if (LooksLikeFlag(arg)) {
        CLIENT_RETURN_IF_ERROR(TakeFlag(arg));
      } else {
        positional_.push_back(arg);
      }
    }
    return Arguments(std::move(positional_), std::move(uses_));
  }

 private:
  absl::Status TakeFlag(absl::string_view arg) {
    const Written written = TakeApart(arg);
    const Flag* flag = FindFlag(flags_, arg);
    if (flag == nullptr) return UnknownFlag(flags_, written.flag);
    if (!flag->repeated && absl::c_any_of(uses_, [&](const FlagUse& use) {
          return use.name == flag->name;
        })) {
      return UsageError(absl::StrCat(written.flag, " is given twice"));
    }
    CLIENT_ASSIGN_OR_RETURN(std::string value, ValueOf(*flag, written));
    CLIENT_RETURN_IF_ERROR(CheckChoice(*flag, written.flag, value));
    uses_.push_back({flag->name, std::move(value)});
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> ValueOf(const Flag& flag,
                                      const Written& written) {
    if (flag.is_switch()) {
      if (!written.value.has_value()) return "";
      return UsageError(absl::StrCat(written.flag, " takes no value"));
    }
    if (written.value.has_value()) return std::string(*written.value);
    // A value may begin with a dash, but the name of a flag was hardly meant.
    if (next_ == args_.size() || (absl::StartsWith(args_[next_], "--") &&
                                  FindFlag(flags_, args_[next_]) != nullptr)) {
      return UsageError(
          absl::StrCat(written.flag, " needs a value: ", flag.value));
    }
    return args_[next_++];
  }

  const absl::Span<const Flag> flags_;
  const absl::Span<const std::string> args_;
  size_t next_ = 0;
  std::vector<std::string> positional_;
  std::vector<FlagUse> uses_;
};

}  // namespace

Arguments::Arguments(std::vector<std::string> positional,
                     std::vector<FlagUse> uses)
    : positional_(std::move(positional)), uses_(std::move(uses)) {}

bool Arguments::Has(absl::string_view name) const {
  return absl::c_any_of(uses_,
                        [&](const FlagUse& use) { return use.name == name; });
}

std::optional<std::string> Arguments::Get(absl::string_view name) const {
  for (const FlagUse& use : uses_) {
    if (use.name == name) return use.value;
  }
  return std::nullopt;
}

std::vector<std::string> Arguments::All(absl::string_view name) const {
  std::vector<std::string> values;
  for (const FlagUse& use : uses_) {
    if (use.name == name) values.push_back(use.value);
  }
  return values;
}

const Flag* FindFlag(absl::Span<const Flag> flags, absl::string_view arg) {
  if (!LooksLikeFlag(arg)) return nullptr;
  const absl::string_view written = TakeApart(arg).flag;
  for (const Flag& flag : flags) {
    const bool found = absl::StartsWith(written, "--")
                           ? written.substr(2) == flag.name
                           : flag.letter != 0 && written[1] == flag.letter;
    if (found) return &flag;
  }
  return nullptr;
}

absl::StatusOr<Arguments> ParseArguments(absl::Span<const Flag> flags,
                                         absl::Span<const std::string> args) {
  return Parser(flags, args).Run();
}

}  // namespace warmstart::client
