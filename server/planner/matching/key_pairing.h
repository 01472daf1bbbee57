// KeyPairing: which keys of a source and of a target are the same, while rules
// are being found.

#ifndef WARMSTART_SERVER_PLANNER_MATCHING_KEY_PAIRING_H_
#define WARMSTART_SERVER_PLANNER_MATCHING_KEY_PAIRING_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "server/model/architecture.h"
#include "server/planner/source_keys.h"
#include "server/planner/tensor_map.h"

namespace warmstart::planner {

// A new key for the source's tensor of that position.
struct Rename {
  size_t position;
  std::string to;
};
using Renames = std::vector<Rename>;

class KeyPairing {
 public:
  // All are borrowed; `keys` change by Apply().
  KeyPairing(const Architecture& target, const TargetIndex& index,
             TensorMap* keys);

  const Architecture& target() const { return target_; }
  const TensorMap& keys() const { return *keys_; }
  // Positions of the tensors, and entries of the target, without a partner.
  const std::vector<size_t>& open_sources() const { return open_sources_; }
  const std::vector<size_t>& open_targets() const { return open_targets_; }
  bool complete() const {
    return open_sources_.empty() || open_targets_.empty();
  }

  bool TargetHas(absl::string_view key) const { return index_.contains(key); }
  bool SourceHas(absl::string_view key) const {
    return position_of_.contains(key);
  }
  // The position of the source's tensor; it must have it.
  size_t PositionOf(absl::string_view key) const {
    return position_of_.at(key);
  }
  // Whether both have the key, and so it is no longer open.
  bool IsPaired(absl::string_view key) const {
    return TargetHas(key) && SourceHas(key);
  }

  // Whether no two tensors would have one key.
  bool KeepsKeysUnique(const Renames& renames) const;
  // Whether a tensor that has a partner would lose it.
  bool LosesPairs(const Renames& renames) const;
  // The target's entries that would find a partner.
  std::vector<size_t> Gained(const Renames& renames) const;

  // Applies rules, each of which has the next index; none sees what another
  // changed.
  void Apply(const std::vector<Renames>& rules, int first_index);

 private:
  void Pair();

  const Architecture& target_;
  const TargetIndex& index_;
  TensorMap* const keys_;
  absl::flat_hash_map<absl::string_view, size_t> position_of_;
  std::vector<size_t> open_sources_;
  std::vector<size_t> open_targets_;
};

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_MATCHING_KEY_PAIRING_H_
