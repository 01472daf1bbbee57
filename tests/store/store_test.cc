// The store as its callers see it.

#include "server/store/store.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "server/store/local/paths.h"
#include "server/store/sqlite/sqlite_db.h"
#include "tests/store/store_test_util.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::SizeIs;
using ::warmstart::testing::IsOk;
using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::StatusIs;

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }

  void Open() {
    store_.reset();
    ASSERT_OK_AND_ASSIGN(store_,
                         OpenStore(data_dir_, PosixFileSystem(), clock_));
  }

  // Saves one tensor with the name's text as its value.
  CheckpointName SaveOne(const std::string& text, NewCheckpoint request = {}) {
    return Save(*store_, {{"w", text}}, std::move(request)).value().name;
  }

  // All names of a listing, read page by page.
  std::vector<CheckpointName> List(ListCheckpointsOptions options) {
    std::vector<CheckpointName> names;
    do {
      const auto page = store_->ListCheckpoints(options);
      EXPECT_THAT(page, IsOk());
      if (!page.ok()) return names;
      EXPECT_LE(static_cast<int>(page->checkpoints.size()), options.page_size);
      for (const Checkpoint& checkpoint : page->checkpoints) {
        names.push_back(checkpoint.name);
      }
      options.page_token = page->next_page_token;
    } while (!options.page_token.empty());
    return names;
  }

  testing::TempDir dir_;
  const std::string data_dir_ = dir_.Join("deep/data");
  const StorePaths paths_{data_dir_};
  testing::FakeClock clock_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreTest, ASavedCheckpointIsReadBackAlsoAfterAReopening) {
  const Tensors tensors = {{"fc1.weight", RandomBytes(5000, 1)},
                           {"fc1.bias", RandomBytes(13, 2)},
                           {"empty", ""},
                           {"again", RandomBytes(13, 2)}};
  NewCheckpoint request;
  request.architecture = MakeArchitectureName("NetA");
  request.labels = {{"team", "vision"}};
  request.report_json = "{}";
  request.origin_json = "{\"from\": 1}";
  request.alias = MakeAlias("prod");
  ASSERT_OK_AND_ASSIGN(const Checkpoint saved, Save(*store_, tensors, request));
  EXPECT_EQ(saved.create_time, clock_.Now());
  EXPECT_EQ(saved.num_tensors, 4);
  EXPECT_EQ(saved.num_bytes, 5013);
  Open();
  ASSERT_OK_AND_ASSIGN(const Checkpoint read,
                       store_->GetCheckpoint(saved.name));
  EXPECT_EQ(read.architecture, request.architecture);
  EXPECT_EQ(read.labels, request.labels);
  EXPECT_EQ(read.report_json, "{}");
  EXPECT_EQ(read.origin_json, request.origin_json);
  EXPECT_THAT(read.aliases, ElementsAre(MakeAlias("prod")));
  EXPECT_EQ(read.create_time, saved.create_time);
  EXPECT_OK(CheckReadable(*store_, saved.name, tensors));
  EXPECT_OK(CheckDisk(data_dir_));
}

TEST_F(StoreTest, ASecondOpenerIsRefusedInWords) {
  EXPECT_THAT(OpenStore(data_dir_),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr(data_dir_), HasSubstr("in use"))));
}

TEST_F(StoreTest, ANewerSchemaIsRefusedAndItsFilesAreNotSwept) {
  SaveOne("1");
  store_.reset();
  const std::string stray = paths_.Pack(std::string(32, 'a'));
  std::ofstream(stray) << "of the newer program";
  ASSERT_OK(SqliteDb::Open(paths_.Catalog())
                .value()
                ->RunScript("PRAGMA user_version = 1000"));
  EXPECT_THAT(OpenStore(data_dir_),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("schema version 1000")));
  EXPECT_TRUE(std::filesystem::exists(stray));
}

TEST_F(StoreTest, ACorruptCatalogIsDataLossAndNothingIsSwept) {
  SaveOne(RandomBytes(200'000, 1));
  store_.reset();
  const std::vector<std::string> packs = FilesIn(paths_.PacksDir());
  std::ofstream(paths_.Catalog()) << std::string(50'000, 'x');
  EXPECT_THAT(OpenStore(data_dir_), StatusIs(absl::StatusCode::kDataLoss,
                                             HasSubstr(paths_.Catalog())));
  EXPECT_EQ(FilesIn(paths_.PacksDir()), packs);
}

TEST_F(StoreTest, OpeningSweepsWhatNoCommitFinished) {
  const std::string bytes = RandomBytes(200'000, 1);
  const CheckpointName name = SaveOne(bytes);
  store_.reset();
  std::ofstream(paths_.Pack(std::string(32, 'a'))) << "never committed";
  std::ofstream(paths_.Staged(std::string(32, 'b'))) << "never finished";
  Open();
  EXPECT_OK(CheckDisk(data_dir_));
  EXPECT_OK(CheckReadable(*store_, name, {{"w", bytes}}));
}

TEST_F(StoreTest, HandlesResolve) {
  const CheckpointName name = SaveOne("1", {.alias = MakeAlias("a/b")});
  EXPECT_THAT(store_->Resolve(name.ToString()), IsOkAndHolds(name));
  EXPECT_THAT(store_->Resolve("aliases/a/b"), IsOkAndHolds(name));
  for (const char* missing : {"checkpoints/none", "aliases/none"}) {
    EXPECT_THAT(store_->Resolve(missing),
                StatusIs(absl::StatusCode::kNotFound, HasSubstr(missing)));
  }
  for (const char* malformed : {"", "a/b", "checkpoints/", "checkpoints/A",
                                "aliases/../b", "models/x"}) {
    EXPECT_THAT(store_->Resolve(malformed),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << malformed;
  }
}

TEST_F(StoreTest, EqualTensorsAreStoredOnceAcrossCheckpoints) {
  const Tensors first = {{"a", RandomBytes(200'000, 1)}};
  const Tensors second = {{"x", RandomBytes(200'000, 1)},
                          {"y", RandomBytes(200'000, 1)}};
  ASSERT_OK(Save(*store_, first).status());
  ASSERT_OK_AND_ASSIGN(const Checkpoint twice, Save(*store_, second));
  ASSERT_OK_AND_ASSIGN(const Checkpoint referring,
                       SaveReferences(*store_, second));
  EXPECT_EQ(PackBytes(data_dir_), 200'000);
  EXPECT_EQ(twice.num_bytes, 200'000);
  EXPECT_OK(CheckReadable(*store_, referring.name, second));
}

TEST_F(StoreTest, ACheckpointOutlivesTheOneItSharesWith) {
  const Tensors tensors = {{"a", RandomBytes(200'000, 1)}};
  ASSERT_OK_AND_ASSIGN(const Checkpoint source, Save(*store_, tensors));
  ASSERT_OK_AND_ASSIGN(const Checkpoint derived,
                       SaveReferences(*store_, tensors));
  ASSERT_OK(store_->DeleteCheckpoint(source.name, false));
  EXPECT_OK(CheckReadable(*store_, derived.name, tensors));
  ASSERT_OK(store_->DeleteCheckpoint(derived.name, false));
  EXPECT_EQ(PackBytes(data_dir_), 0);
  EXPECT_OK(CheckDisk(data_dir_));
}

TEST_F(StoreTest, AReferenceToWhatTheStoreDoesNotHoldIsAborted) {
  EXPECT_THAT(SaveReferences(*store_, {{"a", "never saved"}}),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("'a'")));
  EXPECT_THAT(List({}), IsEmpty());
}

TEST_F(StoreTest, DeletedCheckpointsAreGoneButHeldBytesStay) {
  for (const size_t size : {10, 200'000}) {  // in the catalog, and in a pack
    const std::string bytes = RandomBytes(size, 1);
    const CheckpointName name = SaveOne(bytes);
    ASSERT_OK_AND_ASSIGN(const BlobData held,
                         store_->OpenBlob(Digest::Of(bytes)));
    ASSERT_OK(store_->DeleteCheckpoint(name, false));
    EXPECT_EQ(held.bytes, bytes);
    EXPECT_THAT(FilesIn(paths_.PacksDir()), IsEmpty());
    for (const absl::Status& status :
         {store_->GetCheckpoint(name).status(),
          store_->GetManifest(name).status(),
          store_->SetLabels(name, {}).status(),
          store_->DeleteCheckpoint(name, true),
          store_->SetAlias(MakeAlias("a"), name).status(),
          store_->GetBlob(Digest::Of(bytes)).status(),
          store_->OpenBlob(Digest::Of(bytes)).status()}) {
      EXPECT_THAT(status, StatusIs(absl::StatusCode::kNotFound));
    }
  }
}

TEST_F(StoreTest, AnAliasedCheckpointIsDeletedByForceAlone) {
  const CheckpointName name = SaveOne("1", {.alias = MakeAlias("prod")});
  EXPECT_THAT(store_->DeleteCheckpoint(name, false),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("aliases/prod")));
  EXPECT_OK(store_->GetCheckpoint(name).status());
  ASSERT_OK(store_->DeleteCheckpoint(name, true));
  EXPECT_THAT(store_->Resolve("aliases/prod"),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(StoreTest, ARetriedRequestGetsTheSameCheckpointAndStoresNothing) {
  NewCheckpoint request;
  request.request_id = "r1";
  request.request_fingerprint = Digest::Of("contents");
  const CheckpointName name = SaveOne("1", request);
  EXPECT_THAT(Save(*store_, {{"w", "1"}}, request)->name, name);
  EXPECT_THAT(store_->FindRequest("r1", request.request_fingerprint),
              IsOkAndHolds(Optional(name)));
  EXPECT_THAT(store_->FindRequest("r2", Digest()), IsOkAndHolds(std::nullopt));
  EXPECT_THAT(List({}), ElementsAre(name));
  EXPECT_OK(CheckDisk(data_dir_));

  request.request_fingerprint = Digest::Of("others");
  for (const absl::Status& status :
       {Save(*store_, {{"w", "2"}}, request).status(),
        store_->FindRequest("r1", request.request_fingerprint).status()}) {
    EXPECT_THAT(status,
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("r1")));
  }
  EXPECT_OK(CheckDisk(data_dir_));
}

TEST_F(StoreTest, ListingsGoPageByPageNewestFirst) {
  std::vector<CheckpointName> newest_first;
  for (int i = 0; i < 7; ++i) {
    newest_first.insert(newest_first.begin(), SaveOne(absl::StrCat(i)));
  }
  for (int page_size : {1, 2, 3, 6, 7, 8}) {
    EXPECT_EQ(List({.page_size = page_size}), newest_first) << page_size;
  }
}

TEST_F(StoreTest, AListingGoesOnWhileCheckpointsComeAndGo) {
  std::vector<CheckpointName> names;
  for (int i = 0; i < 6; ++i) names.push_back(SaveOne(absl::StrCat(i)));
  ASSERT_OK_AND_ASSIGN(const CheckpointPage first,
                       store_->ListCheckpoints({.page_size = 3}));
  EXPECT_EQ(first.checkpoints.back().name, names[3]);
  SaveOne("newer");
  ASSERT_OK(store_->DeleteCheckpoint(names[3], false));
  ASSERT_OK(store_->DeleteCheckpoint(names[2], false));
  ASSERT_OK_AND_ASSIGN(
      const CheckpointPage second,
      store_->ListCheckpoints(
          {.page_size = 3, .page_token = first.next_page_token}));
  ASSERT_THAT(second.checkpoints, SizeIs(2));
  EXPECT_EQ(second.checkpoints[0].name, names[1]);
  EXPECT_EQ(second.checkpoints[1].name, names[0]);
  EXPECT_EQ(second.next_page_token, "");
}

TEST_F(StoreTest, FiltersCombine) {
  const CheckpointName a =
      SaveOne("1", {.architecture = MakeArchitectureName("NetA"),
                    .labels = {{"team", "v"}},
                    .alias = MakeAlias("prod/a")});
  const CheckpointName b =
      SaveOne("2", {.architecture = MakeArchitectureName("NetA"),
                    .labels = {{"team", "v"}, {"x", "y"}},
                    .alias = MakeAlias("prod/b")});
  const CheckpointName c =
      SaveOne("3", {.architecture = MakeArchitectureName("NetB"),
                    .labels = {{"team", "v"}},
                    .alias = MakeAlias("dev")});
  const CheckpointName d = SaveOne("4");
  EXPECT_THAT(List({}), ElementsAre(d, c, b, a));
  EXPECT_THAT(List({.architecture = MakeArchitectureName("NetA")}),
              ElementsAre(b, a));
  EXPECT_THAT(List({.labels = {{"team", "v"}}}), ElementsAre(c, b, a));
  EXPECT_THAT(List({.labels = {{"team", "v"}, {"x", "y"}}}), ElementsAre(b));
  EXPECT_THAT(List({.labels = {{"team", "w"}}}), IsEmpty());
  EXPECT_THAT(List({.alias = "prod/a"}), ElementsAre(a));
  EXPECT_THAT(List({.alias = "prod/*"}), ElementsAre(b, a));
  EXPECT_THAT(List({.alias = "prod/"}), IsEmpty());
  EXPECT_THAT(List({.alias = "*"}), ElementsAre(c, b, a));
  EXPECT_THAT(List({.architecture = MakeArchitectureName("NetB"),
                    .labels = {{"team", "v"}},
                    .alias = "d*",
                    .page_size = 1}),
              ElementsAre(c));
}

TEST_F(StoreTest, APageTokenIsGoodForItsListingAlone) {
  for (int i = 0; i < 3; ++i)
    SaveOne(absl::StrCat(i), {.architecture = MakeArchitectureName("A")});
  ASSERT_OK_AND_ASSIGN(
      const CheckpointPage page,
      store_->ListCheckpoints(
          {.architecture = MakeArchitectureName("A"), .page_size = 1}));
  const std::string token = page.next_page_token;
  const auto refused =
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("page_token"));
  EXPECT_OK(store_->ListCheckpoints({.architecture = MakeArchitectureName("A"),
                                     .page_size = 2,
                                     .page_token = token}));
  EXPECT_THAT(store_->ListCheckpoints({.page_token = token}), refused);
  EXPECT_THAT(
      store_->ListCheckpoints({.architecture = MakeArchitectureName("A"),
                               .alias = "x",
                               .page_token = token}),
      refused);
  EXPECT_THAT(store_->ListCheckpoints({.page_token = "garbage"}), refused);
  EXPECT_THAT(store_->ListAliases(10, token), refused);
  EXPECT_THAT(store_->ListArchitectures(10, token), refused);
}

TEST_F(StoreTest, LabelsAreReplaced) {
  const CheckpointName name = SaveOne("1", {.labels = {{"a", "1"}}});
  ASSERT_OK_AND_ASSIGN(const Checkpoint changed,
                       store_->SetLabels(name, {{"b", "2"}}));
  EXPECT_EQ(changed.labels, (Labels{{"b", "2"}}));
  Open();
  EXPECT_EQ(store_->GetCheckpoint(name)->labels, (Labels{{"b", "2"}}));
}

TEST_F(StoreTest, AliasesMoveAndAreListedByPage) {
  const CheckpointName one = SaveOne("1");
  const CheckpointName two = SaveOne("2");
  for (const char* alias : {"c", "a", "b/x", "b"}) {
    ASSERT_OK(store_->SetAlias(MakeAlias(alias), one).status());
  }
  clock_.Advance(absl::Hours(1));
  ASSERT_OK_AND_ASSIGN(const Alias moved,
                       store_->SetAlias(MakeAlias("b"), two));
  EXPECT_EQ(moved.update_time, clock_.Now());
  std::vector<std::string> names;
  std::string token;
  do {
    ASSERT_OK_AND_ASSIGN(const AliasPage page, store_->ListAliases(3, token));
    for (const Alias& alias : page.aliases) names.push_back(alias.name.id());
    token = page.next_page_token;
  } while (!token.empty());
  EXPECT_THAT(names, ElementsAre("a", "b", "b/x", "c"));
  EXPECT_THAT(store_->GetCheckpoint(two)->aliases, ElementsAre(MakeAlias("b")));
  ASSERT_OK(store_->DeleteAlias(MakeAlias("b")));
  EXPECT_THAT(store_->DeleteAlias(MakeAlias("b")),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(StoreTest, ArchitecturesAreKeptAndListedByPage) {
  for (const char* name : {"C", "A", "B"}) {
    ASSERT_OK(store_->PutArchitecture(MakeArchitecture(name, 3)));
  }
  EXPECT_THAT(store_->PutArchitecture(MakeArchitecture("A", 3)),
              IsOkAndHolds(1));
  EXPECT_THAT(store_->PreviewArchitecture(MakeArchitecture("A", 4)),
              IsOkAndHolds(2));
  EXPECT_THAT(store_->PutArchitecture(MakeArchitecture("A", 4)),
              IsOkAndHolds(2));
  Open();
  const auto is = [](const char* name, int64_t version) {
    return AllOf(Field(&Architecture::name, name),
                 Field(&Architecture::version, version));
  };
  EXPECT_THAT(store_->GetArchitecture(MakeArchitectureName("A")),
              IsOkAndHolds(is("A", 2)));
  ASSERT_OK_AND_ASSIGN(const ArchitecturePage first,
                       store_->ListArchitectures(2, ""));
  EXPECT_THAT(first.architectures, ElementsAre(is("A", 2), is("B", 1)));
  ASSERT_OK_AND_ASSIGN(const ArchitecturePage second,
                       store_->ListArchitectures(2, first.next_page_token));
  EXPECT_THAT(second.architectures, ElementsAre(is("C", 1)));
  EXPECT_EQ(second.next_page_token, "");
}

TEST_F(StoreTest, VersionsAreListedByPage) {
  for (const int64_t size : {1, 2, 3}) {
    ASSERT_OK(store_->PutArchitecture(MakeArchitecture("A", size)));
  }
  const ArchitectureName name = MakeArchitectureName("A");
  std::vector<int64_t> versions;
  std::string token;
  do {
    ASSERT_OK_AND_ASSIGN(const ArchitecturePage page,
                         store_->ListArchitectureVersions(name, 2, token));
    for (const Architecture& architecture : page.architectures) {
      versions.push_back(architecture.version);
    }
    token = page.next_page_token;
  } while (!token.empty());
  EXPECT_THAT(versions, ElementsAre(3, 2, 1));
  // A token is good for its own listing alone.
  ASSERT_OK_AND_ASSIGN(const ArchitecturePage page,
                       store_->ListArchitectureVersions(name, 1, ""));
  EXPECT_THAT(store_->ListArchitectures(1, page.next_page_token),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(StoreTest, AnArchitectureThatCheckpointsNameIsDeletedByForceAlone) {
  ASSERT_OK(store_->PutArchitecture(MakeArchitecture("A", 3)));
  const ArchitectureName name = MakeArchitectureName("A/versions/1");
  SaveOne("1", {.architecture = name});
  EXPECT_THAT(store_->DeleteArchitecture(name, false),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_OK(store_->DeleteArchitecture(name, true));
  EXPECT_THAT(store_->DeleteArchitecture(name, true),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(StoreTest, APackThatIsCutIsDataLoss) {
  const std::string bytes = RandomBytes(200'000, 1);
  SaveOne(bytes);
  const std::string pack = paths_.Pack(FilesIn(paths_.PacksDir()).at(0));
  std::filesystem::resize_file(pack, 199'999);
  const absl::Status cut = store_->OpenBlob(Digest::Of(bytes)).status();
  EXPECT_THAT(cut, StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_EQ(GetErrorInfo(cut)->reason, reason::kDataLoss);
  EXPECT_OK(store_->GetBlob(Digest::Of(bytes)).status());
  Open();
  EXPECT_THAT(store_->OpenBlob(Digest::Of(bytes)),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(StoreTest, APackThatIsGoneIsDataLoss) {
  const std::string bytes = RandomBytes(200'000, 1);
  SaveOne(bytes);
  std::filesystem::remove(paths_.Pack(FilesIn(paths_.PacksDir()).at(0)));
  EXPECT_THAT(store_->OpenBlob(Digest::Of(bytes)),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("is gone")));
}

TEST_F(StoreTest, PacksWithoutTheirCatalogAreRefusedAndNotTouched) {
  ASSERT_OK(Save(*store_, {{"w", RandomBytes(140'000, 1)}}));
  store_.reset();
  const std::vector<std::string> packs = FilesIn(paths_.PacksDir());
  const std::string away = paths_.Catalog() + ".away";
  for (const bool is_empty : {false, true}) {
    SCOPED_TRACE(is_empty);
    std::filesystem::rename(paths_.Catalog(), away);
    if (is_empty) std::ofstream{paths_.Catalog()};
    EXPECT_THAT(OpenStore(data_dir_),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         HasSubstr(paths_.Catalog())));
    EXPECT_EQ(FilesIn(paths_.PacksDir()), packs);
    std::filesystem::rename(away, paths_.Catalog());
  }
  Open();
  EXPECT_OK(CheckDisk(data_dir_));
  // What nobody needs is no reason to refuse.
  store_.reset();
  std::filesystem::remove(paths_.Catalog());
  for (const std::string& pack : packs) {
    std::filesystem::remove(paths_.Pack(pack));
  }
  Open();
}

TEST_F(StoreTest, ASmallTensorWhoseBytesAreLostIsDataLoss) {
  SaveOne("small");
  ASSERT_OK(SqliteDb::Open(paths_.Catalog())
                .value()
                ->RunScript("DELETE FROM small_blobs"));
  const absl::Status status = store_->OpenBlob(Digest::Of("small")).status();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_EQ(GetErrorInfo(status)->reason, reason::kDataLoss);
}

TEST_F(StoreTest, TheEmptyTensorNeedsNoPack) {
  ASSERT_OK_AND_ASSIGN(const Checkpoint checkpoint,
                       SaveReferences(*store_, {{"empty", ""}}));
  EXPECT_OK(CheckReadable(*store_, checkpoint.name, {{"empty", ""}}));
  EXPECT_THAT(FilesIn(paths_.PacksDir()), IsEmpty());
}

TEST_F(StoreTest, ADraftsBytesAreReadableWhileItLives) {
  const std::unique_ptr<Draft> draft = store_->NewDraft();
  ASSERT_OK_AND_ASSIGN(StagedFile* const file, draft->NewFile());
  ASSERT_OK(file->Append("some "));
  ASSERT_OK(file->Append("bytes"));
  ASSERT_OK_AND_ASSIGN(const absl::string_view bytes, file->Finish());
  draft->AddBlob(file, 0, BlobOf("some bytes"));
  ASSERT_OK_AND_ASSIGN(
      const Checkpoint checkpoint,
      draft->Commit({.manifest = ManifestOf({{"w", "some bytes"}})}));
  ASSERT_OK(store_->DeleteCheckpoint(checkpoint.name, false));
  EXPECT_EQ(bytes, "some bytes");
}

}  // namespace
}  // namespace warmstart::store
