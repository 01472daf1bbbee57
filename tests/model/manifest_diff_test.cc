#include "server/model/manifest_diff.h"

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmstart {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

ManifestEntry Entry(std::string key, int contents,
                    std::vector<int64_t> sizes = {2, 3}) {
  ManifestEntry entry;
  entry.key = std::move(key);
  entry.spec = TensorSpec::Create(DType::kFloat32,
                                  Shape::Create(std::move(sizes)).value())
                   .value();
  entry.digest = Digest::Of(absl::StrCat(contents));
  return entry;
}

Manifest Make(std::vector<ManifestEntry> entries) {
  Manifest manifest;
  manifest.entries = std::move(entries);
  return manifest;
}

TEST(DiffManifestsTest, EachKeyChangesInOneWay) {
  const Manifest a =
      Make({Entry("same", 1), Entry("trained", 2), Entry("wider", 3),
            Entry("old", 4), Entry("gone", 5)});
  const Manifest b =
      Make({Entry("fresh", 6), Entry("new", 4), Entry("wider", 3, {3, 2}),
            Entry("trained", 7), Entry("same", 1)});
  const ManifestDiff diff = DiffManifests(a, b);
  const TensorSpec spec = a.entries[0].spec;
  const TensorSpec wide = b.entries[2].spec;
  EXPECT_THAT(
      diff.keys,
      ElementsAre(
          KeyDiff{"fresh", "", KeyChange::kAdded, std::nullopt, spec},
          KeyDiff{"new", "old", KeyChange::kMoved, spec, spec},
          KeyDiff{"wider", "", KeyChange::kChanged, spec, wide},
          KeyDiff{"trained", "", KeyChange::kChanged, spec, spec},
          KeyDiff{"same", "", KeyChange::kEqual, spec, spec},
          KeyDiff{"gone", "", KeyChange::kRemoved, spec, std::nullopt}));
  EXPECT_EQ(diff.total(KeyChange::kChanged), (DiffTotal{2, 12, 48}));
  for (KeyChange change : {KeyChange::kEqual, KeyChange::kMoved,
                           KeyChange::kAdded, KeyChange::kRemoved}) {
    EXPECT_EQ(diff.total(change), (DiffTotal{1, 6, 24}))
        << KeyChangeName(change);
  }
}

TEST(DiffManifestsTest, WhatStaysUnderItsKeyDidNotMove) {
  // A copy was added: nothing moved.
  const ManifestDiff diff = DiffManifests(
      Make({Entry("a", 1)}), Make({Entry("copy", 1), Entry("a", 1)}));
  EXPECT_EQ(diff.total(KeyChange::kMoved).keys, 0);
  EXPECT_EQ(diff.total(KeyChange::kAdded).keys, 1);
  EXPECT_EQ(diff.total(KeyChange::kEqual).keys, 1);
}

TEST(DiffManifestsTest, NothingAndItselfHaveNoChanges) {
  EXPECT_THAT(DiffManifests({}, {}).keys, IsEmpty());
  const Manifest manifest = Make({Entry("a", 1), Entry("b", 1)});
  EXPECT_EQ(DiffManifests(manifest, manifest).total(KeyChange::kEqual).keys, 2);
}

// As one would write it down, in quadratic time.
ManifestDiff NaiveDiff(const Manifest& a, const Manifest& b) {
  ManifestDiff diff;
  const auto find = [](const Manifest& in, const std::string& key) {
    return std::find_if(in.entries.begin(), in.entries.end(),
                        [&](const ManifestEntry& e) { return e.key == key; });
  };
  std::vector<std::string> taken;
  const auto is_taken = [&](const std::string& key) {
    return std::find(taken.begin(), taken.end(), key) != taken.end();
  };
  for (const ManifestEntry& entry : b.entries) {
    KeyDiff key{entry.key, "", KeyChange::kAdded, std::nullopt, entry.spec};
    if (const auto old = find(a, entry.key); old != a.entries.end()) {
      key.spec_a = old->spec;
      key.change = old->digest == entry.digest && old->spec == entry.spec
                       ? KeyChange::kEqual
                       : KeyChange::kChanged;
    } else {
      for (const ManifestEntry& other : a.entries) {
        if (find(b, other.key) == b.entries.end() && !is_taken(other.key) &&
            other.digest == entry.digest && other.spec == entry.spec) {
          taken.push_back(other.key);
          key.from = other.key;
          key.spec_a = other.spec;
          key.change = KeyChange::kMoved;
          break;
        }
      }
    }
    diff.keys.push_back(key);
  }
  for (const ManifestEntry& entry : a.entries) {
    if (find(b, entry.key) == b.entries.end() && !is_taken(entry.key)) {
      diff.keys.push_back(
          {entry.key, "", KeyChange::kRemoved, entry.spec, std::nullopt});
    }
  }
  for (const KeyDiff& key : diff.keys) {
    DiffTotal& total = diff.totals[static_cast<size_t>(key.change)];
    const TensorSpec& spec = key.spec_b.has_value() ? *key.spec_b : *key.spec_a;
    ++total.keys;
    total.parameters += spec.num_elements();
    total.bytes += spec.num_bytes();
  }
  return diff;
}

TEST(DiffManifestsTest, EqualsANaiveDiffOfRandomManifests) {
  std::mt19937 random(1);
  const auto below = [&](int n) { return static_cast<int>(random() % n); };
  for (int round = 0; round < 2000; ++round) {
    const auto make = [&] {
      Manifest manifest;
      for (int key = 0; key < 12; ++key) {
        if (below(3) == 0) continue;
        // Few values and two shapes: most have a twin somewhere.
        manifest.entries.push_back(Entry(absl::StrCat("k", key), below(4),
                                         below(4) == 0
                                             ? std::vector<int64_t>{6}
                                             : std::vector<int64_t>{2, 3}));
      }
      std::shuffle(manifest.entries.begin(), manifest.entries.end(), random);
      return manifest;
    };
    const Manifest a = make();
    const Manifest b = make();
    const ManifestDiff actual = DiffManifests(a, b);
    const ManifestDiff expected = NaiveDiff(a, b);
    ASSERT_EQ(actual.keys, expected.keys) << round;
    ASSERT_EQ(actual.totals, expected.totals) << round;
  }
}

}  // namespace
}  // namespace warmstart
