#include "tests/service/world.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/store/sqlite/sqlite_db.h"
#include "server/torch/model_architecture.h"

namespace warmstart::service {
namespace {

// No multiple of anything.
constexpr size_t kPieceBytes = 4099;

// For what a test takes for granted.
template <typename T>
T OrDie(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "%s\n", value.status().ToString().c_str());
    std::abort();
  }
  return *std::move(value);
}

std::vector<std::string> FilesIn(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string InfoOf(const absl::Status& status, const std::string& key) {
  const std::optional<ErrorInfo> info = GetErrorInfo(status);
  if (!info.has_value()) return "";
  const auto found = info->metadata.find(key);
  return found == info->metadata.end() ? "" : found->second;
}

}  // namespace

World::World(const store::StoreOptions& options) : options_(options) {
  options_.data_dir = dir_.path();
  Open();
}

void World::Open() {
  store_ = OrDie(store::Store::Open(options_));
  std::vector<std::unique_ptr<backend::ModelArchitecture>> built_in;
  built_in.push_back(backend::MakeNetA());
  built_in.push_back(backend::MakeNetB());
  architectures_ =
      std::make_unique<ArchitectureRegistry>(*store_, std::move(built_in));
  resident_models_ = std::make_unique<ResidentModels>(DefaultResidentBytes);
  context_ = {store_.get(), architectures_.get(), "cpu", resident_models_.get(),
              options_.clock};
}

void World::Restart() {
  resident_models_.reset();
  architectures_.reset();
  store_.reset();
  Open();
}

absl::StatusOr<SaveModelResult> World::Save(const std::vector<NamedFile>& files,
                                            SaveModelRequest request) {
  ASSIGN_OR_RETURN(const std::unique_ptr<SaveModel> save,
                   SaveModel::Begin(context_, std::move(request)));
  for (const auto& [name, bytes] : files) {
    RETURN_IF_ERROR(save->BeginFile(name, bytes.size()));
    for (size_t at = 0; at < bytes.size(); at += kPieceBytes) {
      RETURN_IF_ERROR(
          save->Append(absl::string_view(bytes).substr(at, kPieceBytes)));
    }
  }
  return save->Finish();
}

std::string World::MustSave(const std::string& file) {
  return OrDie(Save({{"model.safetensors", file}})).checkpoint.name.ToString();
}

Manifest World::ManifestOf(const std::string& handle) {
  return *OrDie(store_->GetManifest(OrDie(store_->Resolve(handle))));
}

std::map<std::string, std::string> World::Values(const std::string& handle) {
  std::map<std::string, std::string> values;
  for (const ManifestEntry& entry : ManifestOf(handle).entries) {
    values[entry.key] =
        std::string(OrDie(store_->OpenBlob(entry.digest)).bytes);
  }
  return values;
}

size_t World::num_checkpoints() {
  store::ListCheckpointsOptions options;
  options.page_size = 1000;
  return OrDie(store_->ListCheckpoints(options)).checkpoints.size();
}

std::vector<std::string> World::Packs() const {
  return FilesIn(dir_.Join("packs"));
}

int64_t World::num_blobs() const {
  const auto db = OrDie(store::SqliteDb::Open(dir_.Join("catalog.sqlite3")));
  return OrDie(db->FindInt("SELECT count(*) FROM blobs")).value();
}

std::vector<std::string> World::Staged() const {
  return FilesIn(dir_.Join("staging"));
}

std::vector<std::string> World::Uploads() const {
  return FilesIn(dir_.Join("uploads"));
}

std::string World::PackPath(const std::string& name) const {
  return dir_.Join("packs/" + name);
}

Architecture MakeSchema(const std::string& name,
                        const std::vector<Entry>& entries) {
  Architecture architecture;
  architecture.name = name;
  for (const Entry& entry : entries) {
    architecture.entries.push_back(
        {entry.key,
         OrDie(TensorSpec::Create(entry.dtype,
                                  OrDie(Shape::Create(entry.sizes)))),
         EntryKind::kParameter, ConstantInit{0}});
  }
  return architecture;
}

std::string ReasonOf(const absl::Status& status) {
  const std::optional<ErrorInfo> info = GetErrorInfo(status);
  return info.has_value() ? info->reason : "";
}

std::string FieldOf(const absl::Status& status) {
  return InfoOf(status, "field");
}

}  // namespace warmstart::service
