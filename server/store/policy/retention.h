// Retention: which checkpoints the store may delete on its own.

#ifndef WARMSTART_SERVER_STORE_POLICY_RETENTION_H_
#define WARMSTART_SERVER_STORE_POLICY_RETENTION_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/model/resource_name.h"

namespace warmstart::store {

// When a checkpoint expires: never, at a time, or so long after now.
using Expiration = std::variant<std::monostate, absl::Time, absl::Duration>;

// nullopt for never.
std::optional<absl::Time> ExpireTime(const Expiration& expiration,
                                     absl::Time now);

// Of the checkpoints that have all `labels`, the newest `keep` stay. With a
// `key`, that is so for each value of that label on its own, and those without
// the label are none of the rule's.
struct RetentionRule {
  std::map<std::string, std::string> labels;
  std::string key;  // "" for none
  int64_t keep = 0;

  // From "stage=dev,experiment:5": conditions KEY=VALUE and at most one KEY,
  // separated by commas, and the number behind the last colon.
  // INVALID_ARGUMENT, saying what is wrong, for what cannot be read.
  static absl::StatusOr<RetentionRule> Parse(absl::string_view text);
  std::string ToString() const;
};

// A checkpoint is to go where its time has come or where every rule that it
// falls under, of one at least, does not keep it. Never while an alias points
// to it, or an architecture has its initial values.
struct RetentionPolicy {
  absl::Time now;
  std::vector<RetentionRule> rules;
};

struct RetiredCheckpoint {
  CheckpointName name;
  absl::Time create_time;
  // Where its time has come; else a rule says so.
  std::optional<absl::Time> expire_time;
  // That rule, for the values that the checkpoint has, as Parse takes it:
  // "stage=dev,experiment=ablation:5"; "" where its time has come.
  std::string rule;
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_POLICY_RETENTION_H_
