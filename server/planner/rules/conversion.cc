#include "server/planner/rules/conversion.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/planner/rules/collisions.h"

namespace warmstart::planner {
namespace {

constexpr size_t kMaxTemplates = 256;
// What one rule may make of a source; a hostile shape could ask for any number.
constexpr size_t kMaxMade = size_t{1} << 20;

const ConvertRule& KindOf(const KeyRule& rule) {
  return std::get<ConvertRule>(rule.kind);
}

std::set<std::string> NamesOf(const KeyTemplate& key_template) {
  std::set<std::string> names(key_template.number_names().begin(),
                              key_template.number_names().end());
  names.insert(key_template.text_names().begin(),
               key_template.text_names().end());
  return names;
}

absl::Status CheckList(int index, absl::string_view field,
                       const std::vector<std::string>& texts) {
  if (texts.empty()) return InvalidRule(index, field, "must not be empty");
  if (texts.size() > kMaxTemplates) {
    return InvalidRule(index, field,
                       absl::StrCat("are more than ", kMaxTemplates));
  }
  if (std::set<std::string>(texts.begin(), texts.end()).size() !=
      texts.size()) {
    return InvalidRule(index, field, "has a template twice");
  }
  return absl::OkStatus();
}

absl::StatusOr<KeyTemplate> ParsePlain(int index, const std::string& field,
                                       const std::string& text) {
  ASSIGN_OR_RETURN(KeyTemplate parsed, ParseRuleTemplate(index, field, text));
  if (parsed.IsPlain()) return parsed;
  return InvalidRule(index, field,
                     "holds an expression; they belong into a template rule");
}

// Of the names of `templates`, the one that `others` does not have; "" where
// there is none. All templates must have the same names.
absl::StatusOr<std::string> OwnHole(
    int index, absl::string_view field,
    const std::vector<const KeyTemplate*>& templates,
    const std::set<std::string>& others) {
  std::string own;
  const std::set<std::string> names = NamesOf(*templates[0]);
  for (size_t i = 0; i < templates.size(); ++i) {
    if (NamesOf(*templates[i]) == names) continue;
    return InvalidRule(index, absl::StrCat(field, "[", i, "]"),
                       "has other holes than the first");
  }
  for (const std::string& name : names) {
    if (others.contains(name)) continue;
    const auto& numbers = templates[0]->number_names();
    if (std::find(numbers.begin(), numbers.end(), name) == numbers.end()) {
      return InvalidRule(index, field,
                         absl::StrCat("the text {", name,
                                      "*} is on one side alone; only a number "
                                      "can be"));
    }
    if (!own.empty()) {
      return InvalidRule(index, field,
                         absl::StrCat("both {", own, "} and {", name,
                                      "} are on one side alone"));
    }
    own = name;
  }
  return own;
}

std::string GroupName(const Holes& holes) {
  std::string name;
  for (const auto& [hole, value] : holes) {
    if (const auto* number = std::get_if<int64_t>(&value)) {
      absl::StrAppend(&name, *number, ";");
    } else {
      // With its length, no two groups have one name.
      const std::string& text = std::get<std::string>(value);
      absl::StrAppend(&name, text.size(), ":", text);
    }
  }
  return name;
}

}  // namespace

absl::Status Conversion::AddTemplates() {
  const ConvertRule& rule = KindOf(*rule_);
  const int index = scope_.index();
  RETURN_IF_ERROR(CheckList(index, "convert.from", rule.from));
  RETURN_IF_ERROR(CheckList(index, "convert.to", rule.to));
  for (size_t i = 0; i < rule.from.size(); ++i) {
    ASSIGN_OR_RETURN(
        KeyTemplate parsed,
        ParsePlain(index, absl::StrCat("convert.from[", i, "]"), rule.from[i]));
    ASSIGN_OR_RETURN(TemplateMatcher matcher,
                     TemplateMatcher::Create(std::move(parsed)));
    from_.push_back(std::move(matcher));
  }
  for (size_t i = 0; i < rule.to.size(); ++i) {
    ASSIGN_OR_RETURN(
        KeyTemplate parsed,
        ParsePlain(index, absl::StrCat("convert.to[", i, "]"), rule.to[i]));
    to_.push_back(std::move(parsed));
  }
  return absl::OkStatus();
}

absl::Status Conversion::AnalyzeHoles() {
  std::vector<const KeyTemplate*> from;
  std::vector<const KeyTemplate*> to;
  from.reserve(from_.size());
  to.reserve(to_.size());
  for (const TemplateMatcher& matcher : from_) {
    from.push_back(&matcher.key_template());
  }
  for (const KeyTemplate& key_template : to_) to.push_back(&key_template);
  ASSIGN_OR_RETURN(from_hole_, OwnHole(scope_.index(), "convert.from", from,
                                       NamesOf(*to[0])));
  ASSIGN_OR_RETURN(
      to_hole_, OwnHole(scope_.index(), "convert.to", to, NamesOf(*from[0])));
  for (const std::string& name : to[0]->number_names()) {
    const auto& texts = from[0]->text_names();
    if (std::find(texts.begin(), texts.end(), name) == texts.end()) continue;
    return InvalidRule(scope_.index(), "convert.to",
                       absl::StrCat("{", name, "} is a text of `from`"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Conversion> Conversion::Create(int index, const KeyRule& rule) {
  ASSIGN_OR_RETURN(RuleScope scope, RuleScope::Create(index, rule));
  Conversion conversion(rule, std::move(scope));
  RETURN_IF_ERROR(conversion.AddTemplates());
  RETURN_IF_ERROR(conversion.AnalyzeHoles());
  ASSIGN_OR_RETURN(conversion.steps_,
                   ConvertSteps::Create(index, KindOf(rule),
                                        {!conversion.from_hole_.empty(),
                                         !conversion.to_hole_.empty()}));
  return conversion;
}

std::string Conversion::KeyOf(const KeyTemplate& key_template,
                              const Holes& shared, const std::string& own_hole,
                              int64_t own) {
  Holes holes = shared;
  if (!own_hole.empty()) holes.insert_or_assign(own_hole, own);
  // Plain, with every name there: it can be rendered.
  return *key_template.Render(holes).value();
}

absl::StatusOr<std::vector<Conversion::Group>> Conversion::CollectGroups(
    const PlanSource& source, const TensorMap& tensors,
    std::vector<size_t>* shadowed) const {
  std::vector<Group> groups;
  absl::flat_hash_map<std::string, size_t> group_of;
  for (size_t i = 0; i < tensors.size(); ++i) {
    for (size_t t = 0; t < from_.size(); ++t) {
      std::optional<Holes> holes = from_[t].Match(tensors[i].key);
      if (!holes.has_value() || !scope_.HasKey(tensors[i].key)) continue;
      int64_t own = 0;
      if (!from_hole_.empty()) {
        own = std::get<int64_t>(holes->at(from_hole_));
        holes->erase(from_hole_);
      }
      const auto [found, is_new] =
          group_of.try_emplace(GroupName(*holes), groups.size());
      if (is_new) {
        groups.push_back({*std::move(holes), {}, i});
        groups.back().members.resize(from_.size());
      }
      const auto [member, is_first] =
          groups[found->second].members[t].emplace(own, i);
      if (!is_first) {
        ASSIGN_OR_RETURN(
            const bool wins,
            WinsCollision(source, tensors[member->second], tensors[i]));
        shadowed->push_back(wins ? member->second : i);
        if (wins) member->second = i;
      }
      break;  // the first template that it looks like
    }
  }
  return groups;
}

std::optional<std::string> Conversion::MissingKey(const Group& group) const {
  int64_t first = std::numeric_limits<int64_t>::max();
  int64_t last = 0;
  for (const auto& members : group.members) {
    if (members.empty()) continue;
    first = std::min(first, members.begin()->first);
    last = std::max(last, members.rbegin()->first);
  }
  for (size_t t = 0; t < from_.size(); ++t) {
    const std::map<int64_t, size_t>& members = group.members[t];
    int64_t next = first;
    for (auto member = members.begin();
         member != members.end() && member->first == next && next < last;
         ++member) {
      ++next;
    }
    if (next < last || !members.contains(last)) {
      return KeyOf(from_[t].key_template(), group.holes, from_hole_, next);
    }
  }
  return std::nullopt;
}

absl::StatusOr<TensorMap> Conversion::Convert(const Group& group,
                                              const Architecture& target,
                                              const TargetIndex& index,
                                              const TensorMap& tensors) const {
  NamedTensor like;  // with the rules of all
  std::set<int> rules;
  TensorLists lists;
  for (const auto& members : group.members) {
    std::vector<DerivationPtr>& list = lists.emplace_back();
    for (const auto& [number, position] : members) {
      const NamedTensor& tensor = tensors[position];
      list.push_back(tensor.value);
      if (tensor.rules.empty()) continue;
      like.priority = rules.empty() ? tensor.priority
                                    : std::max(like.priority, tensor.priority);
      rules.insert(tensor.rules.begin(), tensor.rules.end());
    }
  }
  like.rules.assign(rules.begin(), rules.end());
  scope_.Credit(&like);

  const auto target_shape = [&](size_t to, int64_t own) -> const Shape* {
    const auto found = index.find(KeyOf(to_[to], group.holes, to_hole_, own));
    return found == index.end() ? nullptr
                                : &target.entries[found->second].spec.shape();
  };
  ASSIGN_OR_RETURN(const TensorLists made,
                   steps_.Run(std::move(lists), target_shape));
  TensorMap converted;
  for (size_t t = 0; t < made.size(); ++t) {
    for (size_t i = 0; i < made[t].size(); ++i) {
      NamedTensor& tensor = converted.emplace_back(like);
      tensor.key =
          KeyOf(to_[t], group.holes, to_hole_, static_cast<int64_t>(i));
      tensor.value = made[t][i];
      RETURN_IF_ERROR(
          CheckMadeKey(*rule_, tensors[group.first].key, tensor.key));
    }
  }
  return converted;
}

absl::Status Conversion::Apply(const PlanSource& source,
                               const Architecture& target,
                               const TargetIndex& index, TensorMap* tensors,
                               std::vector<DerivationPtr>* shadowed) const {
  std::vector<size_t> lost;
  ASSIGN_OR_RETURN(const std::vector<Group> groups,
                   CollectGroups(source, *tensors, &lost));
  if (groups.empty()) return absl::OkStatus();
  std::vector<bool> consumed(tensors->size());
  for (size_t position : lost) {
    consumed[position] = true;
    shadowed->push_back((*tensors)[position].value);
  }
  absl::flat_hash_map<size_t, TensorMap> made_at;
  size_t made_in_all = 0;
  for (const Group& group : groups) {
    const std::string& key = (*tensors)[group.first].key;
    const std::optional<std::string> missing = MissingKey(group);
    if (missing.has_value()) {
      return RuleFailed(*rule_, key,
                        absl::StrCat("there is no '", *missing, "' beside it"));
    }
    absl::StatusOr<TensorMap> made = Convert(group, target, index, *tensors);
    if (!made.ok()) return RuleFailed(*rule_, key, made.status().message());
    made_in_all += made->size();
    if (made_in_all > kMaxMade) {
      return RuleFailed(*rule_, key, "it makes too many tensors");
    }
    made_at.emplace(group.first, *std::move(made));
    for (const auto& members : group.members) {
      for (const auto& [number, position] : members) consumed[position] = true;
    }
  }
  TensorMap result;
  for (size_t i = 0; i < tensors->size(); ++i) {
    const auto made = made_at.find(i);
    if (made != made_at.end()) {
      std::move(made->second.begin(), made->second.end(),
                std::back_inserter(result));
    }
    if (!consumed[i]) result.push_back(std::move((*tensors)[i]));
  }
  *tensors = std::move(result);
  return absl::OkStatus();
}

}  // namespace warmstart::planner
