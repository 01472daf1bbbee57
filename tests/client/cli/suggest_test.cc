#include "client/cli/suggest.h"

#include "gtest/gtest.h"

namespace warmstart::client {
namespace {

const std::vector<std::string> kCommands = {"save", "show", "warm-start",
                                            "list"};

TEST(SuggestTest, NearestCandidateIsNamed) {
  EXPECT_EQ(DidYouMean("lst", kCommands), "; did you mean list?");
  EXPECT_EQ(DidYouMean("lsit", kCommands), "; did you mean list?");
  EXPECT_EQ(DidYouMean("saves", kCommands), "; did you mean save?");
  EXPECT_EQ(DidYouMean("warmstart", kCommands), "; did you mean warm-start?");
  EXPECT_EQ(DidYouMean("warm", kCommands), "; did you mean warm-start?");
}

TEST(SuggestTest, NothingNearNamesNothing) {
  EXPECT_EQ(DidYouMean("deploy", kCommands), "");
  EXPECT_EQ(DidYouMean("", kCommands), "");
  EXPECT_EQ(DidYouMean("x", {}), "");
}

}  // namespace
}  // namespace warmstart::client
