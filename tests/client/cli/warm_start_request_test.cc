#include "client/cli/warm_start_request.h"

#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>

#include "client/cli/usage_error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::client {
namespace {

absl::StatusOr<v1::WarmStartRequest> Build(
    const std::vector<std::string>& args) {
  absl::StatusOr<Arguments> arguments = ParseArguments(WarmStartFlags(), args);
  if (!arguments.ok()) return arguments.status();
  return BuildWarmStartRequest(*arguments);
}

void ExpectRequest(const std::vector<std::string>& args,
                   const std::string& expected_text) {
  ASSERT_OK_AND_ASSIGN(const v1::WarmStartRequest request, Build(args));
  v1::WarmStartRequest expected;
  ASSERT_TRUE(
      google::protobuf::TextFormat::ParseFromString(expected_text, &expected));
  EXPECT_TRUE(
      google::protobuf::util::MessageDifferencer::Equals(request, expected))
      << request.DebugString();
}

void ExpectUsageError(const std::vector<std::string>& args,
                      const std::string& message) {
  const absl::Status status = Build(args).status();
  EXPECT_TRUE(IsUsageError(status)) << status;
  EXPECT_EQ(status.message(), message);
}

TEST(WarmStartRequestTest, LeavesDefaultsToTheServer) {
  ExpectRequest({"NetB", "--from", "aliases/a"}, R"pb(
    architecture: "NetB"
    sources { checkpoint: "aliases/a" }
  )pb");
}

TEST(WarmStartRequestTest, EveryFlagHasItsField) {
  ExpectRequest({"NetB",
                 "--from",
                 "checkpoints/a",
                 "--include",
                 "fc*",
                 "--include=conv*",
                 "--exclude",
                 "fc3.*",
                 "--strict",
                 "--on-shape-mismatch",
                 "skip",
                 "--on-dtype-mismatch",
                 "keep",
                 "--min-coverage",
                 "0.5",
                 "--device",
                 "cuda:1",
                 "--seed",
                 "18446744073709551615",
                 "--dry-run",
                 "--alias",
                 "prod",
                 "--label",
                 "a=1",
                 "--label",
                 "b=2",
                 "--ttl",
                 "7d",
                 "--request-id",
                 "id",
                 "--quiet"},
                R"pb(
                  architecture: "NetB"
                  sources { checkpoint: "checkpoints/a" }
                  include: "fc*"
                  include: "conv*"
                  exclude: "fc3.*"
                  strict: true
                  on_shape_mismatch: SHAPE_MISMATCH_POLICY_SKIP
                  on_dtype_mismatch: DTYPE_MISMATCH_POLICY_KEEP
                  min_coverage: 0.5
                  device: "cuda:1"
                  seed: 18446744073709551615
                  validate_only: true
                  alias: "prod"
                  labels { key: "a" value: "1" }
                  labels { key: "b" value: "2" }
                  request_id: "id"
                  ttl { seconds: 604800 }
                )pb");
}

TEST(WarmStartRequestTest, PoliciesHaveTheirNames) {
  ExpectRequest({"N", "--from", "a", "--on-shape-mismatch", "error",
                 "--on-dtype-mismatch", "cast"},
                R"pb(
                  architecture: "N"
                  sources { checkpoint: "a" }
                  on_shape_mismatch: SHAPE_MISMATCH_POLICY_ERROR
                  on_dtype_mismatch: DTYPE_MISMATCH_POLICY_CAST
                )pb");
  ExpectRequest({"N", "--from", "a", "--on-dtype-mismatch", "error"}, R"pb(
    architecture: "N"
    sources { checkpoint: "a" }
    on_dtype_mismatch: DTYPE_MISMATCH_POLICY_ERROR
  )pb");
}

TEST(WarmStartRequestTest, SeedZeroIsASeed) {
  ASSERT_OK_AND_ASSIGN(const v1::WarmStartRequest request,
                       Build({"N", "--from", "a", "--seed", "0"}));
  EXPECT_TRUE(request.has_seed());
}

TEST(WarmStartRequestTest, KeyRulesKeepTheirOrderAcrossKinds) {
  ExpectRequest(
      {"NetB", "--add-prefix", "x.", "--from", "a", "--rename", "x.a=b",
       "--strip-prefix=module.", "--rename-regex", R"(^(\w+)\.=\1_)",
       "--rename", "c=d=e"},
      R"pb(
        architecture: "NetB"
        sources { checkpoint: "a" }
        key_rules { add_prefix: "x." }
        key_rules { rename { from: "x.a" to: "b" } }
        key_rules { strip_prefix: "module." }
        key_rules { regex { pattern: "^(\\w+)\\." replacement: "\\1_" } }
        key_rules { rename { from: "c" to: "d=e" } }
      )pb");
}

TEST(WarmStartRequestTest, SubtreeBelongsToTheSourceBeforeIt) {
  ExpectRequest({"N", "--from", "a", "--subtree", "model", "--from", "b",
                 "--from", "c", "--subtree", "ema"},
                R"pb(
                  architecture: "N"
                  sources { checkpoint: "a" subtree: "model" }
                  sources { checkpoint: "b" }
                  sources { checkpoint: "c" subtree: "ema" }
                )pb");
  ExpectUsageError({"N", "--subtree", "x", "--from", "a"},
                   "--subtree comes after the --from that it belongs to");
  ExpectUsageError({"N", "--from", "a", "--subtree", "x", "--subtree", "y"},
                   "--subtree is given twice for one --from");
}

TEST(WarmStartRequestTest, SourcesHaveWeightsAndAdapters) {
  ExpectRequest({"N", "--from", "a", "--weight", "0.25", "--from", "b",
                 "--lora", "16,rslora", "--combine", "average"},
                R"pb(
                  architecture: "N"
                  sources { checkpoint: "a" weight: 0.25 }
                  sources {
                    checkpoint: "b"
                    lora { alpha: 16 rslora: true }
                  }
                  combination { weighted_average {} }
                )pb");
  ExpectUsageError({"N", "--weight", "1", "--from", "a"},
                   "--weight comes after the --from that it belongs to");
  ExpectUsageError({"N", "--from", "a", "--weight", "x"},
                   "--weight: 'x' is no number");
}

TEST(WarmStartRequestTest, MatchingFlagsHaveTheirFields) {
  ExpectRequest({"N",
                 "--from",
                 "a",
                 "--strip-prefix",
                 "m.",
                 "--template",
                 "h.{i}=l.{i}",
                 "--rule",
                 R"({"addPrefix": "x."})",
                 "--invert",
                 "--match",
                 "auto",
                 "--adapt",
                 "head.*=rows",
                 "--init",
                 "*.proj=zeros",
                 "--coverage",
                 "backbone.*=1",
                 "--expect-missing",
                 "head",
                 "--expect-unexpected",
                 "fc\\.",
                 "--refuse-non-finite",
                 "--on-shape-mismatch",
                 "adapt"},
                R"pb(
                  architecture: "N"
                  sources { checkpoint: "a" }
                  key_rules { strip_prefix: "m." }
                  key_rules { template { to: "h.{i}" from: "l.{i}" } }
                  key_rules { add_prefix: "x." }
                  invert_key_rules: true
                  key_matching: KEY_MATCHING_AUTO
                  shape_adapters {
                    keys: "head.*"
                    rows {}
                  }
                  initializers {
                    keys: "*.proj"
                    initializer { zeros {} }
                  }
                  coverage_gates { keys: "backbone.*" min_coverage: 1 }
                  expected_missing: "head"
                  expected_unexpected: "fc\\."
                  refuse_non_finite: true
                  on_shape_mismatch: SHAPE_MISMATCH_POLICY_ADAPT
                )pb");
}

TEST(WarmStartRequestTest, MistakesAreUsageErrors) {
  ExpectUsageError({"N"}, "--from HANDLE is missing: what to start from");
  ExpectUsageError({"N", "--from", "a", "--rename", "ab"},
                   "--rename takes OLD=NEW; not \"ab\"");
  ExpectUsageError({"N", "--from", "a", "--rename-regex", "=b"},
                   "--rename-regex takes RE=REPL; not \"=b\"");
  ExpectUsageError({"N", "--from", "a", "--min-coverage", "90"},
                   "--min-coverage takes a number from 0 to 1; not \"90\"");
  ExpectUsageError({"N", "--from", "a", "--seed", "-1"},
                   "--seed takes a whole number, 0 or more; not \"-1\"");
  ExpectUsageError({"N", "--from", "a", "--label", "x"},
                   "--label takes KEY=VALUE; not \"x\"");
}

}  // namespace
}  // namespace warmstart::client
