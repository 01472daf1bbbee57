#include "server/rpc/request_translation.h"

#include <google/protobuf/text_format.h>

#include <cmath>
#include <string>
#include <variant>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "server/rpc/architecture_translation.h"
#include "server/rpc/initializer_translation.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::warmstart::service::FieldOf;
using ::warmstart::testing::StatusIs;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

template <typename Message>
Message Parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message))
      << text;
  return message;
}

absl::StatusOr<service::WarmStartRequest> WarmStartOf(const std::string& text) {
  return FromProto(Parse<v1::WarmStartRequest>(text));
}

absl::StatusOr<Architecture> ArchitectureOf(const std::string& text) {
  return FromProto(Parse<v1::Architecture>(text));
}

TEST(SaveModelHeaderTest, EveryFieldIsTranslated) {
  ASSERT_OK_AND_ASSIGN(const service::SaveModelRequest request,
                       FromProto(Parse<v1::SaveModelHeader>(R"(
        architecture: "NetA" seed: 18446744073709551615 device: "cuda:1"
        labels { key: "a" value: "b" } alias: "x/y" request_id: "id"
        ttl { seconds: 60 nanos: 5 })")));
  EXPECT_EQ(request.architecture, "NetA");
  EXPECT_EQ(request.seed, UINT64_MAX);
  EXPECT_EQ(request.device, "cuda:1");
  EXPECT_THAT(request.options.labels, ElementsAre(Pair("a", "b")));
  EXPECT_EQ(request.options.alias, "x/y");
  EXPECT_EQ(request.options.request_id, "id");
  EXPECT_EQ(request.options.expiration,
            store::Expiration(absl::Seconds(60) + absl::Nanoseconds(5)));
}

TEST(SaveModelHeaderTest, ASeedOfZeroIsOne) {
  EXPECT_EQ(FromProto(Parse<v1::SaveModelHeader>(""))->seed, std::nullopt);
  EXPECT_EQ(FromProto(Parse<v1::SaveModelHeader>("seed: 0"))->seed, 0);
}

TEST(SaveModelHeaderTest, ItExpiresAtATimeOrNever) {
  ASSERT_OK_AND_ASSIGN(const service::SaveModelRequest at,
                       FromProto(Parse<v1::SaveModelHeader>(
                           "expire_time { seconds: 7 nanos: 5 }")));
  EXPECT_EQ(at.options.expiration,
            store::Expiration(absl::FromUnixNanos(7'000'000'005)));
  EXPECT_EQ(FromProto(Parse<v1::SaveModelHeader>(""))->options.expiration,
            store::Expiration());
  for (const char* text :
       {"expire_time { nanos: -1 }", "expire_time { seconds: 1000000000000 }",
        "ttl { seconds: 1 nanos: -1 }", "ttl { seconds: 1000000000000 }"}) {
    EXPECT_THAT(FromProto(Parse<v1::SaveModelHeader>(text)),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
}

TEST(WarmStartRequestTest, EveryFieldIsTranslated) {
  ASSERT_OK_AND_ASSIGN(const service::WarmStartRequest request, WarmStartOf(R"(
    architecture: "NetB"
    sources { checkpoint: "checkpoints/a" subtree: "model" }
    sources { checkpoint: "aliases/b" }
    key_rules { rename { from: "f" to: "t" } }
    key_rules { regex { pattern: "p" replacement: "r" } }
    key_rules { strip_prefix: "s" }
    key_rules { add_prefix: "a" }
    include: "i1" include: "i2" exclude: "e"
    strict: true
    on_shape_mismatch: SHAPE_MISMATCH_POLICY_SKIP
    on_dtype_mismatch: DTYPE_MISMATCH_POLICY_KEEP
    min_coverage: 0.5 device: "cpu" seed: 3 validate_only: true
    labels { key: "k" value: "v" } alias: "x" request_id: "id")"));
  EXPECT_EQ(request.architecture, "NetB");
  ASSERT_THAT(request.sources, SizeIs(2));
  EXPECT_EQ(request.sources[0].checkpoint, "checkpoints/a");
  EXPECT_EQ(request.sources[0].subtree, "model");
  EXPECT_EQ(request.sources[1].checkpoint, "aliases/b");
  ASSERT_THAT(request.rules, SizeIs(4));
  EXPECT_EQ(request.rules[0], KeyRule(RenameRule{"f", "t"}));
  EXPECT_EQ(request.rules[1], KeyRule(RegexRule{"p", "r"}));
  EXPECT_EQ(request.rules[2], KeyRule(StripPrefixRule{"s"}));
  EXPECT_EQ(request.rules[3], KeyRule(AddPrefixRule{"a"}));
  EXPECT_THAT(request.include, ElementsAre("i1", "i2"));
  EXPECT_THAT(request.exclude, ElementsAre("e"));
  EXPECT_TRUE(request.strict);
  EXPECT_EQ(request.on_shape_mismatch, planner::ShapePolicy::kSkip);
  EXPECT_EQ(request.on_dtype_mismatch, planner::DTypePolicy::kKeep);
  EXPECT_EQ(request.min_coverage, 0.5);
  EXPECT_EQ(request.device, "cpu");
  EXPECT_EQ(request.seed, 3);
  EXPECT_TRUE(request.validate_only);
  EXPECT_THAT(request.options.labels, ElementsAre(Pair("k", "v")));
  EXPECT_EQ(request.options.alias, "x");
  EXPECT_EQ(request.options.request_id, "id");
}

TEST(WarmStartRequestTest, TheDefaultsArePyTorchs) {
  ASSERT_OK_AND_ASSIGN(const service::WarmStartRequest request,
                       WarmStartOf(""));
  EXPECT_FALSE(request.strict);
  EXPECT_EQ(request.on_shape_mismatch, planner::ShapePolicy::kError);
  EXPECT_EQ(request.on_dtype_mismatch, planner::DTypePolicy::kCast);
  EXPECT_EQ(request.min_coverage, 0);
  EXPECT_EQ(request.seed, std::nullopt);
  EXPECT_FALSE(request.validate_only);
}

TEST(WarmStartRequestTest, EveryPolicyIsKnown) {
  ASSERT_OK_AND_ASSIGN(
      service::WarmStartRequest request,
      WarmStartOf("on_shape_mismatch: SHAPE_MISMATCH_POLICY_ERROR "
                  "on_dtype_mismatch: DTYPE_MISMATCH_POLICY_ERROR"));
  EXPECT_EQ(request.on_shape_mismatch, planner::ShapePolicy::kError);
  EXPECT_EQ(request.on_dtype_mismatch, planner::DTypePolicy::kError);
  ASSERT_OK_AND_ASSIGN(
      request, WarmStartOf("on_dtype_mismatch: DTYPE_MISMATCH_POLICY_CAST"));
  EXPECT_EQ(request.on_dtype_mismatch, planner::DTypePolicy::kCast);
}

// A newer client may know more than this server; it must not be misunderstood.
TEST(WarmStartRequestTest, WhatIsUnknownIsRefusedByField) {
  v1::WarmStartRequest request;
  request.add_key_rules()->set_add_prefix("a");
  request.add_key_rules();
  EXPECT_EQ(FieldOf(FromProto(request).status()), "key_rules[1]");
  request.Clear();
  request.set_on_shape_mismatch(static_cast<v1::ShapeMismatchPolicy>(77));
  EXPECT_THAT(FromProto(request), StatusIs(kInvalid, HasSubstr("77")));
  EXPECT_EQ(FieldOf(FromProto(request).status()), "on_shape_mismatch");
  request.Clear();
  request.set_on_dtype_mismatch(static_cast<v1::DtypeMismatchPolicy>(77));
  EXPECT_EQ(FieldOf(FromProto(request).status()), "on_dtype_mismatch");
  EXPECT_EQ(FieldOf(FromProto(static_cast<v1::FileFormat>(77)).status()),
            "format");
}

TEST(ArchitectureTest, EveryFieldIsTranslated) {
  ASSERT_OK_AND_ASSIGN(const Architecture architecture, ArchitectureOf(R"(
    name: "architectures/mine"
    entries { key: "w" shape: 2 shape: 3 dtype: "float16"
              initializer { kaiming_uniform { a: 1 mode: "fan_out"
                                              nonlinearity: "tanh" } } }
    entries { key: "n" dtype: "int64" buffer: true }
    modules { path: "" version: 0 } modules { path: "bn" version: 2 }
    built_in: true has_forward: true)"));
  EXPECT_EQ(architecture.name, "architectures/mine");
  ASSERT_THAT(architecture.entries, SizeIs(2));
  EXPECT_EQ(architecture.entries[0].key, "w");
  EXPECT_EQ(architecture.entries[0].spec.ToString(), "float16 [2, 3]");
  EXPECT_EQ(architecture.entries[0].kind, EntryKind::kParameter);
  EXPECT_EQ(architecture.entries[0].initializer,
            Initializer(
                KaimingUniformInit{1, FanMode::kFanOut, Nonlinearity::kTanh}));
  EXPECT_EQ(architecture.entries[1].spec.ToString(), "int64 []");
  EXPECT_EQ(architecture.entries[1].kind, EntryKind::kBuffer);
  EXPECT_THAT(architecture.modules,
              ElementsAre(ModuleVersion{"", 1}, ModuleVersion{"bn", 2}));
}

TEST(ArchitectureTest, EveryInitializerIsTranslatedWithItsDefaults) {
  const std::pair<std::string, Initializer> cases[] = {
      {"", ConstantInit{0}},
      {"zeros {}", ConstantInit{0}},
      {"ones {}", ConstantInit{1}},
      {"constant { value: -0.5 }", ConstantInit{-0.5}},
      {"normal {}", NormalInit{0, 1}},
      {"normal { mean: 2 std: 0 }", NormalInit{2, 0}},
      {"uniform {}", UniformInit{0, 1}},
      {"uniform { low: -1 high: 0 }", UniformInit{-1, 0}},
      {"kaiming_uniform {}", KaimingUniformInit{}},
      {"kaiming_uniform { a: 0 mode: 'fan_in' nonlinearity: 'leaky_relu' }",
       KaimingUniformInit{0}},
      {"kaiming_uniform { nonlinearity: 'relu' }",
       KaimingUniformInit{std::sqrt(5.0), FanMode::kFanIn,
                          Nonlinearity::kRelu}},
      {"kaiming_uniform { nonlinearity: 'linear' }",
       KaimingUniformInit{std::sqrt(5.0), FanMode::kFanIn,
                          Nonlinearity::kLinear}},
      {"normal { zero_row: 0 }", NormalInit{0, 1, 0}},
      {"kaiming_normal {}", KaimingNormalInit{0}},
      {"kaiming_normal { a: 1 mode: 'fan_out' nonlinearity: 'selu' }",
       KaimingNormalInit{1, FanMode::kFanOut, Nonlinearity::kSelu}},
      {"kaiming_normal { nonlinearity: 'conv_transpose3d' }",
       KaimingNormalInit{0, FanMode::kFanIn, Nonlinearity::kLinear}},
      {"xavier_uniform {}", XavierUniformInit{1}},
      {"xavier_uniform { gain: 0 }", XavierUniformInit{0}},
      {"xavier_normal {}", XavierNormalInit{1}},
      {"xavier_normal { gain: 2 }", XavierNormalInit{2}},
      {"trunc_normal {}", TruncNormalInit{0, 1, -2, 2}},
      {"trunc_normal { mean: 1 std: 0.5 a: 0 b: 0 }",
       TruncNormalInit{1, 0.5, 0, 0}},
      {"orthogonal {}", OrthogonalInit{1}},
      {"orthogonal { gain: -1 }", OrthogonalInit{-1}},
      {"sparse { sparsity: 0.1 }", SparseInit{0.1, 0.01}},
      {"sparse { std: 0 }", SparseInit{0, 0}},
      {"eye {}", EyeInit{}},
      {"dirac {}", DiracInit{1}},
      {"dirac { groups: 4 }", DiracInit{4}},
      {"stored {}", StoredInit{}},
      {"stored { key: 'a.key' }", StoredInit{"a.key", {}}},
      {"fan_in_uniform { fan_in: 400 }", FanInUniformInit{400}},
  };
  for (const auto& [text, initializer] : cases) {
    ASSERT_OK_AND_ASSIGN(
        const Architecture architecture,
        ArchitectureOf("entries { key: 'w' initializer { " + text + " } }"));
    EXPECT_EQ(architecture.entries[0].initializer, initializer) << text;
    EXPECT_EQ(architecture.entries[0].spec.dtype(), DType::kFloat32);
  }
}

TEST(ArchitectureTest, WhatCannotBeExpressedIsRefusedByField) {
  const std::pair<std::string, std::string> cases[] = {
      {"dtype: 'float31'", ".dtype"},
      {"shape: -1", ".shape"},
      {"shape: 4611686018427387904 shape: 2", ".shape"},
      {"shape: 4611686018427387904", ".shape"},  // in bytes
      {"initializer { kaiming_uniform { mode: 'x' } }",
       ".initializer.kaiming_uniform.mode"},
      {"initializer { kaiming_uniform { nonlinearity: 'x' } }",
       ".initializer.kaiming_uniform.nonlinearity"},
      {"initializer { kaiming_normal { mode: 'x' } }",
       ".initializer.kaiming_normal.mode"},
      {"initializer { kaiming_normal { nonlinearity: 'x' } }",
       ".initializer.kaiming_normal.nonlinearity"},
  };
  for (const auto& [text, field] : cases) {
    const auto architecture = ArchitectureOf(
        "entries { key: 'fine' } entries { key: 'w' " + text + " }");
    EXPECT_THAT(architecture, StatusIs(kInvalid)) << text;
    EXPECT_EQ(FieldOf(architecture.status()),
              "architecture.entries[1]" + field);
  }
}

TEST(FileFormatTest, TorchIsTheDefault) {
  for (const auto& [format, expected] :
       {std::pair{v1::FILE_FORMAT_UNSPECIFIED, service::FileFormat::kTorch},
        std::pair{v1::FILE_FORMAT_TORCH, service::FileFormat::kTorch},
        std::pair{v1::FILE_FORMAT_SAFETENSORS,
                  service::FileFormat::kSafetensors}}) {
    ASSERT_OK_AND_ASSIGN(const service::FileFormat translated,
                         FromProto(format));
    EXPECT_EQ(translated, expected);
  }
}

TEST(ListCheckpointsRequestTest, EveryFieldIsTranslated) {
  ASSERT_OK_AND_ASSIGN(const store::ListCheckpointsOptions options,
                       FromProto(Parse<v1::ListCheckpointsRequest>(R"(
        page_size: 5 page_token: "t" architecture: "architectures/NetA"
        labels { key: "a" value: "b" } alias: "aliases/x/*")")));
  EXPECT_EQ(options.page_size, 5);
  EXPECT_EQ(options.page_token, "t");
  EXPECT_EQ(options.architecture->ToString(), "architectures/NetA");
  EXPECT_THAT(options.labels, ElementsAre(Pair("a", "b")));
  EXPECT_EQ(options.alias, "x/*");
}

TEST(ListCheckpointsRequestTest, TheDefaultFiltersNothing) {
  ASSERT_OK_AND_ASSIGN(const store::ListCheckpointsOptions options,
                       FromProto(v1::ListCheckpointsRequest()));
  EXPECT_EQ(options.page_size, 50);
  EXPECT_FALSE(options.architecture.has_value());
  EXPECT_EQ(options.alias, "");
  EXPECT_THAT(options.labels, IsEmpty());
}

TEST(ListCheckpointsRequestTest, FiltersThatCannotBeNamesAreRefused) {
  const auto options =
      FromProto(Parse<v1::ListCheckpointsRequest>("architecture: 'a b'"));
  EXPECT_THAT(options, StatusIs(kInvalid));
  EXPECT_EQ(FieldOf(options.status()), "architecture");
}

TEST(PageSizeTest, SizesAreKeptWithinTheLimits) {
  EXPECT_THAT(PageSize(0, 50, 1000), ::warmstart::testing::IsOkAndHolds(50));
  EXPECT_THAT(PageSize(1, 50, 1000), ::warmstart::testing::IsOkAndHolds(1));
  EXPECT_THAT(PageSize(1000, 50, 1000),
              ::warmstart::testing::IsOkAndHolds(1000));
  EXPECT_THAT(PageSize(INT32_MAX, 50, 1000),
              ::warmstart::testing::IsOkAndHolds(1000));
  EXPECT_EQ(FieldOf(PageSize(-1, 50, 1000).status()), "page_size");
}

}  // namespace
}  // namespace warmstart::rpc
