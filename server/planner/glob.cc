#include "server/planner/glob.h"

#include <re2/re2.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"

namespace warmstart::planner {
namespace {

// The regular expression of the set that starts at glob[*at] == '[', and *at
// moved behind it. As in fnmatch, a '[' that nothing closes stands for itself,
// and so does a ']' that comes first.
std::string TranslateSet(absl::string_view glob, size_t* at) {
  size_t first = *at + 1;
  const bool negated = first < glob.size() && glob[first] == '!';
  if (negated) ++first;
  const size_t close =
      first < glob.size() ? glob.find(']', first + 1) : glob.npos;
  if (close == glob.npos) {
    ++*at;
    return "\\[";
  }
  std::string set = negated ? "[^" : "[";
  for (char c : glob.substr(first, close - first)) {
    if (c == '\\' || c == '[' || c == ']' || c == '^' || c == '&') {
      set.push_back('\\');
    }
    set.push_back(c);
  }
  *at = close + 1;
  return set + "]";
}

std::string Translate(absl::string_view glob) {
  std::string regex = "(?s)\\A";
  for (size_t i = 0; i < glob.size();) {
    if (glob[i] == '*') {
      while (i < glob.size() && glob[i] == '*') ++i;
      regex += ".*";
    } else if (glob[i] == '?') {
      ++i;
      regex += ".";
    } else if (glob[i] == '[') {
      regex += TranslateSet(glob, &i);
    } else {
      const size_t end = std::min(glob.find_first_of("*?[", i), glob.size());
      regex += re2::RE2::QuoteMeta(re2::StringPiece(glob.data() + i, end - i));
      i = end;
    }
  }
  return regex + "\\z";
}

}  // namespace

GlobSet::GlobSet() = default;
GlobSet::~GlobSet() = default;
GlobSet::GlobSet(GlobSet&&) noexcept = default;
GlobSet& GlobSet::operator=(GlobSet&&) noexcept = default;

absl::StatusOr<GlobSet> GlobSet::Create(absl::string_view field,
                                        absl::Span<const std::string> globs) {
  GlobSet set;
  for (size_t i = 0; i < globs.size(); ++i) {
    auto regex =
        std::make_unique<re2::RE2>(Translate(globs[i]), re2::RE2::Quiet);
    if (!regex->ok()) {
      return InvalidField(
          absl::StrCat(field, "[", i, "]"),
          absl::StrCat("'", globs[i], "' is not a glob: ", regex->error()));
    }
    set.globs_.push_back(std::move(regex));
  }
  return set;
}

bool GlobSet::Matches(absl::string_view key) const {
  const re2::StringPiece text(key.data(), key.size());
  for (const auto& glob : globs_) {
    if (re2::RE2::PartialMatch(text, *glob)) return true;
  }
  return false;
}

}  // namespace warmstart::planner
