#include "server/planner/torch_messages.h"

#include "gtest/gtest.h"

namespace warmstart::planner {
namespace {

// Each right side was printed by Python 3.11.
TEST(TorchMessagesTest, ReprIsPythons) {
  EXPECT_EQ(PythonRepr("fc.weight"), "'fc.weight'");
  EXPECT_EQ(PythonRepr("it's"), "\"it's\"");
  EXPECT_EQ(PythonRepr("it's \"so\""), "'it\\'s \"so\"'");
  EXPECT_EQ(PythonRepr("a\\b\n\t\r"), "'a\\\\b\\n\\t\\r'");
  EXPECT_EQ(PythonRepr("\x01\x7F"), "'\\x01\\x7f'");
  EXPECT_EQ(PythonRepr("\xC3\xA9"), "'\xC3\xA9'");
}

TEST(TorchMessagesTest, IncompatibleKeysPrintAsTheNamedTupleDoes) {
  EXPECT_EQ(IncompatibleKeysRepr({}, {}), "<All keys matched successfully>");
  EXPECT_EQ(IncompatibleKeysRepr({"a", "b"}, {}),
            "_IncompatibleKeys(missing_keys=['a', 'b'], unexpected_keys=[])");
  EXPECT_EQ(IncompatibleKeysRepr({}, {"c"}),
            "_IncompatibleKeys(missing_keys=[], unexpected_keys=['c'])");
}

TEST(TorchMessagesTest, ErrorsReadAsPyTorchRaisesThem) {
  EXPECT_EQ(SizeMismatchMessage("fc3.weight", Shape::Create({10, 84}).value(),
                                Shape::Create({4, 84}).value()),
            "size mismatch for fc3.weight: copying a param with shape "
            "torch.Size([10, 84]) from checkpoint, the shape in current model "
            "is torch.Size([4, 84]).");
  EXPECT_EQ(MissingKeysMessage({"a", "b"}),
            "Missing key(s) in state_dict: \"a\", \"b\". ");
  EXPECT_EQ(UnexpectedKeysMessage({"c"}),
            "Unexpected key(s) in state_dict: \"c\". ");
  EXPECT_EQ(LoadingErrorMessage("NetB", {"one", "two"}),
            "Error(s) in loading state_dict for NetB:\n\tone\n\ttwo");
}

}  // namespace
}  // namespace warmstart::planner
