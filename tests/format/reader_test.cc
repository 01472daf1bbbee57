#include "server/format/reader.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/format/hand_made.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::format {
namespace {

using hand_made::Call;
using hand_made::Dict;
using hand_made::Floats;
using hand_made::FloatVector;
using hand_made::Global;
using hand_made::Text;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

std::string Checkpoint(const std::string& key) {
  return hand_made::TorchZip(Dict({{Text(key), FloatVector("0", 1)}}),
                             {{"0", Floats({1})}});
}

TEST(ReaderTest, OneFileIsRead) {
  const std::string bytes = Checkpoint("w");
  const std::vector<FileView> files = {{"model.pt", bytes}};
  ASSERT_OK_AND_ASSIGN(const FileContents contents, ReadFiles(files));
  EXPECT_THAT(contents.tensors, SizeIs(1));
}

TEST(ReaderTest, SeveralFilesAreOneCheckpoint) {
  const std::string first = Checkpoint("a");
  const std::string second = Checkpoint("b");
  const std::vector<FileView> files = {{"1.pt", first}, {"2.pt", second}};
  ASSERT_OK_AND_ASSIGN(const FileContents contents, ReadFiles(files));
  EXPECT_THAT(contents.tensors, SizeIs(2));
}

TEST(ReaderTest, NoFileIsRefused) {
  EXPECT_THAT(ReadFiles({}), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(ReaderTest, FileWithoutTensorsIsRefusedWithWhatWasSkipped) {
  std::vector<std::pair<std::string, std::string>> members;
  for (int i = 0; i < 7; ++i) {
    members.emplace_back(Text(absl::StrCat("m", i)),
                         Call(Global("foo", "Bar"), {}));
  }
  const std::string bytes = hand_made::TorchZip(Dict(members), {});
  const std::vector<FileView> files = {{"model.pt", bytes}};
  EXPECT_THAT(
      ReadFiles(files),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "'model.pt': there is no tensor to read; skipped: 'm0' (object "
               "of class foo.Bar), 'm1' (object of class foo.Bar), 'm2' "
               "(object of class foo.Bar), 'm3' (object of class foo.Bar), "
               "'m4' (object of class foo.Bar) and 2 more"));
}

}  // namespace
}  // namespace warmstart::format
