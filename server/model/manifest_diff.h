// DiffManifests: what changed from one checkpoint to another, key by key. By
// digests alone: no tensor is read.

#ifndef WARMSTART_SERVER_MODEL_MANIFEST_DIFF_H_
#define WARMSTART_SERVER_MODEL_MANIFEST_DIFF_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/model/manifest.h"
#include "server/model/tensor_spec.h"

namespace warmstart {

enum class KeyChange {
  kEqual,    // the same values
  kChanged,  // other values, or another dtype or shape
  kMoved,    // the same values, under a key that has them in a alone
  kAdded,    // in b alone
  kRemoved,  // in a alone
};
inline constexpr int kNumKeyChanges = 5;

struct KeyDiff {
  std::string key;   // in b; where it was removed, in a
  std::string from;  // of one that moved: its key in a; else ""
  KeyChange change = KeyChange::kEqual;
  std::optional<TensorSpec> spec_a;  // none where it was added
  std::optional<TensorSpec> spec_b;  // none where it was removed

  friend bool operator==(const KeyDiff&, const KeyDiff&) = default;
};

struct DiffTotal {
  int64_t keys = 0;
  // Of b's tensors; of those that were removed, a's.
  int64_t parameters = 0;
  int64_t bytes = 0;

  friend bool operator==(const DiffTotal&, const DiffTotal&) = default;
};

struct ManifestDiff {
  // In b's order, and then those that were removed, in a's. Each key of b is
  // there once, and each of a once: as a key, or as the `from` of one.
  std::vector<KeyDiff> keys;
  std::array<DiffTotal, kNumKeyChanges> totals;  // by KeyChange

  const DiffTotal& total(KeyChange change) const {
    return totals[static_cast<size_t>(change)];
  }
};

// "equal", "changed", ...
absl::string_view KeyChangeName(KeyChange change);

// Takes time linear in the number of keys. Where several tensors with the same
// values moved, they are paired in the order of both manifests.
ManifestDiff DiffManifests(const Manifest& a, const Manifest& b);

}  // namespace warmstart

#endif  // WARMSTART_SERVER_MODEL_MANIFEST_DIFF_H_
