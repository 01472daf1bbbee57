// GlobSet: whether a key matches one of some globs, as Python's fnmatchcase.

#ifndef WARMSTART_SERVER_PLANNER_GLOB_H_
#define WARMSTART_SERVER_PLANNER_GLOB_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace re2 {
class RE2;
}

namespace warmstart::planner {

// "*" is any run of characters, dots included; "?" is one character; "[ab]",
// "[a-c]" and "[!ab]" are sets. Matching takes time linear in the key.
class GlobSet {
 public:
  // INVALID_ARGUMENT for a glob that cannot be used, with `field` and its
  // index.
  static absl::StatusOr<GlobSet> Create(absl::string_view field,
                                        absl::Span<const std::string> globs);
  ~GlobSet();
  GlobSet(GlobSet&&) noexcept;
  GlobSet& operator=(GlobSet&&) noexcept;

  bool empty() const { return globs_.empty(); }
  bool Matches(absl::string_view key) const;

 private:
  GlobSet();

  std::vector<std::unique_ptr<re2::RE2>> globs_;
};

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_GLOB_H_
