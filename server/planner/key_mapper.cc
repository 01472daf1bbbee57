#include "server/planner/key_mapper.h"

#include <re2/re2.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/model/utf8.h"

namespace warmstart::planner {
namespace {

// With keys of at most kMaxKeyBytes, what one replacement can make is bounded.
constexpr size_t kMaxTextBytes = 1024;

std::string Field(size_t index, absl::string_view part) {
  return absl::StrCat("key_rules[", index, "].", part);
}

absl::Status InvalidRule(size_t index, absl::string_view part,
                         absl::string_view problem) {
  const std::string field = Field(index, part);
  return WithErrorInfo(
      absl::InvalidArgumentError(absl::StrCat(field, ": ", problem)),
      reason::kInvalidRule, {{"field", field}});
}

absl::Status CheckText(size_t index, absl::string_view part,
                       absl::string_view text, bool may_be_empty) {
  if (text.empty() && !may_be_empty) {
    return InvalidRule(index, part, "must not be empty");
  }
  if (text.size() > kMaxTextBytes) {
    return InvalidRule(
        index, part, absl::StrCat("is longer than ", kMaxTextBytes, " bytes"));
  }
  if (!IsUtf8(text)) return InvalidRule(index, part, "is not UTF-8");
  return absl::OkStatus();
}

// Checks a rule and, for a RegexRule, compiles it.
struct Compile {
  using Result = absl::StatusOr<std::unique_ptr<re2::RE2>>;
  size_t index;

  Result operator()(const RenameRule& rule) const {
    absl::Status status = CheckText(index, "rename.from", rule.from, false);
    if (status.ok()) {
      status = CheckText(index, "rename.to", rule.to, false);
    }
    return status.ok() ? Result(nullptr) : status;
  }
  Result operator()(const RegexRule& rule) const {
    absl::Status status =
        CheckText(index, "regex.pattern", rule.pattern, false);
    if (status.ok()) {
      status = CheckText(index, "regex.replacement", rule.replacement, true);
    }
    if (!status.ok()) return status;
    auto regex = std::make_unique<re2::RE2>(rule.pattern, re2::RE2::Quiet);
    if (!regex->ok()) {
      return InvalidRule(index, "regex.pattern",
                         absl::StrCat("'", rule.pattern,
                                      "' is not a regular expression (RE2): ",
                                      regex->error()));
    }
    std::string problem;
    if (!regex->CheckRewriteString(rule.replacement, &problem)) {
      return InvalidRule(
          index, "regex.replacement",
          absl::StrCat("'", rule.replacement, "' cannot be used: ", problem));
    }
    return regex;
  }
  Result operator()(const StripPrefixRule& rule) const {
    absl::Status status = CheckText(index, "strip_prefix", rule.prefix, false);
    return status.ok() ? Result(nullptr) : status;
  }
  Result operator()(const AddPrefixRule& rule) const {
    absl::Status status = CheckText(index, "add_prefix", rule.prefix, false);
    return status.ok() ? Result(nullptr) : status;
  }
  Result operator()(const TemplateRule&) const { return nullptr; }
  Result operator()(const ConvertRule&) const { return nullptr; }
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

absl::Status CheckMapped(absl::string_view original, absl::string_view key,
                         const KeyRule& rule) {
  absl::string_view problem;
  if (key.empty()) {
    problem = "leaves nothing of";
  } else if (key.size() > KeyMapper::kMaxKeyBytes) {
    problem = "makes too long a key of";
  } else if (!IsUtf8(key)) {
    problem = "makes text that is not UTF-8 of";
  } else {
    return absl::OkStatus();
  }
  return WithErrorInfo(absl::InvalidArgumentError(
                           absl::StrCat("the rule ", KeyRuleToString(rule), " ",
                                        problem, " '", original, "'")),
                       reason::kInvalidRule, {{"key", std::string(original)}});
}

}  // namespace

KeyMapper::KeyMapper() = default;
KeyMapper::~KeyMapper() = default;
KeyMapper::KeyMapper(KeyMapper&&) noexcept = default;
KeyMapper& KeyMapper::operator=(KeyMapper&&) noexcept = default;

absl::StatusOr<KeyMapper> KeyMapper::Create(absl::Span<const KeyRule> rules) {
  KeyMapper mapper;
  mapper.rules_ = rules;
  for (size_t i = 0; i < rules.size(); ++i) {
    auto regex = std::visit(Compile{i}, rules[i].kind);
    if (!regex.ok()) return std::move(regex).status();
    mapper.regexes_.push_back(*std::move(regex));
  }
  return mapper;
}

absl::StatusOr<MappedKey> KeyMapper::Map(absl::string_view key) const {
  MappedKey mapped{std::string(key), {}};
  for (size_t i = 0; i < rules_.size(); ++i) {
    if (!std::visit(Apply{regexes_[i].get(), &mapped.key}, rules_[i].kind))
      continue;
    mapped.rules.push_back(static_cast<int>(i));
    absl::Status status = CheckMapped(key, mapped.key, rules_[i]);
    if (!status.ok()) return status;
  }
  return mapped;
}

}  // namespace warmstart::planner
