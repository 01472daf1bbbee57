#include "server/model/architecture_json.h"

#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart {
namespace {

using ::testing::HasSubstr;
using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::StatusIs;

TensorSpec Spec(DType dtype, std::vector<int64_t> sizes) {
  return TensorSpec::Create(dtype, Shape::Create(std::move(sizes)).value())
      .value();
}

TEST(ArchitectureJsonTest, EveryInitializerComesBack) {
  Architecture architecture;
  architecture.name = "Net";
  const Initializer initializers[] = {
      ConstantInit{0},
      ConstantInit{0.1},
      ConstantInit{std::numeric_limits<double>::infinity()},
      ConstantInit{-std::numeric_limits<double>::infinity()},
      NormalInit{0.25, 1e-300},
      NormalInit{0, 1, 0},
      NormalInit{0, 1, 7},
      UniformInit{-0.1, 0.30000000000000004},
      KaimingUniformInit{},
      KaimingUniformInit{0.2, FanMode::kFanOut, Nonlinearity::kTanh},
      KaimingNormalInit{0.2, FanMode::kFanOut, Nonlinearity::kSelu},
      KaimingNormalInit{0, FanMode::kFanIn, Nonlinearity::kSigmoid},
      XavierUniformInit{0.1},
      XavierNormalInit{5.0 / 3},
      TruncNormalInit{0.1, 0.02, -0.3, 0.4},
      OrthogonalInit{1.4142135623730951},
      SparseInit{0.1, 0.3},
      EyeInit{},
      DiracInit{3},
      FanInUniformInit{400},
      StoredInit{"a.key", Digest::Of("bytes")},
  };
  for (const Initializer& initializer : initializers) {
    architecture.entries.push_back({std::to_string(architecture.entries.size()),
                                    Spec(DType::kBFloat16, {2, 0, 3}),
                                    EntryKind::kBuffer, initializer});
  }
  architecture.modules = {{"", 1}, {"bn", 2}};

  EXPECT_THAT(ArchitectureFromJson(ArchitectureToJson(architecture)),
              IsOkAndHolds(architecture));
}

TEST(ArchitectureJsonTest, KeysWithQuotesAndUnicodeComeBack) {
  Architecture architecture;
  architecture.name = "Net";
  architecture.entries.push_back({"a\"b\\c\n\xC3\xA9", Spec(DType::kBool, {}),
                                  EntryKind::kParameter, ConstantInit{1}});
  EXPECT_THAT(ArchitectureFromJson(ArchitectureToJson(architecture)),
              IsOkAndHolds(architecture));
}

TEST(ArchitectureJsonTest, TextThatWasNotWrittenHereIsDataLoss) {
  const char* const texts[] = {
      "",
      "{",
      "[]",
      "{}",
      R"({"name":"a","entries":[{}],"modules":[]})",
      R"({"name":"a","entries":[{"dtype":"float33","shape":[],"key":"k",)"
      R"("buffer":false,"initializer":{"kind":"constant","value":0}}],)"
      R"("modules":[]})",
      R"({"name":"a","entries":[{"dtype":"float32","shape":[-1],"key":"k",)"
      R"("buffer":false,"initializer":{"kind":"constant","value":0}}],)"
      R"("modules":[]})",
      R"({"name":"a","entries":[{"dtype":"float32","shape":[],"key":"k",)"
      R"("buffer":false,"initializer":{"kind":"magic"}}],"modules":[]})",
  };
  for (const char* text : texts) {
    EXPECT_THAT(
        ArchitectureFromJson(text),
        StatusIs(absl::StatusCode::kDataLoss, HasSubstr("architecture")))
        << text;
  }
}

}  // namespace
}  // namespace warmstart
