#include "server/planner/batch_counters.h"

#include "absl/strings/match.h"

namespace warmstart::planner {
namespace {

constexpr int64_t kCountingVersion = 2;

}  // namespace

BatchCounters::BatchCounters(const PlanRequest& request,
                             absl::Span<const SourceKeys> sources) {
  for (size_t s = 0; s < sources.size(); ++s) {
    for (const ModuleVersion& module :
         request.sources[s].manifest->module_versions) {
      absl::string_view path = module.path;
      const std::string& subtree = sources[s].subtree;
      if (module.version < kCountingVersion) continue;
      if (path == subtree) {
        counting_modules_.emplace();
      } else if (ConsumeSubtree(subtree, &path)) {
        counting_modules_.emplace(path);
      }
    }
  }
}

bool BatchCounters::Tolerate(const ArchitectureEntry& entry) const {
  const absl::string_view key = entry.key;
  if (entry.kind != EntryKind::kBuffer || !absl::EndsWith(key, kBatchCounter)) {
    return false;
  }
  const absl::string_view rest =
      key.substr(0, key.size() - kBatchCounter.size());
  if (!rest.empty() && rest.back() != '.') return false;
  return !counting_modules_.contains(
      rest.empty() ? rest : rest.substr(0, rest.size() - 1));
}

}  // namespace warmstart::planner
