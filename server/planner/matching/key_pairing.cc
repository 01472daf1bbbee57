#include "server/planner/matching/key_pairing.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"

namespace warmstart::planner {

KeyPairing::KeyPairing(const Architecture& target, const TargetIndex& index,
                       TensorMap* keys)
    : target_(target), index_(index), keys_(keys) {
  Pair();
}

void KeyPairing::Pair() {
  position_of_.clear();
  open_sources_.clear();
  open_targets_.clear();
  for (size_t i = 0; i < keys_->size(); ++i) {
    position_of_.emplace((*keys_)[i].key, i);
    if (!TargetHas((*keys_)[i].key)) open_sources_.push_back(i);
  }
  for (size_t i = 0; i < target_.entries.size(); ++i) {
    if (!SourceHas(target_.entries[i].key)) open_targets_.push_back(i);
  }
}

bool KeyPairing::KeepsKeysUnique(const Renames& renames) const {
  absl::flat_hash_set<size_t> moved;
  absl::flat_hash_set<absl::string_view> taken;
  for (const Rename& rename : renames) moved.insert(rename.position);
  return std::all_of(renames.begin(), renames.end(), [&](const Rename& rename) {
    const auto found = position_of_.find(rename.to);
    const bool free =
        found == position_of_.end() || moved.contains(found->second);
    return free && !rename.to.empty() && taken.insert(rename.to).second;
  });
}

bool KeyPairing::LosesPairs(const Renames& renames) const {
  return std::any_of(renames.begin(), renames.end(), [&](const Rename& rename) {
    return TargetHas((*keys_)[rename.position].key);
  });
}

std::vector<size_t> KeyPairing::Gained(const Renames& renames) const {
  std::vector<size_t> gained;
  for (const Rename& rename : renames) {
    const auto found = index_.find(rename.to);
    if (found != index_.end() && !SourceHas(rename.to)) {
      gained.push_back(static_cast<size_t>(found->second));
    }
  }
  return gained;
}

void KeyPairing::Apply(const std::vector<Renames>& rules, int first_index) {
  position_of_.clear();  // it looks at the keys that change
  for (size_t i = 0; i < rules.size(); ++i) {
    for (const Rename& rename : rules[i]) {
      NamedTensor& tensor = (*keys_)[rename.position];
      tensor.key = rename.to;
      tensor.rules.push_back(first_index + static_cast<int>(i));
    }
  }
  Pair();
}

}  // namespace warmstart::planner
