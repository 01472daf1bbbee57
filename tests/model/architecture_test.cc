#include "server/model/architecture.h"

#include <cmath>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::warmstart::testing::IsOk;
using ::warmstart::testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

ArchitectureEntry Entry(std::string key, std::vector<int64_t> sizes,
                        Initializer initializer,
                        DType dtype = DType::kFloat32) {
  return {std::move(key),
          TensorSpec::Create(dtype, Shape::Create(std::move(sizes)).value())
              .value(),
          EntryKind::kParameter, initializer};
}

Architecture Net(ArchitectureEntry entry) {
  Architecture architecture;
  architecture.name = "Net";
  architecture.entries.push_back(std::move(entry));
  return architecture;
}

TEST(ValidateArchitectureTest, AcceptsWhatPyTorchHas) {
  Architecture net =
      Net(Entry("conv.weight", {6, 3, 5, 5}, KaimingUniformInit{}));
  net.entries.push_back(Entry("conv.bias", {6}, FanInUniformInit{75}));
  net.entries.push_back(Entry("scale", {}, ConstantInit{1}));
  net.entries.push_back(
      Entry("bn.num_batches_tracked", {}, ConstantInit{0}, DType::kInt64));
  net.entries.push_back(Entry("empty", {0, 4}, NormalInit{}));
  net.modules = {{"", 1}, {"conv", 1}, {"bn", 2}};
  EXPECT_THAT(ValidateArchitecture(net), IsOk());
}

TEST(ValidateArchitectureTest, RefusesNamesThatCannotBeInResourceNames) {
  for (const char* name : {"", "-a", "a/b", "a b", "architectures/a", "\xFF"}) {
    Architecture net = Net(Entry("w", {2}, ConstantInit{}));
    net.name = name;
    EXPECT_THAT(ValidateArchitecture(net), StatusIs(kInvalid)) << name;
  }
}

TEST(ValidateArchitectureTest, RefusesNoEntries) {
  Architecture net;
  net.name = "Net";
  EXPECT_THAT(ValidateArchitecture(net),
              StatusIs(kInvalid, HasSubstr("entries")));
}

TEST(ValidateArchitectureTest, NamesTheKeyThatIsThereTwice) {
  Architecture net = Net(Entry("w", {2}, ConstantInit{}));
  net.entries.push_back(Entry("v", {2}, ConstantInit{}));
  net.entries.push_back(Entry("w", {3}, ConstantInit{}));
  EXPECT_THAT(ValidateArchitecture(net),
              StatusIs(kInvalid, AllOf(HasSubstr("entries[2]"),
                                       HasSubstr("'w' is there twice"))));
}

TEST(ValidateArchitectureTest, RefusesKeysThatAreEmptyOrNotUtf8) {
  EXPECT_THAT(ValidateArchitecture(Net(Entry("", {2}, ConstantInit{}))),
              StatusIs(kInvalid, HasSubstr("entries[0]")));
  EXPECT_THAT(ValidateArchitecture(Net(Entry("\xC0\x80", {2}, ConstantInit{}))),
              StatusIs(kInvalid, HasSubstr("UTF-8")));
}

TEST(ValidateArchitectureTest, RefusesInitializersThatMakeNoSense) {
  const std::pair<Initializer, const char*> cases[] = {
      {NormalInit{0, -1}, "std"},
      {NormalInit{NAN, 1}, "finite"},
      {UniformInit{1, 0}, "low <= high"},
      {UniformInit{0, INFINITY}, "finite"},
      {KaimingUniformInit{}, "two dimensions"},
      {FanInUniformInit{-1}, "fan_in"},
  };
  for (const auto& [initializer, problem] : cases) {
    EXPECT_THAT(
        ValidateArchitecture(Net(Entry("w", {2}, initializer))),
        StatusIs(kInvalid, AllOf(HasSubstr("'w'"), HasSubstr(problem))));
  }
}

TEST(ValidateArchitectureTest, RefusesFractionsInWholeNumbers) {
  EXPECT_THAT(
      ValidateArchitecture(Net(Entry("n", {2}, UniformInit{}, DType::kInt64))),
      StatusIs(kInvalid, HasSubstr("int64")));
}

TEST(ValidateArchitectureTest, RefusesSizesThatOverflowTogether) {
  const int64_t most = int64_t{1} << 60;
  Architecture net = Net(Entry("a", {most}, ConstantInit{}));
  net.entries.push_back(Entry("b", {most}, ConstantInit{}));
  EXPECT_THAT(ValidateArchitecture(net),
              StatusIs(kInvalid, HasSubstr("overflow")));
}

TEST(ValidateArchitectureTest, RefusesModulesThatAreThereTwice) {
  Architecture net = Net(Entry("w", {2}, ConstantInit{}));
  net.modules = {{"a", 1}, {"a", 1}};
  EXPECT_THAT(ValidateArchitecture(net),
              StatusIs(kInvalid, HasSubstr("modules[1]")));
}

TEST(InitializerNameTest, IsTorchsFunction) {
  EXPECT_EQ(InitializerName(ConstantInit{0}), "zeros");
  EXPECT_EQ(InitializerName(ConstantInit{1}), "ones");
  EXPECT_EQ(InitializerName(ConstantInit{2}), "constant");
  EXPECT_EQ(InitializerName(KaimingUniformInit{}), "kaiming_uniform");
}

}  // namespace
}  // namespace warmstart
