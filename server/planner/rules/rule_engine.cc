#include "server/planner/rules/rule_engine.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/planner/rules/collisions.h"
#include "server/planner/rules/rule_scope.h"

namespace warmstart::planner {
namespace {

bool IsTemplate(const KeyRule& rule) {
  return std::holds_alternative<TemplateRule>(rule.kind);
}

absl::Status CheckSource(int index, const KeyRule& rule, size_t sources) {
  if (!rule.source.has_value() ||
      (*rule.source >= 0 && static_cast<size_t>(*rule.source) < sources)) {
    return absl::OkStatus();
  }
  return InvalidRule(index, "source",
                     absl::StrCat("there is no source ", *rule.source));
}

using Entries = absl::flat_hash_set<std::pair<int32_t, int64_t>>;

// Appends the tensors that `value` is made of and that are not `known`.
void AddUnknown(const Derivation& value, Entries* known,
                std::vector<SourceOp>* unknown) {
  for (const SourceOp& source : SourcesOf(value)) {
    if (known->emplace(source.source, source.entry).second) {
      unknown->push_back(source);
    }
  }
}

}  // namespace

absl::StatusOr<RuleEngine> RuleEngine::Create(absl::Span<const KeyRule> rules,
                                              size_t sources, size_t first) {
  for (size_t i = first; i < rules.size(); ++i) {
    RETURN_IF_ERROR(CheckSource(static_cast<int>(i), rules[i], sources));
  }
  RuleEngine engine;
  engine.rules_ = rules;
  // Up to where the rules from `first` on are of one stage.
  const auto end_of_run = [&](auto belongs) {
    return static_cast<size_t>(
        std::find_if_not(rules.begin() + first, rules.end(), belongs) -
        rules.begin());
  };
  while (first < rules.size()) {
    size_t last = first + 1;
    if (KeyMapper::Takes(rules[first])) {
      last = end_of_run(KeyMapper::Takes);
      ASSIGN_OR_RETURN(KeyMapper mapper, KeyMapper::Create(rules, first, last));
      engine.stages_.emplace_back(std::move(mapper));
    } else if (IsTemplate(rules[first])) {
      last = end_of_run(IsTemplate);
      ASSIGN_OR_RETURN(TemplateRules templates,
                       TemplateRules::Create(rules, first, last));
      engine.stages_.emplace_back(std::move(templates));
    } else {
      ASSIGN_OR_RETURN(
          Conversion conversion,
          Conversion::Create(static_cast<int>(first), rules[first]));
      engine.stages_.emplace_back(std::move(conversion));
    }
    first = last;
  }
  return engine;
}

void RuleEngine::DropUntaken(const TargetIndex& index,
                             TensorMap* tensors) const {
  if (std::none_of(rules_.begin(), rules_.end(), IsTemplate)) return;
  const auto is_untaken = [&](const NamedTensor& tensor) {
    return !index.contains(tensor.key) &&
           std::any_of(tensor.rules.begin(), tensor.rules.end(),
                       [&](int rule) { return IsTemplate(rules_[rule]); });
  };
  tensors->erase(std::remove_if(tensors->begin(), tensors->end(), is_untaken),
                 tensors->end());
}

absl::StatusOr<RuledTensors> RuleEngine::Apply(int32_t number,
                                               const PlanSource& source,
                                               const Architecture& target,
                                               const TargetIndex& index,
                                               TensorMap tensors) const {
  RuledTensors ruled;
  std::vector<DerivationPtr> all;
  all.reserve(tensors.size());
  for (const NamedTensor& tensor : tensors) all.push_back(tensor.value);
  std::vector<DerivationPtr> shadowed;
  for (const Stage& stage : stages_) {
    if (const auto* mapper = std::get_if<KeyMapper>(&stage)) {
      for (NamedTensor& tensor : tensors) {
        RETURN_IF_ERROR(mapper->Map(number, &tensor));
      }
    } else if (const auto* templates = std::get_if<TemplateRules>(&stage)) {
      if (!templates->HasSource(number)) continue;
      RETURN_IF_ERROR(templates->Apply(number, target, &tensors));
    } else if (const auto& conversion = std::get<Conversion>(stage);
               conversion.HasSource(number)) {
      RETURN_IF_ERROR(
          conversion.Apply(source, target, index, &tensors, &shadowed));
    }
  }
  DropUntaken(index, &tensors);
  RETURN_IF_ERROR(ResolveCollisions(source, &tensors, &shadowed));

  Entries known;
  std::vector<SourceOp> kept;
  for (const NamedTensor& tensor : tensors) {
    AddUnknown(*tensor.value, &known, &kept);
  }
  for (const DerivationPtr& value : shadowed) {
    AddUnknown(*value, &known, &ruled.shadowed);
  }
  for (const DerivationPtr& value : all) {
    AddUnknown(*value, &known, &ruled.left_out);
  }
  ruled.tensors = std::move(tensors);
  return ruled;
}

}  // namespace warmstart::planner
