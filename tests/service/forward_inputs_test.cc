#include "server/service/forward_inputs.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/service/files.h"
#include "tests/service/specs.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

absl::Status Refused(const std::vector<ForwardInput>& inputs,
                     absl::string_view file = "") {
  return ForwardInputs::Make(inputs, file).status();
}

ForwardInput Drawn(const std::string& name, std::vector<int64_t> sizes,
                   DType dtype = DType::kFloat32, RandomValues values = {}) {
  return {name, SpecOf(std::move(sizes), dtype), values};
}

TEST(ForwardInputsTest, ValuesAreBorrowedAndDrawnOnesOwned) {
  const std::string bytes = "abcdefgh";
  ASSERT_OK_AND_ASSIGN(
      const ForwardInputs inputs,
      ForwardInputs::Make({{{"a", SpecOf({2}), bytes}, Drawn("b", {3})}}, ""));
  const std::vector<backend::ModelInput> views = inputs.Views();
  ASSERT_THAT(views, SizeIs(2));
  EXPECT_EQ(views[0].tensor.bytes.data(), bytes.data());
  EXPECT_EQ(views[1].name, "b");
  EXPECT_THAT(views[1].tensor.bytes, SizeIs(12));
}

TEST(ForwardInputsTest, IntegersAreBelowHigh) {
  ASSERT_OK_AND_ASSIGN(
      const ForwardInputs inputs,
      ForwardInputs::Make({{Drawn("", {1000}, DType::kUint8, {.high = 7})}},
                          ""));
  int most = 0;
  const auto views = inputs.Views();
  for (const char c : views[0].tensor.bytes) most = std::max<int>(most, c);
  EXPECT_EQ(most, 6);
}

TEST(ForwardInputsTest, TheFieldThatIsWrongIsNamed) {
  EXPECT_EQ(FieldOf(Refused({})), "inputs");
  EXPECT_EQ(FieldOf(Refused({Drawn("", {1})}, "a file")), "inputs");
  const absl::Status size = Refused({{"", SpecOf({2}), "abc"}});
  EXPECT_EQ(FieldOf(size), "inputs[0].tensor.data");
  EXPECT_THAT(size.message(),
              HasSubstr("has 3 bytes, but float32 [2] takes 8"));
  EXPECT_EQ(FieldOf(Refused({Drawn("", {1}),
                             Drawn("", {1}, DType::kFloat32, {.high = 3})})),
            "inputs[1].random.high");
  EXPECT_EQ(FieldOf(Refused({Drawn("", {4}, DType::kInt8, {.high = 1 << 20})})),
            "inputs[0].random");
}

TEST(ForwardInputsTest, AShapeOfAFewBytesCannotTakeAllMemory) {
  EXPECT_THAT(Refused({Drawn("", {1 << 30, 1 << 10})}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("take more than")));
}

TEST(ForwardInputsTest, NamesAreForAllOrNoneAndNotThereTwice) {
  EXPECT_THAT(Refused({Drawn("a", {1}), Drawn("", {1})}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("some have names")));
  EXPECT_THAT(Refused({Drawn("a", {1}), Drawn("a", {1})}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("'a' is there twice")));
}

TEST(ForwardInputsTest, AFileThatIsNoneIsInvalid) {
  const absl::Status refused = Refused({}, "nonsense");
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(ReasonOf(refused), "INVALID_FILE");
  EXPECT_EQ(FieldOf(refused), "input_file");
}

TEST(ForwardInputsTest, EveryCutOfAFileIsRefusedOrHarmless) {
  for (const std::string& file : {MakeTorchFile({FloatTensor("x", {3})}),
                                  MakeSafetensors({FloatTensor("x", {3})})}) {
    for (size_t size = 1; size < file.size(); ++size) {
      EXPECT_THAT(Refused({}, absl::string_view(file).substr(0, size)),
                  StatusIs(absl::StatusCode::kInvalidArgument))
          << size;
    }
  }
}

TEST(ForwardInputsTest, ADamagedTorchFileIsNoticed) {
  const Tensor tensor = FloatTensor("x", {64});
  std::string file = MakeTorchFile({tensor});
  const size_t at = file.find(tensor.bytes);
  ASSERT_NE(at, std::string::npos);
  file[at] ^= 1;
  EXPECT_THAT(Refused({}, file), StatusIs(absl::StatusCode::kInvalidArgument,
                                          HasSubstr("damaged")));
}

}  // namespace
}  // namespace warmstart::service
