#include "tests/store/store_operations.h"

#include <algorithm>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/store/local/paths.h"
#include "server/store/sqlite/sqlite_db.h"
#include "tests/store/store_test_util.h"

namespace warmstart::store {
namespace {

// What is there: a checkpoint with a pack of its own, two that share one, one
// whose tensors lie in the catalog, and of the first and last kind one whose
// tensor is damaged.
const Tensors kOwn = {{"own", RandomBytes(140'000, 1)}};
const Tensors kShared = {{"shared", RandomBytes(150'000, 2)}};
const Tensors kSmall = {{"small", RandomBytes(500, 3)}};
const Tensors kDamaged = {{"damaged", RandomBytes(160'000, 4)}};
const Tensors kSmallDamaged = {{"small damaged", RandomBytes(600, 5)}};

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
  RETURN_IF_ERROR(Answer(Save(store, kSmall, {.alias = MakeAlias("small")})));
  RETURN_IF_ERROR(
      Answer(Save(store, kDamaged, {.alias = MakeAlias("damaged")})));
  RETURN_IF_ERROR(Answer(
      Save(store, kSmallDamaged, {.alias = MakeAlias("small-damaged")})));
  for (const Tensors& damaged : {kDamaged, kSmallDamaged}) {
    RETURN_IF_ERROR(simulated.Spoil(damaged[0].second));
  }
  return Scrub(store).status();
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
