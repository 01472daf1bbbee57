#include "client/cpp/backup/checksums.h"

#include <string>

#include "client/cpp/backup/sha256.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/testing/test_files.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::warmstart::testing::StatusIs;

const std::string kDigest(64, 'd');
const std::string kName(32, 'a');

TEST(ChecksumsTest, WhatIsWrittenIsRead) {
  const Checksums checksums{.catalog = kDigest, .packs = {{kName, kDigest}}};
  const std::string text = ToText(checksums);
  EXPECT_EQ(text, kDigest + "  catalog.sqlite3\n" + kDigest + "  packs/" +
                      kName + "\n");
  ASSERT_OK_AND_ASSIGN(const Checksums read, ParseChecksums(text));
  EXPECT_EQ(read.catalog, kDigest);
  EXPECT_THAT(read.packs, ElementsAre(Pair(kName, kDigest)));
}

TEST(ChecksumsTest, OtherLinesAreDataLossThatShowsThem) {
  for (const std::string& line :
       {std::string("hello"), kDigest, kDigest + " packs/" + kName,
        kDigest + "  ../" + kName, kDigest + "  packs/../../x",
        std::string(64, 'X') + "  catalog.sqlite3"}) {
    EXPECT_THAT(ParseChecksums(line + "\n"),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr(line)));
  }
}

TEST(ChecksumsTest, FilesAreNamedInErrors) {
  const testing::TempDir dir;
  const std::string path = dir.Join("SHA256SUMS");
  EXPECT_THAT(ReadChecksums(path), StatusIs(absl::StatusCode::kNotFound));
  WriteFile(path, "hello\n");
  EXPECT_THAT(ReadChecksums(path),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path)));
  WriteFile(path, "");
  EXPECT_THAT(ReadChecksums(path)->packs, IsEmpty());
}

TEST(Sha256Test, OfPiecesIsThatOfTheWhole) {
  Sha256 sha256;
  sha256.Update("a");
  sha256.Update("");
  sha256.Update("bc");
  EXPECT_EQ(sha256.FinishHex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace warmstart::client
