// World: all that the use cases work on, real, in a temporary folder; and short
// ways to save, read and count.

#ifndef WARMSTART_TESTS_SERVICE_WORLD_H_
#define WARMSTART_TESTS_SERVICE_WORLD_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/base/clock.h"
#include "server/base/file_system.h"
#include "server/model/architecture.h"
#include "server/model/manifest.h"
#include "server/service/architecture_registry.h"
#include "server/service/context.h"
#include "server/service/resident_models.h"
#include "server/service/save_model.h"
#include "server/store/store.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::service {

// The name of a file, and its bytes.
using NamedFile = std::pair<std::string, std::string>;

class World {
 public:
  // What `options` refers to outlives the world; the data directory is its own.
  explicit World(const store::StoreOptions& options);
  explicit World(FileSystem& file_system = PosixFileSystem())
      : World(store::StoreOptions{.file_system = &file_system}) {}

  const Context& context() const { return context_; }
  // Until the next Restart.
  Context& context() { return context_; }
  store::Store& store() { return *store_; }
  ArchitectureRegistry& architectures() { return *architectures_; }
  ResidentModels& resident_models() { return *resident_models_; }

  // Closes the store and opens it again, as a restart of the server does.
  void Restart();

  // One save, its files in pieces of some odd size.
  absl::StatusOr<SaveModelResult> Save(const std::vector<NamedFile>& files,
                                       SaveModelRequest request = {});
  // Saves a .safetensors file; aborts where that fails. The handle.
  std::string MustSave(const std::string& file);

  // The values of a checkpoint's tensors by key; aborts where they can not be
  // read.
  std::map<std::string, std::string> Values(const std::string& handle);
  Manifest ManifestOf(const std::string& handle);

  size_t num_checkpoints();
  // Names of the files, sorted.
  std::vector<std::string> Packs() const;
  // How many blobs the store keeps, in packs and in the catalog.
  int64_t num_blobs() const;
  std::vector<std::string> Staged() const;
  std::vector<std::string> Uploads() const;
  std::string PackPath(const std::string& name) const;

 private:
  void Open();

  testing::TempDir dir_;
  store::StoreOptions options_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<ArchitectureRegistry> architectures_;
  std::unique_ptr<ResidentModels> resident_models_;
  Context context_;
};

// An architecture of zeros with these keys and shapes.
struct Entry {
  std::string key;
  std::vector<int64_t> sizes;
  DType dtype = DType::kFloat32;
};
Architecture MakeSchema(const std::string& name,
                        const std::vector<Entry>& entries);

// The machine-readable part of an error; "" where there is none.
std::string ReasonOf(const absl::Status& status);
std::string FieldOf(const absl::Status& status);

}  // namespace warmstart::service

#endif  // WARMSTART_TESTS_SERVICE_WORLD_H_
