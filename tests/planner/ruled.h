// Runs rules on a source of the planner's tests.

#ifndef WARMSTART_TESTS_PLANNER_RULED_H_
#define WARMSTART_TESTS_PLANNER_RULED_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/base/status_macros.h"
#include "server/planner/rules/rule_engine.h"
#include "tests/planner/builders.h"

namespace warmstart::planner {

inline absl::StatusOr<RuledTensors> ApplyRules(
    const std::vector<KeyRule>& rules, const std::vector<Tensor>& source,
    const std::vector<Tensor>& target, int32_t number = 0) {
  const Manifest manifest = MakeManifest(source);
  const Architecture architecture = MakeArchitecture("Net", target);
  ASSIGN_OR_RETURN(const RuleEngine engine, RuleEngine::Create(rules, 2));
  TensorMap tensors;
  for (size_t i = 0; i < source.size(); ++i) {
    tensors.push_back(
        {source[i].key,
         SourceTensor(number, static_cast<int64_t>(i), SpecOf(source[i]))});
  }
  return engine.Apply(number, {&manifest, "checkpoints/c", ""}, architecture,
                      IndexOf(architecture), std::move(tensors));
}

// One-element tensors of these keys.
inline std::vector<Tensor> Keys(const std::vector<std::string>& keys) {
  std::vector<Tensor> tensors;
  for (const std::string& key : keys) tensors.push_back({key, {1}});
  return tensors;
}

inline std::vector<int64_t> EntriesOf(absl::Span<const SourceOp> sources) {
  std::vector<int64_t> entries;
  for (const SourceOp& source : sources) entries.push_back(source.entry);
  return entries;
}

}  // namespace warmstart::planner

#endif  // WARMSTART_TESTS_PLANNER_RULED_H_
