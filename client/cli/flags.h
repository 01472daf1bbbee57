// A command's flags, declared as a table, and what a command line says of them.
//
//   constexpr Flag kFlags[] = {
//       {.name = "from", .value = "HANDLE", .help = "...", .repeated = true},
//       {.name = "strict", .help = "..."},
//   };
//   absl::StatusOr<Arguments> arguments = ParseArguments(kFlags, argv);
//
// Written as `--name value`, `--name=value`, `-n value` or `-nvalue`; flags and
// other arguments may be mixed; `--` ends the flags.

#ifndef WARMSTART_CLIENT_CLI_FLAGS_H_
#define WARMSTART_CLIENT_CLI_FLAGS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace warmstart::client {

struct Flag {
  // Without the dashes.
  absl::string_view name;
  // What its value is called in the help; empty for a switch, which takes none.
  // "one|two|three" lists the values that it can have.
  absl::string_view value = "";
  absl::string_view help;
  // May be given more than once.
  bool repeated = false;
  // Its one-letter form, or 0.
  char letter = 0;

  bool is_switch() const { return value.empty(); }
};

// A flag as it was given.
struct FlagUse {
  absl::string_view name;
  std::string value;  // empty for a switch
};

class Arguments {
 public:
  Arguments(std::vector<std::string> positional, std::vector<FlagUse> uses);

  // What is no flag, in order.
  const std::vector<std::string>& positional() const { return positional_; }

  // All flags in the order in which they were given, which means something for
  // some (--rename, --strip-prefix).
  const std::vector<FlagUse>& uses() const { return uses_; }

  bool Has(absl::string_view name) const;
  std::optional<std::string> Get(absl::string_view name) const;
  std::vector<std::string> All(absl::string_view name) const;

 private:
  std::vector<std::string> positional_;
  std::vector<FlagUse> uses_;
};

// Fails with a usage error: a flag that is not in the table (with the one that
// was likely meant), a value that is missing, not wanted or not in the list, a
// flag given twice. The arguments refer to the flags' names, which must outlive
// them.
absl::StatusOr<Arguments> ParseArguments(absl::Span<const Flag> flags,
                                         absl::Span<const std::string> args);

// The flag that `arg` ("--name", "--name=value", "-n") gives, or null.
const Flag* FindFlag(absl::Span<const Flag> flags, absl::string_view arg);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_FLAGS_H_
