#include "tests/store/store_operations.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/store/local/paths.h"
#include "server/store/snapshot.h"
#include "server/store/sqlite/sqlite_db.h"
#include "server/store/uploads/upload_store.h"
#include "tests/store/store_test_util.h"

namespace warmstart::store {
namespace {

// What is there: a checkpoint with a pack of its own, two that share one, one
// that has expired, one in whose pack more is dead than live, one whose
// tensors lie in the catalog, and of the first and last kind one whose tensor
// is damaged.
const Tensors kOwn = {{"own", RandomBytes(140'000, 1)}};
const Tensors kShared = {{"shared", RandomBytes(150'000, 2)}};
const Tensors kExpired = {{"expired", RandomBytes(145'000, 4)}};
const Tensors kSparse = {{"live", RandomBytes(20'000, 5)},
                         {"also live", RandomBytes(10'000, 6)}};
const Tensors kDead = {{"dead", RandomBytes(151'000, 7)}};
const Tensors kSmall = {{"small", RandomBytes(500, 3)}};
const Tensors kDamaged = {{"damaged", RandomBytes(160'000, 8)}};
const Tensors kSmallDamaged = {{"small damaged", RandomBytes(600, 9)}};

// What comes.
const Tensors kPack = {{"a", RandomBytes(135'000, 10)},
                       {"b", RandomBytes(70, 11)}};
// More than is synced beside the catalog's rows.
const Tensors kLargePack = {{"large", RandomBytes(1'100'000, 12)}};
// Mostly known, and too much for the catalog.
const Tensors kMostlyKnown = {
    kOwn[0], kShared[0], {"c", RandomBytes(132'000, 13)}};
const Tensors kFewBytes = {{"d", RandomBytes(2'000, 14)},
                           {"e", RandomBytes(10, 15)}};
const Tensors kHead = {{"head", RandomBytes(133'000, 16)}};
const Tensors kSmallHead = {{"head", RandomBytes(4'000, 17)}};

// Uploads that have begun: one that is complete and will be a pack, one whose
// blobs are copied, as it is mostly known, and one that lacks its second half.
const Tensors kUploaded = {{"f", RandomBytes(136'000, 18)}};
const std::string kHalf = RandomBytes(9'000, 19);

absl::Status Answer(const absl::StatusOr<Checkpoint>& answer) {
  return answer.status();
}

NewCheckpoint Request() {
  return {.architecture = MakeArchitectureName("Net"),
          .labels = {{"team", "a"}},
          .report_json = "{}",
          .alias = MakeAlias("new"),
          .request_id = "r1"};
}

// From a checkpoint that is there and new tensors in scratch space.
absl::Status WarmStart(Store& store, const Tensors& known,
                       const Tensors& fresh) {
  const std::unique_ptr<Draft> draft = store.NewDraft();
  Tensors all = known;
  for (const auto& [key, bytes] : fresh) {
    ASSIGN_OR_RETURN(const absl::Span<char> space,
                     draft->NewScratch(static_cast<int64_t>(bytes.size())));
    draft->StartSync();
    std::copy(bytes.begin(), bytes.end(), space.begin());
    draft->AddBlob(nullptr, 0, BlobOf(bytes));
    all.emplace_back(key, bytes);
  }
  NewCheckpoint request = Request();
  request.manifest = ManifestOf(all);
  return Answer(draft->Commit(request));
}

// A file, another of which only a part is new, and scratch space.
absl::Status SaveFromAllSources(Store& store) {
  const std::unique_ptr<Draft> draft = store.NewDraft();
  Tensors all;
  for (const Tensors& tensors : {kPack, kMostlyKnown}) {
    RETURN_IF_ERROR(StageFile(*draft, tensors).status());
    all.insert(all.end(), tensors.begin(), tensors.end());
  }
  const auto& [key, bytes] = kHead[0];
  ASSIGN_OR_RETURN(const absl::Span<char> space,
                   draft->NewScratch(static_cast<int64_t>(bytes.size())));
  draft->StartSync();
  std::copy(bytes.begin(), bytes.end(), space.begin());
  draft->AddBlob(nullptr, 0, BlobOf(bytes));
  all.emplace_back(key, bytes);
  NewCheckpoint request = Request();
  request.manifest = ManifestOf(all);
  return Answer(draft->Commit(request));
}

absl::Status Delete(Store& store, const char* alias) {
  ASSIGN_OR_RETURN(const CheckpointName name,
                   store.Resolve(absl::StrCat("aliases/", alias)));
  return store.DeleteCheckpoint(name, /*force=*/true);
}

absl::StatusOr<ScrubResult> Scrub(Store& store) {
  return store.Scrub([](const ScrubProgress&) { return absl::OkStatus(); });
}

absl::Status SaveOfUpload(Store& store, const char* file,
                          const Tensors& tensors) {
  ASSIGN_OR_RETURN(const UploadName name, FindUpload(store, file));
  return Answer(SaveUpload(store, name, tensors, Request()));
}

absl::Status WriteTheOtherHalf(Store& store) {
  ASSIGN_OR_RETURN(const UploadName name, FindUpload(store, "half"));
  return WriteToUpload(store, name, kHalf.substr(kHalf.size() / 2));
}

absl::Status WriteTheFirstBytes(Store& store) {
  ASSIGN_OR_RETURN(const UploadName name, FindUpload(store, "begun"));
  ASSIGN_OR_RETURN(const std::unique_ptr<UploadWriter> writer,
                   store.uploads().Write(name));
  for (int file = 0; file < 2; ++file) {
    RETURN_IF_ERROR(writer->Begin(file, 0));
    RETURN_IF_ERROR(writer->Append("first"));
  }
  return writer->Commit();
}

absl::Status PrepareUploads(Store& store) {
  for (const auto& [file, tensors] :
       {std::pair("complete", kUploaded), std::pair("known", kMostlyKnown)}) {
    const std::string bytes = FileOf(tensors);
    RETURN_IF_ERROR(BeginUpload(store, file, bytes, bytes.size()).status());
  }
  RETURN_IF_ERROR(BeginUpload(store, "half", kHalf, kHalf.size() / 2).status());
  return store.uploads().Create({{"begun", 1'000}, {"other", 5}}).status();
}

absl::Status CopyTheLog(SimulatedStore&) {
  ASSIGN_OR_RETURN(
      const std::unique_ptr<SqliteDb> db,
      SqliteDb::Open(StorePaths(SimulatedStore::kDataDir).Catalog()));
  return db->Run("PRAGMA wal_checkpoint(RESTART)");
}

absl::Status Prepare(SimulatedStore& simulated) {
  Store& store = simulated.store();
  RETURN_IF_ERROR(store.PutArchitecture(MakeArchitecture("Old", 3)).status());
  RETURN_IF_ERROR(Answer(Save(store, kOwn,
                              {.labels = {{"kind", "own"}},
                               .alias = MakeAlias("own"),
                               .request_id = "r0"})));
  RETURN_IF_ERROR(Answer(Save(store, kShared, {.alias = MakeAlias("shared")})));
  RETURN_IF_ERROR(Answer(
      SaveReferences(store, kShared, {.alias = MakeAlias("also-shared")})));
  RETURN_IF_ERROR(
      Answer(Save(store, kExpired, {.expiration = absl::FromUnixSeconds(9)})));
  Tensors whole = kSparse;
  whole.push_back(kDead[0]);
  RETURN_IF_ERROR(Answer(Save(store, whole, {.alias = MakeAlias("whole")})));
  RETURN_IF_ERROR(
      Answer(SaveReferences(store, kSparse, {.alias = MakeAlias("sparse")})));
  RETURN_IF_ERROR(Delete(store, "whole"));
  RETURN_IF_ERROR(Answer(Save(store, kSmall, {.alias = MakeAlias("small")})));
  RETURN_IF_ERROR(
      Answer(Save(store, kDamaged, {.alias = MakeAlias("damaged")})));
  RETURN_IF_ERROR(Answer(
      Save(store, kSmallDamaged, {.alias = MakeAlias("small-damaged")})));
  for (const Tensors& damaged : {kDamaged, kSmallDamaged}) {
    RETURN_IF_ERROR(simulated.Spoil(damaged[0].second));
  }
  RETURN_IF_ERROR(Scrub(store).status());
  return PrepareUploads(store);
}

}  // namespace

absl::StatusOr<std::unique_ptr<testing::SimulatedDisk>> PreparedDisk(
    Before before) {
  SimulatedStore simulated(std::make_unique<testing::SimulatedDisk>());
  RETURN_IF_ERROR(simulated.Open());
  RETURN_IF_ERROR(Prepare(simulated));
  if (before == Before::kStopped) simulated.Close();
  return simulated.disk().AfterPowerLoss(testing::PowerLoss::kLosesNothing, 0);
}

const std::vector<StoreOperation>& StoreOperations() {
  static const auto* const operations = new std::vector<StoreOperation>{
      {"SaveOfAPack",
       [](SimulatedStore& s) {
         return Answer(Save(s.store(), kPack, Request()));
       },
       10},
      {"SaveOfALargePack",
       [](SimulatedStore& s) {
         return Answer(Save(s.store(), kLargePack, Request()));
       },
       8},
      {"SaveThatCopiesWhatIsNew",
       [](SimulatedStore& s) {
         return Answer(Save(s.store(), kMostlyKnown, Request()));
       },
       15},
      {"SaveIntoTheCatalog",
       [](SimulatedStore& s) {
         return Answer(Save(s.store(), kFewBytes, Request()));
       },
       8},
      {"SaveFromAllSources",
       [](SimulatedStore& s) { return SaveFromAllSources(s.store()); }, 25},
      {"SaveThatWasAnswered",
       [](SimulatedStore& s) {
         return Answer(Save(s.store(), kPack, {.request_id = "r0"}));
       },
       5},
      {"WarmStart",
       [](SimulatedStore& s) { return WarmStart(s.store(), kOwn, kHead); }, 7},
      {"WarmStartWithASmallHead",
       [](SimulatedStore& s) { return WarmStart(s.store(), kOwn, kSmallHead); },
       2},
      {"WarmStartWithNothingNew",
       [](SimulatedStore& s) { return WarmStart(s.store(), kShared, {}); }, 2},
      {"DeleteOfAPack",
       [](SimulatedStore& s) { return Delete(s.store(), "own"); }, 3},
      {"DeleteOfOneThatSharesItsPack",
       [](SimulatedStore& s) { return Delete(s.store(), "shared"); }, 2},
      {"DeleteOfWhatIsInTheCatalog",
       [](SimulatedStore& s) { return Delete(s.store(), "small"); }, 2},
      {"DeleteWhileASnapshotLives",
       [](SimulatedStore& s) -> absl::Status {
         ASSIGN_OR_RETURN(const auto snapshot, s.store().TakeSnapshot());
         return Delete(s.store(), "own");
       },
       20},
      {"SaveThatHealsAPack",
       [](SimulatedStore& s) {
         return Answer(Save(s.store(), kDamaged, Request()));
       },
       8},
      {"SaveThatHealsTheCatalog",
       [](SimulatedStore& s) {
         return Answer(Save(s.store(), kSmallDamaged, Request()));
       },
       3},
      {"SaveThatHealsBothInAPack",
       [](SimulatedStore& s) {
         return Answer(
             Save(s.store(), {kDamaged[0], kSmallDamaged[0]}, Request()));
       },
       8},
      {"DeleteOfADamagedPack",
       [](SimulatedStore& s) { return Delete(s.store(), "damaged"); }, 3},
      {"DeleteOfWhatIsDamagedInTheCatalog",
       [](SimulatedStore& s) { return Delete(s.store(), "small-damaged"); }, 2},
      {"ScrubThatFindsNothingNew",
       [](SimulatedStore& s) -> absl::Status {
         ASSIGN_OR_RETURN(const ScrubResult result, Scrub(s.store()));
         return result.damage.num_blobs == 2
                    ? absl::OkStatus()
                    : absl::UnknownError("it did find something");
       },
       0},
      {"SetAlias",
       [](SimulatedStore& s) -> absl::Status {
         ASSIGN_OR_RETURN(const CheckpointName name,
                          s.store().Resolve("aliases/own"));
         return s.store().SetAlias(MakeAlias("small"), name).status();
       },
       2},
      {"DeleteAlias",
       [](SimulatedStore& s) {
         return s.store().DeleteAlias(MakeAlias("own"));
       },
       2},
      {"SetLabels",
       [](SimulatedStore& s) -> absl::Status {
         ASSIGN_OR_RETURN(const CheckpointName name,
                          s.store().Resolve("aliases/own"));
         return Answer(s.store().SetLabels(name, {{"x", "y"}, {"z", ""}}));
       },
       2},
      {"SetExpiration",
       [](SimulatedStore& s) -> absl::Status {
         ASSIGN_OR_RETURN(const CheckpointName name,
                          s.store().Resolve("aliases/own"));
         return Answer(s.store().UpdateCheckpoint(
             name, {.labels = Labels{{"x", "y"}},
                    .expiration = absl::FromUnixSeconds(4'000'000'000)}));
       },
       2},
      {"DeleteRetired",
       [](SimulatedStore& s) -> absl::Status {
         const RetentionPolicy policy = {.now = absl::FromUnixSeconds(10)};
         ASSIGN_OR_RETURN(const auto retired,
                          s.store().FindRetired(policy, 10));
         for (const RetiredCheckpoint& each : retired) {
           RETURN_IF_ERROR(s.store().DeleteRetired(each.name, policy).status());
         }
         return absl::OkStatus();
       },
       3},
      {"PutArchitecture",
       [](SimulatedStore& s) {
         return s.store().PutArchitecture(MakeArchitecture("New", 4)).status();
       },
       2},
      {"DeleteArchitecture",
       [](SimulatedStore& s) {
         return s.store().DeleteArchitecture(MakeArchitectureName("Old"),
                                             false);
       },
       2},
      {"CollectOfASparsePack",
       [](SimulatedStore& s) {
         return s.store().CollectGarbage({.merge_below_bytes = 0}).status();
       },
       7},
      {"CollectOfSmallPacks",
       [](SimulatedStore& s) { return s.store().CollectGarbage({}).status(); },
       9},
      {"CreateUpload",
       [](SimulatedStore& s) {
         return s.store().uploads().Create({{"one", 5}, {"two", 0}}).status();
       },
       3},
      {"WriteTheFirstBytesOfAnUpload",
       [](SimulatedStore& s) { return WriteTheFirstBytes(s.store()); }, 9},
      {"WriteTheOtherHalfOfAnUpload",
       [](SimulatedStore& s) { return WriteTheOtherHalf(s.store()); }, 5},
      {"DeleteUpload",
       [](SimulatedStore& s) -> absl::Status {
         ASSIGN_OR_RETURN(const UploadName name, FindUpload(s.store(), "half"));
         return s.store().uploads().Delete(name);
       },
       4},
      {"SaveOfAnUpload",
       [](SimulatedStore& s) {
         return SaveOfUpload(s.store(), "complete", kUploaded);
       },
       8},
      {"SaveOfAnUploadThatCopiesWhatIsNew",
       [](SimulatedStore& s) {
         return SaveOfUpload(s.store(), "known", kMostlyKnown);
       },
       10},
      {"CopyTheLog", CopyTheLog, 0},
      {"Reopen",
       [](SimulatedStore& s) {
         s.Close();
         return s.Open();
       },
       2},
  };
  return *operations;
}

}  // namespace warmstart::store
