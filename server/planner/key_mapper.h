// KeyMapper: the rules of a request, compiled, and their use on keys.

#ifndef WARMSTART_SERVER_PLANNER_KEY_MAPPER_H_
#define WARMSTART_SERVER_PLANNER_KEY_MAPPER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/model/key_rule.h"

namespace re2 {
class RE2;
}

namespace warmstart::planner {

struct MappedKey {
  std::string key;
  std::vector<int> rules;  // indices of those that changed it, in order
};

class KeyMapper {
 public:
  // A key longer than this is refused: rules that double a key, one after the
  // other, would not end.
  static constexpr size_t kMaxKeyBytes = 16 * 1024;

  // INVALID_ARGUMENT, with the rule's index, for a rule that cannot be used.
  // `rules` must outlive the mapper.
  static absl::StatusOr<KeyMapper> Create(absl::Span<const KeyRule> rules);
  ~KeyMapper();
  KeyMapper(KeyMapper&&) noexcept;
  KeyMapper& operator=(KeyMapper&&) noexcept;

  // Applies every rule, in order, each to the result of the one before it.
  // INVALID_ARGUMENT when a rule makes a key too long, empty or not UTF-8.
  absl::StatusOr<MappedKey> Map(absl::string_view key) const;

 private:
  KeyMapper();

  absl::Span<const KeyRule> rules_;
  std::vector<std::unique_ptr<re2::RE2>> regexes_;  // null where not a regex
};

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_KEY_MAPPER_H_
