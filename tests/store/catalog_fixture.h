// What the contracts of a Catalog share. A backend is a traits type:
//
//   struct SqliteBackend {
//     // As after a start; may be called again once the last one is gone.
//     std::unique_ptr<Catalog> Open();
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, CatalogBlobs, SqliteBackend);

#ifndef WARMSTART_TESTS_STORE_CATALOG_FIXTURE_H_
#define WARMSTART_TESTS_STORE_CATALOG_FIXTURE_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/catalog.h"
#include "server/store/random_id.h"
#include "tests/store/store_test_util.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::store {

template <typename Backend>
class CatalogTest : public ::testing::Test {
 protected:
  void Reopen() {
    catalog_.reset();
    catalog_ = backend_.Open();
  }

  // A pack of these tensors, one after another, with a name from `name`.
  static NewPack PackOf(char name, const Tensors& tensors) {
    NewPack pack{.id = PackId(32, name)};
    for (const auto& [key, bytes] : tensors) {
      pack.blobs.push_back({BlobOf(bytes), pack.num_bytes});
      pack.num_bytes += static_cast<int64_t>(bytes.size());
    }
    return pack;
  }

  // Commits a checkpoint whose tensors the catalog is to keep itself.
  absl::StatusOr<CommitResult> CommitSmall(const std::string& name,
                                           const Tensors& tensors) {
    NewCheckpoint request;
    request.manifest = ManifestOf(tensors);
    NewBlobs blobs;
    for (const auto& [key, bytes] : tensors) {
      blobs.small.push_back({BlobOf(bytes), bytes});
    }
    return catalog_->Commit(MakeCheckpointName(name), time_, request, blobs);
  }

  absl::StatusOr<CommitResult> Commit(const std::string& name,
                                      const Tensors& tensors,
                                      const std::vector<NewPack>& packs,
                                      NewCheckpoint request = {}) {
    request.manifest = ManifestOf(tensors);
    return catalog_->Commit(MakeCheckpointName(name), time_, request,
                            {.packs = packs});
  }

  // Commits a checkpoint of one tensor, "w", whose pack's name is from `name`.
  void CommitOne(const std::string& name, NewCheckpoint request = {}) {
    const Tensors tensors = {{"w", name}};
    NewPack pack = PackOf('0', tensors);
    pack.id = RandomId();
    ASSERT_OK(Commit(name, tensors, {pack}, std::move(request)).status());
  }

  std::optional<BlobLocation> Find(absl::string_view bytes) {
    const Digest digest = Digest::Of(bytes);
    return catalog_->FindBlobs({&digest, 1}).value()[0];
  }

  // The ids of a listing, a page of `limit` at a time.
  std::vector<std::string> List(const CheckpointFilter& filter, int limit) {
    std::vector<std::string> ids;
    int64_t before = Catalog::kNewest;
    while (before > 0) {
      const auto page = catalog_->ListCheckpoints(filter, before, limit);
      EXPECT_THAT(page, testing::IsOk());
      if (!page.ok()) break;
      for (const ListedCheckpoint& row : page->checkpoints) {
        EXPECT_LT(row.sequence, before);
        before = row.sequence;
        ids.push_back(row.checkpoint.name.id());
      }
      EXPECT_LE(page->next_before, before);
      before = page->next_before;
    }
    return ids;
  }

  const absl::Time time_ = absl::FromUnixNanos(1700000000123456789);
  Backend backend_;
  std::unique_ptr<Catalog> catalog_ = backend_.Open();
};

}  // namespace warmstart::store

#endif  // WARMSTART_TESTS_STORE_CATALOG_FIXTURE_H_
