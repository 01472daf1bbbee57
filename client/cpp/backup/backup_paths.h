// Every path of a backup, and of a data directory, is made here.
//
//   DIR/
//     BACKUP            says what the folder is, and is locked while it is used
//     catalog.sqlite3   put in place last: with it, the backup is complete
//     packs/            what the catalog names
//     SHA256SUMS        of all these; SHA256SUMS.new is the next one's
//     staging/          what is being received; a pack that was begun is gone
//     on
//                       with
//
// catalog.sqlite3 and packs/ are what a server has in its data directory, and
// staging/ is what it empties when it starts.

#ifndef WARMSTART_CLIENT_CPP_BACKUP_BACKUP_PATHS_H_
#define WARMSTART_CLIENT_CPP_BACKUP_BACKUP_PATHS_H_

#include <string>
#include <utility>

namespace warmstart::client {

// `path` without the slashes at its end.
inline std::string WithoutSlashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

// A value type.
class BackupPaths {
 public:
  explicit BackupPaths(std::string dir) : dir_(std::move(dir)) {}

  const std::string& Dir() const { return dir_; }
  std::string Marker() const { return dir_ + "/BACKUP"; }
  std::string Catalog() const { return dir_ + "/catalog.sqlite3"; }
  std::string PacksDir() const { return dir_ + "/packs"; }
  std::string Pack(const std::string& name) const {
    return PacksDir() + "/" + name;
  }
  std::string Checksums() const { return dir_ + "/SHA256SUMS"; }
  std::string NewChecksums() const { return dir_ + "/SHA256SUMS.new"; }
  std::string StagingDir() const { return dir_ + "/staging"; }
  std::string Staged(const std::string& name) const {
    return StagingDir() + "/" + name;
  }
  std::string StagedCatalog() const { return Staged("catalog.sqlite3"); }
  // Of a server, which has the folder open, or had.
  std::string ServerLock() const { return dir_ + "/LOCK"; }

 private:
  std::string dir_;
};

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_BACKUP_BACKUP_PATHS_H_
