// The receiving side of BackUpStore: a copy of all that a server holds, in a
// folder of this machine.

#ifndef WARMSTART_CLIENT_CPP_BACKUP_BACKUP_H_
#define WARMSTART_CLIENT_CPP_BACKUP_BACKUP_H_

#include <google/protobuf/timestamp.pb.h>

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "client/cpp/options.h"
#include "warmstart/v1/admin.grpc.pb.h"

namespace warmstart::client {

struct BackupRequest {
  // Made where it does not exist.
  std::string dir;
  // Goes on where `dir` has the backup of a store that shares no pack with this
  // one, which would be lost.
  bool replace = false;
};

// What was done, in all attempts.
struct BackedUp {
  // What was answered before this is in the backup.
  google::protobuf::Timestamp snapshot_time;
  int64_t packs_fetched = 0;
  int64_t packs_reused = 0;   // they were in the folder
  int64_t packs_removed = 0;  // the store has them no more
  int64_t bytes_fetched = 0;  // of packs and of the catalog
  int64_t size = 0;           // of the whole backup, in bytes
};

// Brings the backup in `dir` up to date; backup_paths.h draws the folder. Until
// the new backup is complete and on the disk, the old one stays as it is, and
// so it does when this fails. Packs that are there are not fetched again, and a
// lost connection is resumed.
//
//   FAILED_PRECONDITION  as BackupFolder::Open; or the backup in `dir` is of
//                        another store, by all appearances
//   DATA_LOSS            what came is not what the server said
//   others               as BackUpStore, or as the system says
absl::StatusOr<BackedUp> BackUp(v1::Admin::StubInterface& stub,
                                const ClientOptions& options,
                                const BackupRequest& request,
                                const ProgressCallback& progress);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_BACKUP_BACKUP_H_
