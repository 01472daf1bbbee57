// Properties that hold for all rules, tried on thousands of random ones.

#include <algorithm>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/base/status_macros.h"
#include "tests/planner/derivation_values.h"
#include "tests/planner/ruled.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::planner {
namespace {

class Random {
 public:
  explicit Random(uint32_t seed) : random_(seed) {}
  int Below(int limit) { return static_cast<int>(random_() % limit); }
  bool Chance(int percent) { return Below(100) < percent; }
  template <typename T>
  const T& Of(const std::vector<T>& values) {
    return values[Below(static_cast<int>(values.size()))];
  }

 private:
  std::mt19937 random_;
};

// Changes nothing, and stands between templates: those that follow each other
// see the same keys.
const KeyRule kNothing = RenameRule{"nothing", "nothing"};

// Rules that lose nothing, on a model that they know: layers with q, k and v,
// experts, and a head.
class ReversibleRules {
 public:
  explicit ReversibleRules(uint32_t seed) : random_(seed) {
    heads_ = 1 + random_.Below(2);
    experts_ = 1 + random_.Below(3);
    for (int layer = 1 + random_.Below(3); layer > 0; --layer) {
      const std::string prefix = absl::StrCat("h.", layer - 1, ".");
      source_.push_back({prefix + "q", {heads_ * 4, 2}});
      source_.push_back({prefix + "k", {heads_ * 2, 2}});
      source_.push_back({prefix + "v", {heads_ * 2, 2}});
      for (int e = 0; e < experts_; ++e) {
        source_.push_back({absl::StrCat(prefix, "e.", e, ".a"), {2, 3}});
        source_.push_back({absl::StrCat(prefix, "e.", e, ".b"), {2, 3}});
      }
    }
    source_.push_back({"fc", {2, 3, 2}});
    for (int i = 1 + random_.Below(6); i > 0; --i) AddRule();
  }

  const std::vector<Tensor>& source() const { return source_; }
  const std::vector<KeyRule>& rules() const { return rules_; }

 private:
  std::string Layer(absl::string_view rest) const {
    return absl::StrCat(prefix_, layers_, ".{l}.", rest);
  }

  // Of `heads`: 1 or what the rows of q, k and v can be divided by.
  int64_t Groups() { return random_.Chance(50) ? heads_ : 1; }

  void AddRule() {
    switch (random_.Below(9)) {
      case 0:
        prefix_ = "m." + prefix_;
        rules_.emplace_back(AddPrefixRule{"m."});
        return;
      case 1:
        if (prefix_.empty()) return;
        prefix_ = prefix_.substr(2);
        rules_.emplace_back(StripPrefixRule{"m."});
        return;
      case 2:
        rules_.emplace_back(RenameRule{prefix_ + head_, prefix_ + head_ + "x"});
        head_ += "x";
        return;
      case 3: {
        rules_.push_back(kNothing);
        const int shift = random_.Below(4);
        rules_.emplace_back(TemplateRule{
            absl::StrCat(prefix_, layers_, "y.{l}.{r*}"),
            absl::StrCat(prefix_, layers_, ".{l-", shift, "}.{r*}"),
            {}});
        layers_ += "y";
        return;
      }
      case 4:
        if (std::exchange(joined_, true)) return;
        rules_.emplace_back(ConvertRule{
            {Layer("q"), Layer("k"), Layer("v")},
            {Layer("qkv")},
            {ConcatStep{0, Groups(), {heads_ * 4, heads_ * 2, heads_ * 2}},
             TransposeStep{0, -1}}});
        return;
      case 5: {
        if (joined_) return;
        const bool inverse = random_.Chance(50);
        rules_.emplace_back(ConvertRule{
            {Layer("q")}, {Layer("q")}, {RopeStep{heads_, inverse}}});
        return;
      }
      case 6:
        if (std::exchange(stacked_, true)) return;
        rules_.emplace_back(ConvertRule{
            {Layer("e.{e}.a"), Layer("e.{e}.b")},
            {Layer("e.ab")},
            random_.Chance(50)
                ? std::vector<ConvertStep>{StackStep{-1}, ConcatStep{0}}
                : std::vector<ConvertStep>{ConcatStep{1}, StackStep{0}}});
        return;
      case 7:
        if (std::exchange(changed_, true)) return;
        rules_.emplace_back(ConvertRule{
            {prefix_ + head_},
            {prefix_ + head_},
            {PermuteStep{{2, 0, -2}}, ReshapeStep{{0, -1}, {2, -1, 3}},
             UnsqueezeStep{1}, DeinterleaveStep{-1}}});
        return;
      default:
        rules_.emplace_back(
            RegexRule{absl::StrCat("^", Escaped(prefix_ + head_), "$"),
                      prefix_ + head_ + "z"});
        head_ += "z";
    }
  }

  static std::string Escaped(absl::string_view key) {
    std::string escaped;
    for (char c : key)
      absl::StrAppend(&escaped, c == '.' ? "\\" : "", std::string(1, c));
    return escaped;
  }

  Random random_;
  int64_t heads_;
  int experts_;
  std::vector<Tensor> source_;
  std::vector<KeyRule> rules_;
  std::string prefix_;
  std::string layers_ = "h";
  std::string head_ = "fc";
  bool joined_ = false;
  bool stacked_ = false;
  bool changed_ = false;
};

TEST(RulePropertiesTest, TheInverseGivesBackEveryKeyAndValue) {
  for (uint32_t seed = 0; seed < 2000; ++seed) {
    const ReversibleRules random(seed);
    ASSERT_OK_AND_ASSIGN(const std::vector<KeyRule> inverse,
                         InvertRules(random.rules()));
    std::vector<KeyRule> both = random.rules();
    both.push_back(kNothing);
    both.insert(both.end(), inverse.begin(), inverse.end());
    ASSERT_OK_AND_ASSIGN(const RuledTensors back,
                         ApplyRules(both, random.source(), random.source()));
    EXPECT_TRUE(back.left_out.empty());
    ASSERT_EQ(back.tensors.size(), random.source().size()) << seed;
    for (const NamedTensor& tensor : back.tensors) {
      const auto original = std::find_if(
          random.source().begin(), random.source().end(),
          [&](const Tensor& other) { return other.key == tensor.key; });
      ASSERT_NE(original, random.source().end()) << tensor.key;
      const DerivationPtr expected = SourceTensor(
          0, original - random.source().begin(), SpecOf(*original));
      EXPECT_EQ(tensor.value->spec, expected->spec) << tensor.key;
      EXPECT_EQ(ValuesOf(*tensor.value), ValuesOf(*expected))
          << "seed " << seed << ", " << tensor.key;
    }
  }
}

// Any rules, on keys of a few letters, so that they meet.
class AnyRules {
 public:
  explicit AnyRules(uint32_t seed) : random_(seed) {}

  std::string Key() {
    static const std::vector<std::string> kParts = {"a",   "b",   "h.0",
                                                    "h.1", "h.2", "w"};
    std::string key = random_.Of(kParts);
    while (random_.Chance(40)) absl::StrAppend(&key, ".", random_.Of(kParts));
    return key;
  }

  std::vector<Tensor> Tensors() {
    std::set<std::string> keys;
    for (int i = random_.Below(12); i >= 0; --i) keys.insert(Key());
    std::vector<Tensor> tensors;
    for (const std::string& key : keys) tensors.push_back({key, {2}});
    return tensors;
  }

  KeyRule Rule() {
    KeyRule rule = Kind();
    if (random_.Chance(60)) rule.priority = random_.Below(1000);
    if (random_.Chance(10)) rule.keys = {"*.w", "a*"};
    if (random_.Chance(10)) rule.source = random_.Below(2);
    return rule;
  }

 private:
  KeyRule Kind() {
    static const std::vector<KeyRule> kRules = {
        RegexRule{"a\\.(.*)", "b.\\1"},
        RegexRule{"\\.w$", ""},
        StripPrefixRule{"a."},
        AddPrefixRule{"a."},
        TemplateRule{"h.{i}.{r*}", "h.{2*i}.{r*}", {}},
        TemplateRule{"h.{i}.{r*}", "h.{i/2}.{r*}", {}},
        TemplateRule{"b.h.{i}", "h.{i+1}", {{"i", 0, 1}}},
        TemplateRule{"{p*}.w", "w", {}},
        ConvertRule{{"{p*}.w"}, {"{p*}.w"}, {UnsqueezeStep{0}}},
        ConvertRule{{"h.{i}"}, {"h"}, {StackStep{0}}},
        ConvertRule{{"w"}, {"h.{i}"}, {UnstackStep{0}}},
        ConvertRule{{"a"}, {"b", "w"}, {SplitStep{0}}}};
    if (random_.Chance(15)) return RenameRule{Key(), Key()};
    return random_.Of(kRules);
  }

  Random random_;
};

TEST(RulePropertiesTest, EveryTensorHasOneFateAndEveryKeyOneTensor) {
  int applied = 0;
  int shadowed = 0;
  int left_out = 0;
  for (uint32_t seed = 0; seed < 5000; ++seed) {
    AnyRules any(seed);
    const std::vector<Tensor> source = any.Tensors();
    std::vector<KeyRule> rules;
    for (int i = seed % 4; i >= 0; --i) rules.push_back(any.Rule());
    const absl::StatusOr<RuledTensors> ruled =
        ApplyRules(rules, source, any.Tensors());
    if (!ruled.ok()) {  // a group that lacks one, two keys of one priority
      EXPECT_EQ(ruled.status().code(), absl::StatusCode::kInvalidArgument);
      continue;
    }
    ++applied;
    std::set<int64_t> used;
    std::set<std::string> keys;
    for (const NamedTensor& tensor : ruled->tensors) {
      EXPECT_TRUE(keys.insert(tensor.key).second) << tensor.key;
      EXPECT_TRUE(std::is_sorted(tensor.rules.begin(), tensor.rules.end()));
      for (int64_t entry : EntriesOf(SourcesOf(*tensor.value))) {
        used.insert(entry);
      }
      if (tensor.rules.empty()) {
        EXPECT_EQ(source[AsSourceTensor(*tensor.value)->entry].key, tensor.key);
      }
    }
    std::vector<int64_t> fates(used.begin(), used.end());
    for (const auto* others : {&ruled->left_out, &ruled->shadowed}) {
      for (int64_t entry : EntriesOf(*others)) fates.push_back(entry);
    }
    std::sort(fates.begin(), fates.end());
    std::vector<int64_t> all(source.size());
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(fates, all) << "seed " << seed;
    shadowed += static_cast<int>(ruled->shadowed.size());
    left_out += static_cast<int>(ruled->left_out.size());
  }
  EXPECT_GT(applied, 2500);
  EXPECT_GT(shadowed, 100);
  EXPECT_GT(left_out, 1000);
}

TEST(RulePropertiesTest, StripAfterAddIsTheIdentity) {
  for (uint32_t seed = 0; seed < 2000; ++seed) {
    AnyRules any(seed);
    const std::vector<Tensor> source = any.Tensors();
    const std::string prefix = any.Key() + ".";
    ASSERT_OK_AND_ASSIGN(
        const RuledTensors ruled,
        ApplyRules({AddPrefixRule{prefix}, StripPrefixRule{prefix}}, source,
                   {}));
    ASSERT_EQ(ruled.tensors.size(), source.size());
    for (size_t i = 0; i < source.size(); ++i) {
      EXPECT_EQ(ruled.tensors[i].key, source[i].key);
      EXPECT_EQ(AsSourceTensor(*ruled.tensors[i].value)->entry,
                static_cast<int64_t>(i));
    }
  }
}

}  // namespace
}  // namespace warmstart::planner
