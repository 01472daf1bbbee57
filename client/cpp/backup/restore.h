// A data directory from a backup. Needs no server.

#ifndef WARMSTART_CLIENT_CPP_BACKUP_RESTORE_H_
#define WARMSTART_CLIENT_CPP_BACKUP_RESTORE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "client/cpp/options.h"

namespace warmstart::client {

struct Restored {
  int64_t packs = 0;
  int64_t size = 0;  // of packs and catalog, in bytes
};

// Copies the backup in `dir` into `data_dir`, which is made, or is empty; every
// file is compared with its SHA-256 on the way and is on the disk when this
// returns. The backup stays as it is: nothing is linked, so that no damage to
// the one is damage to the other.
//
// The catalog comes last, and a server does not start on packs without one: a
// copy that was not finished is never taken for a store.
//
//   FAILED_PRECONDITION  `dir` is no complete backup, or somebody writes to it;
//                        `data_dir` is not empty
//   DATA_LOSS            a pack of the backup is missing, or a file is not what
//                        it was
//   others               as the system says
// After an error, what was copied is removed again.
absl::StatusOr<Restored> RestoreBackup(const std::string& dir,
                                       const std::string& data_dir,
                                       const ProgressCallback& progress);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_BACKUP_RESTORE_H_
