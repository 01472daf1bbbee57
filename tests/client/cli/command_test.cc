#include "client/cli/command.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmstart::client {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(CommandTest, OneWordOrTwoNameACommand) {
  EXPECT_EQ(FindCommand({"save", "a.pt"}), &kSaveCommand);
  EXPECT_EQ(FindCommand({"save"}), &kSaveCommand);
  EXPECT_EQ(FindCommand({"alias", "set", "a"}), &kAliasSetCommand);
  EXPECT_EQ(FindCommand({"alias"}), nullptr);
  EXPECT_EQ(FindCommand({"alias", "save"}), nullptr);
  EXPECT_EQ(FindCommand({}), nullptr);
}

TEST(CommandTest, GroupsAreFirstWords) {
  EXPECT_THAT(CommandsOfGroup("alias"), SizeIs(3));
  EXPECT_THAT(CommandsOfGroup("architectures"), SizeIs(4));
  EXPECT_THAT(CommandsOfGroup("save"), IsEmpty());
  EXPECT_THAT(CommandsOfGroup("ali"), IsEmpty());
}

TEST(CommandTest, GlobalFlagsAreEveryCommandsFlags) {
  for (const Command* command : Commands()) {
    EXPECT_NE(FindFlag(command->AllFlags(), "--server"), nullptr);
    EXPECT_NE(FindFlag(command->AllFlags(), "-h"), nullptr);
  }
}

}  // namespace
}  // namespace warmstart::client
