#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/planner/matching/rule_finders.h"

namespace warmstart::planner {
namespace {

constexpr size_t kMaxRuleTextBytes = 1024;  // of a rule

// The open source key that is the longest suffix of `key` and begins behind a
// dot; nothing where there is none, or where it has another shape.
std::optional<size_t> LongestSuffix(const KeyPairing& pairing,
                                    const ArchitectureEntry& entry) {
  const absl::string_view key = entry.key;
  for (size_t dot = key.find('.'); dot != absl::string_view::npos;
       dot = key.find('.', dot + 1)) {
    const absl::string_view suffix = key.substr(dot + 1);
    if (!pairing.SourceHas(suffix)) continue;
    const size_t position = pairing.PositionOf(suffix);
    const bool fits =
        !pairing.TargetHas(suffix) &&
        pairing.keys()[position].value->spec.shape() == entry.spec.shape();
    return fits ? std::optional<size_t>(position) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::vector<ProposedRule> FindSuffixes(const KeyPairing& pairing,
                                       std::vector<std::string>* notes) {
  // By position, so that rules come in the source's order.
  std::map<size_t, std::vector<size_t>> takers;
  for (size_t entry : pairing.open_targets()) {
    const std::optional<size_t> position =
        LongestSuffix(pairing, pairing.target().entries[entry]);
    if (position.has_value()) takers[*position].push_back(entry);
  }
  std::vector<ProposedRule> proposals;
  int64_t ambiguous = 0;
  for (const auto& [position, entries] : takers) {
    const std::string& from = pairing.keys()[position].key;
    const std::string& to = pairing.target().entries[entries[0]].key;
    if (from.size() > kMaxRuleTextBytes || to.size() > kMaxRuleTextBytes)
      continue;
    if (entries.size() == 1) {
      proposals.push_back({RenameRule{from, to}, {{position, to}}});
      continue;
    }
    if (++ambiguous > 1) continue;
    notes->push_back(absl::StrCat("'", from, "' is a suffix of '", to,
                                  "' and of '",
                                  pairing.target().entries[entries[1]].key,
                                  "', so that it was given to neither"));
  }
  if (ambiguous > 1) {
    notes->push_back(absl::StrCat("so were ", ambiguous - 1, " other keys"));
  }
  return proposals;
}

}  // namespace warmstart::planner
