// BlobExaminer: whether a blob's bytes are, on the disk, what they should be.

#ifndef WARMSTART_SERVER_STORE_MAINTENANCE_BLOB_EXAMINER_H_
#define WARMSTART_SERVER_STORE_MAINTENANCE_BLOB_EXAMINER_H_

#include <cstdint>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "server/store/catalog.h"
#include "server/store/pack_store.h"

namespace warmstart::store {

// Not thread-safe. Borrows both, and keeps the pack open that it looked at
// last.
class BlobExaminer {
 public:
  BlobExaminer(PackStore& packs, Catalog& catalog)
      : packs_(packs), catalog_(catalog) {}

  // DATA_LOSS where the bytes are damaged, gone or cannot be read, and a second
  // look, at a file that was opened anew, says so too: a disk may fail to read
  // once what it reads the next time. OK where they are intact. NOT_FOUND where
  // the catalog no longer keeps such a blob.
  //
  // `progress` is told how many of the bytes were read, from time to time; a
  // status of it that is not OK is returned.
  absl::Status Examine(const BlobLocation& location,
                       absl::FunctionRef<absl::Status(int64_t)> progress);

 private:
  absl::Status Look(const BlobLocation& location,
                    absl::FunctionRef<absl::Status(int64_t)> progress);
  absl::Status LookAtPack(const BlobLocation& location,
                          absl::FunctionRef<absl::Status(int64_t)> progress);
  absl::Status LookAtCatalog(const Digest& digest);
  void CloseFile();

  PackStore& packs_;
  Catalog& catalog_;
  PackId open_pack_;
  std::unique_ptr<PackScanner> scanner_;  // of open_pack_
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_MAINTENANCE_BLOB_EXAMINER_H_
