#include "server/model/manifest_diff.h"

#include <cstddef>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/types/span.h"

namespace warmstart {
namespace {

using KeyIndex = absl::flat_hash_map<absl::string_view, const ManifestEntry*>;

KeyIndex IndexByKey(const Manifest& manifest) {
  KeyIndex index;
  index.reserve(manifest.entries.size());
  for (const ManifestEntry& entry : manifest.entries) {
    index.emplace(entry.key, &entry);
  }
  return index;
}

// Tensors that are in a alone, by what they hold.
class Leavers {
 public:
  void Add(const ManifestEntry& entry) {
    groups_[Contents(entry)].entries.push_back(&entry);
  }

  // The first that holds the same as `entry` and was not taken yet.
  const ManifestEntry* Take(const ManifestEntry& entry) {
    const auto found = groups_.find(Contents(entry));
    if (found == groups_.end()) return nullptr;
    Group& group = found->second;
    return group.next < group.entries.size() ? group.entries[group.next++]
                                             : nullptr;
  }

 private:
  struct Group {
    std::vector<const ManifestEntry*> entries;
    size_t next = 0;
  };
  using Key = std::tuple<Digest, DType, absl::Span<const int64_t>>;

  static Key Contents(const ManifestEntry& entry) {
    return {entry.digest, entry.spec.dtype(), entry.spec.shape().sizes()};
  }

  absl::flat_hash_map<Key, Group> groups_;
};

void Add(KeyDiff diff, ManifestDiff& result) {
  const TensorSpec& spec =
      diff.spec_b.has_value() ? *diff.spec_b : *diff.spec_a;
  DiffTotal& total = result.totals[static_cast<size_t>(diff.change)];
  total.keys += 1;
  total.parameters += spec.num_elements();
  total.bytes += spec.num_bytes();
  result.keys.push_back(std::move(diff));
}

KeyDiff InBoth(const ManifestEntry& a, const ManifestEntry& b) {
  const bool equal = a.digest == b.digest && a.spec == b.spec;
  return {b.key, "", equal ? KeyChange::kEqual : KeyChange::kChanged, a.spec,
          b.spec};
}

KeyDiff InOneOnly(const ManifestEntry& entry, Leavers& leavers,
                  absl::flat_hash_set<absl::string_view>& moved) {
  const ManifestEntry* const before = leavers.Take(entry);
  if (before == nullptr) {
    return {entry.key, "", KeyChange::kAdded, std::nullopt, entry.spec};
  }
  moved.insert(before->key);
  return {entry.key, before->key, KeyChange::kMoved, before->spec, entry.spec};
}

}  // namespace

absl::string_view KeyChangeName(KeyChange change) {
  switch (change) {
    case KeyChange::kEqual:
      return "equal";
    case KeyChange::kChanged:
      return "changed";
    case KeyChange::kMoved:
      return "moved";
    case KeyChange::kAdded:
      return "added";
    case KeyChange::kRemoved:
      return "removed";
  }
  return "";
}

ManifestDiff DiffManifests(const Manifest& a, const Manifest& b) {
  const KeyIndex in_a = IndexByKey(a);
  const KeyIndex in_b = IndexByKey(b);
  Leavers leavers;
  for (const ManifestEntry& entry : a.entries) {
    if (!in_b.contains(entry.key)) leavers.Add(entry);
  }
  ManifestDiff result;
  absl::flat_hash_set<absl::string_view> moved;
  for (const ManifestEntry& entry : b.entries) {
    const auto before = in_a.find(entry.key);
    Add(before != in_a.end() ? InBoth(*before->second, entry)
                             : InOneOnly(entry, leavers, moved),
        result);
  }
  for (const ManifestEntry& entry : a.entries) {
    if (in_b.contains(entry.key) || moved.contains(entry.key)) continue;
    Add({entry.key, "", KeyChange::kRemoved, entry.spec, std::nullopt}, result);
  }
  return result;
}

}  // namespace warmstart
