#include "server/service/backup.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "tests/service/files.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;
using ::warmstart::testing::StatusIs;

// A file of a backup, as it was given.
struct Sent {
  BackupFile file;
  std::string bytes;
};

// All files, their digests compared with their bytes. `held` begins with what
// the receiver has of one of them.
std::vector<Sent> SendAll(Backup& backup, const std::string& held = "") {
  std::vector<Sent> sent;
  while (true) {
    absl::StatusOr<std::optional<BackupFile>> file = backup.NextFile();
    EXPECT_OK(file.status());
    if (!file.ok() || !file->has_value()) return sent;
    Sent& next = sent.emplace_back(Sent{**file, ""});
    absl::string_view bytes = backup.Read(1000);
    for (; !bytes.empty(); bytes = backup.Read(1000)) {
      EXPECT_LE(bytes.size(), 1000);
      next.bytes.append(bytes.data(), bytes.size());
    }
    EXPECT_EQ(backup.FinishFile(),
              Digest::Of(held.substr(0, next.file.offset) + next.bytes));
    EXPECT_EQ(next.file.offset + static_cast<int64_t>(next.bytes.size()),
              next.file.num_bytes);
  }
}

class BackupTest : public ::testing::Test {
 protected:
  // Saves what becomes a pack; its name.
  std::string SavePack(int seed) {
    const std::vector<std::string> before = world_.Packs();
    handle_ =
        world_.MustSave(MakeSafetensors({FloatTensor("w", {40'000}, seed)}));
    for (const std::string& pack : world_.Packs()) {
      if (!std::count(before.begin(), before.end(), pack)) return pack;
    }
    return "";
  }

  std::unique_ptr<Backup> Begin(const HeldPacks& held = {}) {
    return Backup::Begin(world_.context(), held).value();
  }

  std::string PackBytes(const std::string& name) {
    std::ifstream in(world_.PackPath(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  World world_;
  std::string handle_;  // of the last save
};

TEST_F(BackupTest, AnEmptyStoreIsACatalog) {
  const std::unique_ptr<Backup> backup = Begin();
  EXPECT_EQ(backup->num_packs(), 0);
  const std::vector<Sent> sent = SendAll(*backup);
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_EQ(sent[0].file.pack, "");
  EXPECT_THAT(sent[0].bytes, StartsWith("SQLite format 3"));
  EXPECT_EQ(backup->bytes_to_send(), backup->catalog_bytes());
}

TEST_F(BackupTest, PacksComeBeforeTheCatalog) {
  const std::string first = SavePack(1);
  const std::string second = SavePack(2);
  const std::unique_ptr<Backup> backup = Begin();
  const std::vector<Sent> sent = SendAll(*backup);
  ASSERT_THAT(sent, SizeIs(3));
  EXPECT_EQ(sent[0].file.pack, first);
  EXPECT_TRUE(sent[0].bytes == PackBytes(first));
  EXPECT_EQ(sent[1].file.pack, second);
  EXPECT_EQ(sent[2].file.pack, "");
  EXPECT_EQ(backup->num_packs(), 2);
  EXPECT_EQ(backup->pack_bytes(),
            sent[0].file.num_bytes + sent[1].file.num_bytes);
  EXPECT_EQ(backup->bytes_to_send(),
            backup->pack_bytes() + backup->catalog_bytes());
  EXPECT_THAT(backup->kept(), IsEmpty());
}

TEST_F(BackupTest, WhatTheReceiverHasIsNotSent) {
  const std::string held_pack = SavePack(1);
  const std::string other_size = SavePack(2);
  const auto size = static_cast<int64_t>(PackBytes(held_pack).size());
  HeldPacks held;
  ASSERT_OK(held.Add(held_pack, size, /*partial=*/false));
  ASSERT_OK(held.Add(other_size, size - 1, /*partial=*/false));
  ASSERT_OK(held.Add(std::string(32, 'a'), 7, /*partial=*/false));
  const std::unique_ptr<Backup> backup = Begin(held);
  EXPECT_THAT(backup->kept(), ElementsAre(held_pack));
  const std::vector<Sent> sent = SendAll(*backup);
  ASSERT_THAT(sent, SizeIs(2));
  EXPECT_EQ(sent[0].file.pack, other_size);
  EXPECT_EQ(sent[0].file.offset, 0);
  EXPECT_EQ(backup->bytes_to_send(), size + backup->catalog_bytes());
}

TEST_F(BackupTest, APackThatWasBegunIsGoneOnWith) {
  const std::string pack = SavePack(1);
  const std::string whole = PackBytes(pack);
  for (const size_t begun : {size_t{0}, size_t{12'345}, whole.size()}) {
    HeldPacks held;
    ASSERT_OK(held.Add(pack, static_cast<int64_t>(begun), /*partial=*/true));
    const std::unique_ptr<Backup> backup = Begin(held);
    EXPECT_THAT(backup->kept(), IsEmpty());
    EXPECT_EQ(
        backup->bytes_to_send(),
        static_cast<int64_t>(whole.size() - begun) + backup->catalog_bytes());
    const std::vector<Sent> sent = SendAll(*backup, whole);
    ASSERT_THAT(sent, SizeIs(2));
    EXPECT_EQ(sent[0].file.offset, static_cast<int64_t>(begun));
    EXPECT_TRUE(sent[0].bytes == whole.substr(begun));
  }
  // Of more than there is, it cannot be the beginning.
  HeldPacks held;
  ASSERT_OK(held.Add(pack, static_cast<int64_t>(whole.size()) + 1,
                     /*partial=*/true));
  EXPECT_EQ(SendAll(*Begin(held))[0].file.offset, 0);
}

TEST_F(BackupTest, WhatIsDeletedMeanwhileIsSentAllTheSame) {
  const std::string pack = SavePack(1);
  const std::string whole = PackBytes(pack);
  std::unique_ptr<Backup> backup = Begin();
  ASSERT_OK(world_.store().DeleteCheckpoint(
      CheckpointName::Parse(handle_).value(), /*force=*/false));
  EXPECT_TRUE(SendAll(*backup)[0].bytes == whole);
  EXPECT_THAT(world_.Packs(), SizeIs(1));
  backup.reset();
  EXPECT_THAT(world_.Packs(), IsEmpty());
  EXPECT_THAT(world_.Staged(), IsEmpty());
}

TEST_F(BackupTest, APackThatIsLostIsDataLossThatNamesIt) {
  const std::string lost = SavePack(1);
  std::filesystem::remove(world_.PackPath(lost));
  const std::unique_ptr<Backup> backup = Begin();
  const absl::Status status = backup->NextFile().status();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss, HasSubstr(lost)));
  EXPECT_EQ(ReasonOf(status), "DATA_LOSS");
  EXPECT_EQ(GetErrorInfo(status)->metadata.at("pack"), lost);
}

TEST_F(BackupTest, APackThatIsLostIsNotMissedWhereTheReceiverHasIt) {
  const std::string lost = SavePack(1);
  HeldPacks held;
  ASSERT_OK(held.Add(lost, static_cast<int64_t>(PackBytes(lost).size()),
                     /*partial=*/false));
  std::filesystem::remove(world_.PackPath(lost));
  EXPECT_THAT(SendAll(*Begin(held)), SizeIs(1));
}

TEST(HeldPacksTest, NamesAndSizesThatCannotBeAreRefusedByField) {
  HeldPacks held;
  for (const char* name : {"", "../catalog.sqlite3", "ABC"}) {
    EXPECT_EQ(FieldOf(held.Add(name, 1, false)), "held_packs.name");
  }
  EXPECT_EQ(FieldOf(held.Add(std::string(32, 'a'), -1, false)),
            "held_packs.size_bytes");
}

TEST(HeldPacksTest, OneMoreThanThereMayBeIsRefused) {
  HeldPacks held;
  for (size_t i = 0; i < HeldPacks::kMaxPacks; ++i) {
    ASSERT_OK(held.Add(absl::StrFormat("%032x", i), 1, false));
  }
  EXPECT_EQ(FieldOf(held.Add(std::string(32, 'a'), 1, false)), "held_packs");
}

}  // namespace
}  // namespace warmstart::service
