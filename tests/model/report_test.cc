#include "server/model/report.h"

#include "gtest/gtest.h"

namespace warmstart {
namespace {

TEST(CoverageTest, FractionsAreLoadedOverTotal) {
  const Coverage coverage{1, 4, 30, 40, 5, 10};
  EXPECT_DOUBLE_EQ(coverage.KeyFraction(), 0.25);
  EXPECT_DOUBLE_EQ(coverage.ParameterFraction(), 0.75);
  EXPECT_DOUBLE_EQ(coverage.ByteFraction(), 0.5);
}

TEST(CoverageTest, NothingToLoadIsCovered) {
  EXPECT_DOUBLE_EQ(Coverage().ParameterFraction(), 1.0);
}

}  // namespace
}  // namespace warmstart
