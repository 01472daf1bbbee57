#include "server/store/store.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/store/composed_store.h"
#include "server/store/local/directory_lock.h"
#include "server/store/local/local_pack_store.h"
#include "server/store/local/paths.h"
#include "server/store/random_id.h"
#include "server/store/sqlite/sqlite_catalog.h"
#include "server/store/uploads/upload_store.h"

namespace warmstart::store {
namespace {

// A new catalog knows no pack, and the sweep would remove all that are there.
// Somebody lost the catalog, or put only a part of a folder back.
absl::Status CheckCatalogIsNotLost(const StorePaths& paths,
                                   FileSystem& file_system) {
  const absl::StatusOr<int64_t> size = file_system.Size(paths.Catalog());
  if (size.ok() ? *size > 0 : !absl::IsNotFound(size.status())) {
    return size.status();
  }
  const auto packs = file_system.List(paths.PacksDir());
  if (absl::IsNotFound(packs.status())) return absl::OkStatus();
  RETURN_IF_ERROR(packs.status());
  if (std::none_of(packs->begin(), packs->end(), IsRandomId)) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "'", paths.Catalog(), "' is gone, but '", paths.PacksDir(),
      "' has packs that it knew; put the catalog back, or choose another data "
      "directory"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> Store::Open(
    const StoreOptions& options) {
  const StorePaths paths(options.data_dir);
  StoreParts parts;
  parts.clock = options.clock;
  parts.verify_reads = options.verify_reads;
  RETURN_IF_ERROR(options.file_system->CreateDirectory(paths.DataDir()));
  ASSIGN_OR_RETURN(parts.lock, DirectoryLock::Acquire(paths));
  RETURN_IF_ERROR(CheckCatalogIsNotLost(paths, *options.file_system));
  ASSIGN_OR_RETURN(parts.catalog,
                   OpenSqliteCatalog(paths.Catalog(), options.limits));
  ASSIGN_OR_RETURN(parts.packs,
                   OpenLocalPackStore(paths, *options.file_system));
  ASSIGN_OR_RETURN(
      parts.uploads,
      UploadStore::Open(paths, *options.file_system, parts.catalog->quota(),
                        *options.clock, options.upload_ttl));
  return ComposeStore(std::move(parts));
}

}  // namespace warmstart::store
