#include "server/planner/rules/template_rules.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"

namespace warmstart::planner {
namespace {

constexpr size_t kMaxRanges = 64;

absl::Status CheckRanges(int index, const TemplateRule& rule,
                         const KeyTemplate& to) {
  if (rule.ranges.size() > kMaxRanges) {
    return InvalidRule(index, "template.ranges",
                       absl::StrCat("are more than ", kMaxRanges));
  }
  const std::vector<std::string>& names = to.number_names();
  for (size_t i = 0; i < rule.ranges.size(); ++i) {
    const TemplateRule::Range& range = rule.ranges[i];
    const std::string field = absl::StrCat("template.ranges[", i, "]");
    if (std::find(names.begin(), names.end(), range.hole) == names.end()) {
      return InvalidRule(
          index, absl::StrCat(field, ".hole"),
          absl::StrCat("'", range.hole, "' is no number of `to`"));
    }
    if (range.first > range.last) {
      return InvalidRule(
          index, field,
          absl::StrCat("is empty: ", range.first, " is above ", range.last));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTemplates(int index, const KeyTemplate& to,
                            const KeyTemplate& from) {
  if (!to.IsPlain()) {
    return InvalidRule(index, "template.to",
                       "holds an expression; they belong into `from`");
  }
  for (const auto* names : {&from.number_names(), &from.text_names()}) {
    const bool numbers = names == &from.number_names();
    const auto& known = numbers ? to.number_names() : to.text_names();
    for (const std::string& name : *names) {
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        return InvalidRule(
            index, "template.from",
            absl::StrCat("'", name, "' is no ", numbers ? "number" : "text",
                         " of `to`"));
      }
    }
  }
  return absl::OkStatus();
}

bool InRanges(const TemplateRule& rule, const Holes& holes) {
  return std::all_of(rule.ranges.begin(), rule.ranges.end(),
                     [&](const TemplateRule::Range& range) {
                       const auto number =
                           std::get<int64_t>(holes.at(range.hole));
                       return range.first <= number && number <= range.last;
                     });
}

bool HasAllNames(const KeyTemplate& of, const KeyTemplate& in) {
  const auto has = [&](const std::string& name) { return in.HasName(name); };
  return std::all_of(of.number_names().begin(), of.number_names().end(), has) &&
         std::all_of(of.text_names().begin(), of.text_names().end(), has);
}

}  // namespace

absl::StatusOr<TemplateRules::Rule> TemplateRules::Compile(
    int index, const KeyRule& rule) {
  const auto& kind = std::get<TemplateRule>(rule.kind);
  ASSIGN_OR_RETURN(KeyTemplate to,
                   ParseRuleTemplate(index, "template.to", kind.to));
  ASSIGN_OR_RETURN(KeyTemplate from,
                   ParseRuleTemplate(index, "template.from", kind.from));
  RETURN_IF_ERROR(CheckTemplates(index, to, from));
  RETURN_IF_ERROR(CheckRanges(index, kind, to));
  ASSIGN_OR_RETURN(RuleScope scope, RuleScope::Create(index, rule));
  const bool has_all_names = HasAllNames(to, from);
  ASSIGN_OR_RETURN(TemplateMatcher to_matcher,
                   TemplateMatcher::Create(std::move(to)));
  ASSIGN_OR_RETURN(TemplateMatcher from_matcher,
                   TemplateMatcher::Create(std::move(from)));
  const bool follows = has_all_names && from_matcher.IsSolvable();
  return Rule{&rule,
              &kind,
              std::move(scope),
              std::move(to_matcher),
              std::move(from_matcher),
              follows};
}

absl::StatusOr<TemplateRules> TemplateRules::Create(
    absl::Span<const KeyRule> rules, size_t first, size_t last) {
  TemplateRules compiled;
  for (size_t i = first; i < last; ++i) {
    ASSIGN_OR_RETURN(Rule rule, Compile(static_cast<int>(i), rules[i]));
    compiled.rules_.push_back(std::move(rule));
  }
  return compiled;
}

bool TemplateRules::HasSource(int32_t source) const {
  return std::any_of(rules_.begin(), rules_.end(), [&](const Rule& rule) {
    return rule.scope.HasSource(source);
  });
}

absl::StatusOr<TemplateRules::Wishes> TemplateRules::CollectWishes(
    int32_t source, const Architecture& target) const {
  Wishes wishes;
  for (const Rule& rule : rules_) {
    if (rule.follows || !rule.scope.HasSource(source)) continue;
    for (const ArchitectureEntry& entry : target.entries) {
      const std::optional<Holes> holes = rule.to.Match(entry.key);
      if (!holes.has_value() || !InRanges(*rule.kind, *holes)) continue;
      absl::StatusOr<std::optional<std::string>> key =
          rule.from.key_template().Render(*holes);
      if (!key.ok()) {
        return RuleFailed(*rule.rule, entry.key, key.status().message());
      }
      if (key->has_value()) wishes[**key].emplace_back(&rule, entry.key);
    }
  }
  return wishes;
}

bool TemplateRules::Sees(const Rule& rule, int32_t source,
                         absl::string_view key) {
  return rule.scope.HasSource(source) && rule.from.LooksLike(key) &&
         rule.scope.HasKey(key);
}

absl::Status TemplateRules::Replace(int32_t source, const Wishes& wishes,
                                    const NamedTensor& tensor,
                                    TensorMap* made) const {
  const auto take = [&](const Rule& rule, std::string key) {
    made->push_back(tensor);
    made->back().key = std::move(key);
    rule.scope.Credit(&made->back());
    return CheckMadeKey(*rule.rule, tensor.key, made->back().key);
  };
  const auto wished = wishes.find(tensor.key);
  for (const Rule& rule : rules_) {
    if (!Sees(rule, source, tensor.key)) continue;
    if (rule.follows) {
      const std::optional<Holes> holes = rule.from.Match(tensor.key);
      if (!holes.has_value() || !InRanges(*rule.kind, *holes)) continue;
      ASSIGN_OR_RETURN(std::optional<std::string> key,
                       rule.to.key_template().Render(*holes));
      if (key.has_value()) RETURN_IF_ERROR(take(rule, *std::move(key)));
    } else if (wished != wishes.end()) {
      for (const auto& [by, key] : wished->second) {
        if (by == &rule) RETURN_IF_ERROR(take(rule, key));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status TemplateRules::Apply(int32_t source, const Architecture& target,
                                  TensorMap* tensors) const {
  const auto is_seen = [&](const NamedTensor& tensor) {
    return std::any_of(rules_.begin(), rules_.end(), [&](const Rule& rule) {
      return Sees(rule, source, tensor.key);
    });
  };
  const auto first = std::find_if(tensors->begin(), tensors->end(), is_seen);
  if (first == tensors->end()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Wishes wishes, CollectWishes(source, target));
  TensorMap made(std::make_move_iterator(tensors->begin()),
                 std::make_move_iterator(first));
  made.reserve(tensors->size());
  for (auto tensor = first; tensor != tensors->end(); ++tensor) {
    if (is_seen(*tensor)) {
      RETURN_IF_ERROR(Replace(source, wishes, *tensor, &made));
    } else {
      made.push_back(std::move(*tensor));
    }
  }
  *tensors = std::move(made);
  return absl::OkStatus();
}

}  // namespace warmstart::planner
