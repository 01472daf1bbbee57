#include "server/planner/rules/key_mapper.h"

#include <re2/re2.h>
#include <re2/set.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"

namespace warmstart::planner {
namespace {

// For the automaton of all patterns. Where it does not suffice, each pattern is
// tried by itself.
constexpr int64_t kAutomatonBytes = int64_t{64} << 20;

absl::StatusOr<std::unique_ptr<re2::RE2>> CompileRegex(int index,
                                                       const RegexRule& rule) {
  auto regex = std::make_unique<re2::RE2>(rule.pattern, re2::RE2::Quiet);
  if (!regex->ok()) {
    return InvalidRule(
        index, "regex.pattern",
        absl::StrCat("'", rule.pattern,
                     "' is not a regular expression (RE2): ", regex->error()));
  }
  std::string problem;
  if (!regex->CheckRewriteString(rule.replacement, &problem)) {
    return InvalidRule(
        index, "regex.replacement",
        absl::StrCat("'", rule.replacement, "' cannot be used: ", problem));
  }
  return regex;
}

struct CheckTexts {
  int index;

  absl::Status operator()(const RenameRule& rule) const {
    RETURN_IF_ERROR(CheckRuleText(index, "rename.from", rule.from));
    return CheckRuleText(index, "rename.to", rule.to);
  }
  absl::Status operator()(const RegexRule& rule) const {
    RETURN_IF_ERROR(CheckRuleText(index, "regex.pattern", rule.pattern));
    return CheckRuleText(index, "regex.replacement", rule.replacement,
                         /*may_be_empty=*/true);
  }
  absl::Status operator()(const StripPrefixRule& rule) const {
    return CheckRuleText(index, "strip_prefix", rule.prefix);
  }
  absl::Status operator()(const AddPrefixRule& rule) const {
    return CheckRuleText(index, "add_prefix", rule.prefix);
  }
  absl::Status operator()(const TemplateRule&) const { return {}; }
  absl::Status operator()(const ConvertRule&) const { return {}; }
};

// Applies a rule to `key`; true when it applied.
struct Apply {
  const re2::RE2* regex;
  std::string* key;

  bool operator()(const RenameRule& rule) const {
    if (*key != rule.from) return false;
    *key = rule.to;
    return true;
  }
  bool operator()(const RegexRule& rule) const {
    return re2::RE2::GlobalReplace(key, *regex, rule.replacement) > 0;
  }
  bool operator()(const StripPrefixRule& rule) const {
    if (!absl::StartsWith(*key, rule.prefix)) return false;
    key->erase(0, rule.prefix.size());
    return true;
  }
  bool operator()(const AddPrefixRule& rule) const {
    key->insert(0, rule.prefix);
    return true;
  }
  bool operator()(const TemplateRule&) const { return false; }
  bool operator()(const ConvertRule&) const { return false; }
};

}  // namespace

struct KeyMapper::Rule {
  const KeyRule* rule;
  RuleScope scope;
  std::unique_ptr<re2::RE2> regex;  // null where it is none
};

struct KeyMapper::Patterns {
  re2::RE2::Set set;
  bool usable = true;

  static re2::RE2::Options Options() {
    re2::RE2::Options options(re2::RE2::Quiet);
    options.set_max_mem(kAutomatonBytes);
    return options;
  }
  Patterns() : set(Options(), re2::RE2::UNANCHORED) {}
};

KeyMapper::KeyMapper() : patterns_(std::make_unique<Patterns>()) {}
KeyMapper::~KeyMapper() = default;
KeyMapper::KeyMapper(KeyMapper&&) noexcept = default;
KeyMapper& KeyMapper::operator=(KeyMapper&&) noexcept = default;

bool KeyMapper::Takes(const KeyRule& rule) {
  return !std::holds_alternative<TemplateRule>(rule.kind) &&
         !std::holds_alternative<ConvertRule>(rule.kind);
}

void KeyMapper::AddPattern(absl::string_view pattern) {
  patterned_.push_back(static_cast<int>(rules_.size()));
  const re2::StringPiece piece(pattern.data(), pattern.size());
  if (patterns_->set.Add(piece, nullptr) < 0) patterns_->usable = false;
}

absl::Status KeyMapper::Add(int index, const KeyRule& rule) {
  RETURN_IF_ERROR(std::visit(CheckTexts{index}, rule.kind));
  ASSIGN_OR_RETURN(RuleScope scope, RuleScope::Create(index, rule));
  std::unique_ptr<re2::RE2> regex;
  if (const auto* rename = std::get_if<RenameRule>(&rule.kind)) {
    renames_[rename->from].push_back(static_cast<int>(rules_.size()));
  } else if (const auto* replace = std::get_if<RegexRule>(&rule.kind)) {
    ASSIGN_OR_RETURN(regex, CompileRegex(index, *replace));
    AddPattern(replace->pattern);
  } else if (const auto* strip = std::get_if<StripPrefixRule>(&rule.kind)) {
    AddPattern(absl::StrCat("\\A", re2::RE2::QuoteMeta(strip->prefix)));
  } else {
    always_.push_back(static_cast<int>(rules_.size()));
  }
  rules_.push_back({&rule, std::move(scope), std::move(regex)});
  return absl::OkStatus();
}

absl::StatusOr<KeyMapper> KeyMapper::Create(absl::Span<const KeyRule> rules,
                                            size_t first, size_t last) {
  KeyMapper mapper;
  for (size_t i = first; i < last; ++i) {
    RETURN_IF_ERROR(mapper.Add(static_cast<int>(i), rules[i]));
  }
  Patterns& patterns = *mapper.patterns_;
  patterns.usable = patterns.usable && patterns.set.Compile();
  return mapper;
}

// The renames and patterns that match `key`, in the order of the rules.
void KeyMapper::FindMatches(absl::string_view key,
                            std::vector<int>* matches) const {
  matches->clear();
  if (!patterned_.empty()) {
    re2::RE2::Set::ErrorInfo error{re2::RE2::Set::kNoError};
    const bool usable = patterns_->usable;
    if (usable && patterns_->set.Match(re2::StringPiece(key.data(), key.size()),
                                       matches, &error)) {
      for (int& match : *matches) match = patterned_[match];
    } else if (!usable || error.kind != re2::RE2::Set::kNoError) {
      *matches = patterned_;  // those that do not match will not apply
    }
  }
  const auto renames = renames_.find(key);
  if (renames != renames_.end()) {
    matches->insert(matches->end(), renames->second.begin(),
                    renames->second.end());
  }
  std::sort(matches->begin(), matches->end());
}

// Applies the first rule from rules_[next] on that does apply, of those that
// match the key and those that always do, and returns its position.
std::optional<int> KeyMapper::ApplyNext(int32_t source, int next,
                                        const std::vector<int>& matches,
                                        std::string* key) const {
  auto match = std::lower_bound(matches.begin(), matches.end(), next);
  auto always = std::lower_bound(always_.begin(), always_.end(), next);
  while (match != matches.end() || always != always_.end()) {
    const bool is_match =
        always == always_.end() || (match != matches.end() && *match < *always);
    const int position = is_match ? *match++ : *always++;
    const Rule& rule = rules_[position];
    if (rule.scope.HasSource(source) && rule.scope.HasKey(*key) &&
        std::visit(Apply{rule.regex.get(), key}, rule.rule->kind)) {
      return position;
    }
  }
  return std::nullopt;
}

absl::Status KeyMapper::Map(int32_t source, NamedTensor* tensor) const {
  std::vector<int> matches;
  FindMatches(tensor->key, &matches);
  if (matches.empty() && always_.empty()) return absl::OkStatus();
  const std::string original = tensor->key;
  int next = 0;
  while (const std::optional<int> applied =
             ApplyNext(source, next, matches, &tensor->key)) {
    const Rule& rule = rules_[*applied];
    RETURN_IF_ERROR(CheckMadeKey(*rule.rule, original, tensor->key));
    rule.scope.Credit(tensor);
    next = *applied + 1;
    FindMatches(tensor->key, &matches);
  }
  return absl::OkStatus();
}

}  // namespace warmstart::planner
