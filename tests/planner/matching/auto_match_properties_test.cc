// What holds of automatic matching for every network and every disguise of it.

#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/planner/matching/auto_match.h"
#include "tests/planner/builders.h"
#include "tests/planner/ruled.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::planner {
namespace {

class Generator {
 public:
  explicit Generator(uint32_t seed) : random_(seed) {}

  int Below(int limit) {
    return std::uniform_int_distribution<int>(0, limit - 1)(random_);
  }

  // A network whose layers differ in shape.
  std::vector<Tensor> Network() {
    std::vector<Tensor> tensors;
    const int layers = 2 + Below(8);
    for (int i = 0; i < layers; ++i) {
      const std::string module =
          absl::StrCat(Below(2) == 0 ? "block" : "stage", ".", i);
      tensors.push_back(
          {absl::StrCat(module, ".weight"), {i + 2, 1 + Below(3)}});
      tensors.push_back({absl::StrCat(module, ".bias"), {i + 2}});
    }
    return tensors;
  }

  // The same under other names.
  std::vector<Tensor> Disguise(std::vector<Tensor> tensors) {
    const int kind = Below(6);
    for (size_t i = 0; i < tensors.size(); ++i) {
      std::string& key = tensors[i].key;
      switch (kind) {
        case 0:
          key = absl::StrCat("module.model.", key);
          break;
        case 1:
          key = absl::StrCat("backbone.", key);
          break;
        case 2:
          key.insert(key.rfind('.'), "._orig_mod");
          break;
        case 3:
          key = absl::StrCat("_orig_mod.module.", key);
          break;
        case 4:
          key = absl::StrCat("layer", i / 2, key.substr(key.rfind('.')));
          break;
        default:
          break;
      }
    }
    return tensors;
  }

 private:
  std::mt19937 random_;
};

TensorMap KeysOf(const std::vector<Tensor>& tensors) {
  TensorMap keys;
  for (size_t i = 0; i < tensors.size(); ++i) {
    keys.push_back(
        {tensors[i].key,
         SourceTensor(0, static_cast<int64_t>(i), SpecOf(tensors[i])),
         {}});
  }
  return keys;
}

// The keys come back, and the rules, given by hand, do what was done.
TEST(AutoMatchPropertiesTest, EveryDisguiseIsSeenThroughByRulesThatHold) {
  for (uint32_t seed = 0; seed < 3000; ++seed) {
    Generator generate(seed);
    const std::vector<Tensor> network = generate.Network();
    const std::vector<Tensor> disguised = generate.Disguise(network);
    const Architecture target = MakeArchitecture("Net", network);
    const TargetIndex index = IndexOf(target);
    TensorMap keys = KeysOf(disguised);
    const FoundRules found = MatchKeys(target, index, 0, &keys);

    std::vector<KeyRule> rules;
    int64_t supplied = 0;
    for (const FoundRule& rule : found.rules) {
      ASSERT_TRUE(rule.rule.keys.empty());
      rules.push_back(rule.rule);
      supplied += rule.keys;
    }
    ASSERT_OK_AND_ASSIGN(const RuledTensors ruled,
                         ApplyRules(rules, disguised, network));
    ASSERT_EQ(ruled.tensors.size(), network.size());
    for (size_t i = 0; i < network.size(); ++i) {
      ASSERT_EQ(keys[i].key, network[i].key) << "seed " << seed;
      ASSERT_EQ(ruled.tensors[i].key, keys[i].key) << "seed " << seed;
      ASSERT_EQ(ruled.tensors[i].rules, keys[i].rules) << "seed " << seed;
    }
    if (disguised[0].key != network[0].key) {
      ASSERT_EQ(supplied, static_cast<int64_t>(network.size()));
    } else {
      ASSERT_TRUE(rules.empty());
    }
  }
}

// Random keys of few parts, of which most match nothing: keys stay unique, and
// none that had its partner loses it.
TEST(AutoMatchPropertiesTest, NoKeyIsLost) {
  const char* const parts[] = {"a", "b", "module", "conv", "weight"};
  for (uint32_t seed = 0; seed < 3000; ++seed) {
    Generator generate(seed);
    const auto random_tensors = [&] {
      std::vector<Tensor> tensors;
      std::set<std::string> seen;
      for (int i = generate.Below(10); i >= 0; --i) {
        std::string key = parts[generate.Below(5)];
        for (int k = generate.Below(3); k > 0; --k) {
          absl::StrAppend(&key, ".", parts[generate.Below(5)]);
        }
        if (seen.insert(key).second) {
          tensors.push_back({key, {1 + generate.Below(2)}});
        }
      }
      return tensors;
    };
    const Architecture target = MakeArchitecture("Net", random_tensors());
    const TargetIndex index = IndexOf(target);
    const std::vector<Tensor> source = random_tensors();
    TensorMap keys = KeysOf(source);
    MatchKeys(target, index, 0, &keys);
    std::set<std::string> seen;
    for (size_t i = 0; i < source.size(); ++i) {
      ASSERT_TRUE(seen.insert(keys[i].key).second) << "seed " << seed;
      ASSERT_FALSE(keys[i].key.empty());
      if (index.contains(source[i].key)) {
        ASSERT_EQ(keys[i].key, source[i].key) << "seed " << seed;
      }
      ASSERT_EQ(keys[i].rules.empty(), keys[i].key == source[i].key);
    }
  }
}

// As many keys as there are in the largest checkpoints; what is not linear in
// them does not end here.
TEST(AutoMatchPropertiesTest, AHundredThousandKeysAreMatched) {
  std::vector<Tensor> network;
  for (int i = 0; i < 100000; ++i) {
    network.push_back(
        {absl::StrCat("model.layers.", i / 10, ".p", i % 10, ".weight"),
         {i % 7 + 1}});
  }
  std::vector<Tensor> renamed = network;
  for (int i = 0; i < 100000; ++i) {
    renamed[i].key = absl::StrCat("blocks.", i / 10, ".q", i % 10, ".weight");
  }
  const Architecture target = MakeArchitecture("Net", network);
  const TargetIndex index = IndexOf(target);
  TensorMap keys = KeysOf(renamed);
  const FoundRules found = MatchKeys(target, index, 0, &keys);
  EXPECT_EQ(found.rules.size(), 100000u);
  EXPECT_EQ(keys.back().key, network.back().key);
}

}  // namespace
}  // namespace warmstart::planner
