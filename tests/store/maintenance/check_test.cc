#include "server/store/maintenance/check.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/local/paths.h"
#include "server/store/sqlite/sqlite_db.h"
#include "server/store/store.h"
#include "tests/store/store_test_util.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const Tensors kPack = {{"w", RandomBytes(140'000, 1)}};
const Tensors kOther = {{"v", RandomBytes(150'000, 2)}};

class CheckTest : public ::testing::Test {
 protected:
  void SetUp() override {
    store_ = OpenStore(dir_.path()).value();
    ASSERT_OK(Save(*store_, kPack, {.alias = MakeAlias("prod")}).status());
    pack_ = FilesIn(paths_.PacksDir()).at(0);
    ASSERT_OK(Save(*store_, kOther).status());
  }

  CheckResult Check() {
    const absl::StatusOr<CheckResult> result = store_->Check();
    EXPECT_OK(result.status());
    return result.value_or(CheckResult());
  }

  testing::TempDir dir_;
  const StorePaths paths_{dir_.path()};
  std::unique_ptr<Store> store_;
  std::string pack_;
};

TEST_F(CheckTest, ASoundStoreIsSound) {
  const CheckResult result = Check();
  EXPECT_EQ(result.num_checkpoints, 2);
  EXPECT_EQ(result.num_blobs, 2);
  EXPECT_EQ(result.num_packs, 2);
  EXPECT_EQ(result.num_findings, 0);
  EXPECT_THAT(result.findings, IsEmpty());
}

TEST_F(CheckTest, APackThatIsGoneIsFound) {
  std::filesystem::remove(paths_.Pack(pack_));
  EXPECT_THAT(Check().findings,
              ElementsAre(AllOf(HasSubstr(pack_), HasSubstr("is gone"))));
}

TEST_F(CheckTest, APackOfAnotherSizeIsFound) {
  std::filesystem::resize_file(paths_.Pack(pack_), 1000);
  EXPECT_THAT(Check().findings,
              ElementsAre(AllOf(HasSubstr(pack_),
                                HasSubstr("1000 bytes instead of 140000"))));
}

TEST_F(CheckTest, AFileThatIsNobodysIsFound) {
  const std::string name(32, 'a');
  std::ofstream(paths_.Pack(name)) << "orphan";
  EXPECT_THAT(Check().findings,
              ElementsAre(AllOf(HasSubstr(name), HasSubstr("is nobody's"))));
  // Somebody else's is none of ours.
  std::filesystem::rename(paths_.Pack(name), paths_.Pack("README"));
  EXPECT_THAT(Check().findings, IsEmpty());
}

TEST_F(CheckTest, WhatTheCatalogContradictsIsFound) {
  ASSERT_OK(SqliteDb::Open(paths_.Catalog())
                .value()
                ->RunScript("UPDATE blobs SET num_references = 9 "
                            "WHERE num_bytes = 140000"));
  EXPECT_THAT(Check().findings,
              ElementsAre(HasSubstr(Digest::Of(kPack[0].second).ToHex())));
}

TEST_F(CheckTest, WhatIsInQuarantineIsTold) {
  FlipBit(paths_.Pack(pack_), kPack[0].second);
  EXPECT_THAT(Check().findings, IsEmpty());  // it reads no tensor
  ASSERT_FALSE(store_->OpenBlob(Digest::Of(kPack[0].second)).ok());
  EXPECT_THAT(Check().findings, ElementsAre(HasSubstr("damaged or gone")));
}

TEST_F(CheckTest, ManyFindingsAreCountedAndTheFirstTold) {
  for (int i = 0; i < 1005; ++i) {
    const std::string name = std::to_string(i);
    std::ofstream(paths_.Pack(std::string(32 - name.size(), 'b') + name));
  }
  const CheckResult result = Check();
  EXPECT_EQ(result.num_findings, 1005);
  EXPECT_THAT(result.findings, SizeIs(1000));
}

// Packs come and go, in all their stages, while it looks.
TEST_F(CheckTest, SavesAndDeletionsMeanwhileAreNoFindings) {
  std::atomic<bool> done = false;
  std::vector<std::thread> writers;
  for (uint32_t writer = 0; writer < 3; ++writer) {
    writers.emplace_back([&, writer] {
      for (uint32_t i = 0; !done; ++i) {
        const Tensors tensors = {
            {"w", RandomBytes(200'000, 1000 * (writer + 1) + i)}};
        const auto saved = Save(*store_, tensors);
        ASSERT_OK(saved.status());
        ASSERT_OK(store_->DeleteCheckpoint(saved->name, false));
      }
    });
  }
  for (int round = 0; round < 50; ++round) {
    EXPECT_THAT(Check().findings, IsEmpty());
  }
  done = true;
  for (std::thread& writer : writers) writer.join();
}

}  // namespace
}  // namespace warmstart::store
