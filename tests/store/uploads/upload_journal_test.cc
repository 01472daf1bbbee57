#include "server/store/uploads/upload_journal.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

const absl::Time kBegin = absl::FromUnixSeconds(1704067200);
const absl::Time kLater = kBegin + absl::Minutes(5);

std::string Created() {
  return CreatedLine(kBegin, {{"a \"file\"\n", 100}, {"b", 7}});
}

TEST(UploadJournalTest, TellsWhatWasAnnounced) {
  const std::string text = Created();
  ASSERT_OK_AND_ASSIGN(const UploadHistory history, ReadUploadJournal(text));
  ASSERT_THAT(history.files, SizeIs(2));
  EXPECT_EQ(history.files[0].name, "a \"file\"\n");
  EXPECT_EQ(history.files[0].num_bytes, 100);
  EXPECT_EQ(history.files[0].committed_bytes, 0);
  EXPECT_EQ(history.files[1].num_bytes, 7);
  EXPECT_EQ(history.create_time, kBegin);
  EXPECT_EQ(history.write_time, kBegin);
  EXPECT_THAT(history.taken_for, IsEmpty());
  EXPECT_FALSE(history.is_deleted);
  EXPECT_EQ(history.num_bytes, text.size());
}

TEST(UploadJournalTest, LaterLinesCount) {
  const auto checkpoint = CheckpointName::Random();
  const std::string text = absl::StrCat(
      Created(), CommittedLine(kBegin, {{0, 50}}),
      CommittedLine(kLater, {{0, 100}, {1, 3}}), TakenLine(checkpoint));
  ASSERT_OK_AND_ASSIGN(UploadHistory history, ReadUploadJournal(text));
  EXPECT_EQ(history.files[0].committed_bytes, 100);
  EXPECT_EQ(history.files[1].committed_bytes, 3);
  EXPECT_EQ(history.write_time, kLater);
  EXPECT_THAT(history.taken_for, ElementsAre(checkpoint));
  EXPECT_FALSE(history.is_deleted);
  ASSERT_OK_AND_ASSIGN(history, ReadUploadJournal(text + DeletedLine()));
  EXPECT_TRUE(history.is_deleted);
}

// Wherever a crash cuts or tears the last line.
TEST(UploadJournalTest, ALineThatIsNotWholeDoesNotCount) {
  const std::string before =
      absl::StrCat(Created(), CommittedLine(kBegin, {{0, 50}}));
  const std::string line = CommittedLine(kLater, {{0, 100}});
  for (size_t i = 0; i < line.size(); ++i) {
    SCOPED_TRACE(i);
    std::string torn = line;
    torn[i] ^= 1;
    for (const std::string& text :
         {before + line.substr(0, i), before + torn}) {
      ASSERT_OK_AND_ASSIGN(const UploadHistory history,
                           ReadUploadJournal(text));
      EXPECT_EQ(history.files[0].committed_bytes, 50);
      EXPECT_EQ(history.num_bytes, before.size());
    }
  }
}

TEST(UploadJournalTest, WithoutItsFirstLineItIsOfNoUpload) {
  const std::string line = Created();
  for (const std::string& text :
       {std::string(), line.substr(0, line.size() - 1), std::string("{}\n"),
        std::string(5000, '\0'), CommittedLine(kBegin, {{0, 1}})}) {
    EXPECT_THAT(ReadUploadJournal(text), StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(UploadJournalTest, AFileThatWasNotAnnouncedIsDataLoss) {
  EXPECT_THAT(ReadUploadJournal(Created() + CommittedLine(kBegin, {{2, 1}})),
              StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace warmstart::store
