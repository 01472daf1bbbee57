// TemplateMatcher: whether a key looks like a template, and what is in its
// holes.

#ifndef WARMSTART_SERVER_PLANNER_RULES_TEMPLATE_MATCHER_H_
#define WARMSTART_SERVER_PLANNER_RULES_TEMPLATE_MATCHER_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/model/key_template.h"

namespace re2 {
class RE2;
}

namespace warmstart::planner {

// Matching takes time linear in the key.
class TemplateMatcher {
 public:
  // INVALID_ARGUMENT for a template that is too large.
  static absl::StatusOr<TemplateMatcher> Create(KeyTemplate key_template);
  ~TemplateMatcher();
  TemplateMatcher(TemplateMatcher&&) noexcept;
  TemplateMatcher& operator=(TemplateMatcher&&) noexcept;

  const KeyTemplate& key_template() const { return template_; }

  // Whether `key` is the template's with any number and any text in each hole.
  bool LooksLike(absl::string_view key) const;

  // Whether every name can be worked out from a key: each number stands
  // somewhere as a * i + b.
  bool IsSolvable() const { return solvable_; }

  // Of a solvable template: the values of which it makes `key`; nullopt where
  // there are none.
  std::optional<Holes> Match(absl::string_view key) const;

 private:
  struct Captures;

  explicit TemplateMatcher(KeyTemplate key_template);

  bool Capture(absl::string_view key, Captures* captures) const;

  KeyTemplate template_;
  bool solvable_;
  // The literals at both ends: most keys are told apart by them.
  std::string prefix_;
  std::string suffix_;
  std::unique_ptr<re2::RE2> regex_;
};

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_RULES_TEMPLATE_MATCHER_H_
