// Every path on disk that the store uses is made here, and nowhere else.

#ifndef WARMSTART_SERVER_STORE_LOCAL_PATHS_H_
#define WARMSTART_SERVER_STORE_LOCAL_PATHS_H_

#include <string>
#include <utility>

namespace warmstart::store {

// A value type. store.h draws the tree.
class StorePaths {
 public:
  explicit StorePaths(std::string data_dir) : data_dir_(std::move(data_dir)) {}

  const std::string& DataDir() const { return data_dir_; }
  std::string Lock() const { return data_dir_ + "/LOCK"; }
  std::string Catalog() const { return data_dir_ + "/catalog.sqlite3"; }
  std::string PacksDir() const { return data_dir_ + "/packs"; }
  std::string Pack(const std::string& id) const {
    return PacksDir() + "/" + id;
  }
  std::string StagingDir() const { return data_dir_ + "/staging"; }
  std::string Staged(const std::string& id) const {
    return StagingDir() + "/" + id;
  }
  std::string UploadsDir() const { return data_dir_ + "/uploads"; }
  std::string Upload(const std::string& file) const {
    return UploadsDir() + "/" + file;
  }

 private:
  std::string data_dir_;
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_LOCAL_PATHS_H_
