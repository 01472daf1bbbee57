#include "server/rpc/manifest_translation.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/model/dtype.h"
#include "server/rpc/response_translation.h"

namespace warmstart::rpc {
namespace {

// An error of `result` becomes one of the field `name`, in `parent`.
template <typename T>
absl::StatusOr<T> OfField(const std::string& parent, absl::string_view name,
                          absl::StatusOr<T> result) {
  if (result.ok()) return result;
  return InvalidField(absl::StrCat(parent, ".", name),
                      result.status().message());
}

std::vector<int64_t> FromProto(
    const google::protobuf::RepeatedField<int64_t>& proto) {
  return {proto.begin(), proto.end()};
}

absl::StatusOr<TensorSpec> SpecFromProto(const std::string& field,
                                         const v1::ManifestEntry& proto) {
  ASSIGN_OR_RETURN(const DType dtype,
                   OfField(field, "dtype", ParseDType(proto.dtype())));
  ASSIGN_OR_RETURN(
      Shape shape,
      OfField(field, "shape", Shape::Create(FromProto(proto.shape()))));
  return OfField(field, "shape", TensorSpec::Create(dtype, std::move(shape)));
}

absl::StatusOr<ManifestEntry> FromProto(const std::string& field,
                                        const v1::ManifestEntry& proto) {
  ManifestEntry entry;
  entry.key = proto.key();
  ASSIGN_OR_RETURN(entry.spec, SpecFromProto(field, proto));
  ASSIGN_OR_RETURN(entry.digest,
                   OfField(field, "digest", Digest::FromHex(proto.digest())));
  if (proto.shared_storage() < 0) {
    return InvalidField(absl::StrCat(field, ".shared_storage"),
                        "is negative; storages count from 1");
  }
  if (proto.shared_storage() > 0) {
    entry.view = StorageView{proto.shared_storage() - 1, proto.storage_offset(),
                             FromProto(proto.strides())};
  }
  return entry;
}

}  // namespace

void ToProto(const ManifestEntry& entry, bool full, v1::ManifestEntry* proto) {
  proto->set_key(entry.key);
  proto->set_dtype(std::string(DTypeName(entry.spec.dtype())));
  ToProto(entry.spec.shape(), proto->mutable_shape());
  proto->set_digest(entry.digest.ToHex());
  if (!entry.view.has_value()) return;
  // 0 says that nothing is shared, so the numbers begin at 1.
  proto->set_shared_storage(entry.view->storage + 1);
  if (!full) return;
  proto->set_storage_offset(entry.view->offset);
  proto->mutable_strides()->Assign(entry.view->strides.begin(),
                                   entry.view->strides.end());
}

void AddManifestDetails(const Manifest& manifest, v1::Manifest* proto) {
  for (const SharedStorage& storage : manifest.storages) {
    v1::SharedStorage* added = proto->add_storages();
    added->set_digest(storage.digest.ToHex());
    added->set_size_bytes(storage.num_bytes);
  }
  proto->mutable_subtrees()->Assign(manifest.subtrees.begin(),
                                    manifest.subtrees.end());
  for (const ModuleVersion& module : manifest.module_versions) {
    v1::ModuleVersion* added = proto->add_module_versions();
    added->set_path(module.path);
    added->set_version(module.version);
  }
  proto->set_metadata_json(manifest.metadata_json);
}

absl::StatusOr<Manifest> FromProto(const v1::Manifest& proto) {
  Manifest manifest;
  manifest.entries.reserve(proto.entries_size());
  for (int i = 0; i < proto.entries_size(); ++i) {
    ASSIGN_OR_RETURN(
        ManifestEntry entry,
        FromProto(absl::StrCat("manifest.entries[", i, "]"), proto.entries(i)));
    manifest.entries.push_back(std::move(entry));
  }
  for (int i = 0; i < proto.storages_size(); ++i) {
    ASSIGN_OR_RETURN(
        const Digest digest,
        OfField(absl::StrCat("manifest.storages[", i, "]"), "digest",
                Digest::FromHex(proto.storages(i).digest())));
    manifest.storages.push_back({digest, proto.storages(i).size_bytes()});
  }
  manifest.subtrees.assign(proto.subtrees().begin(), proto.subtrees().end());
  for (const v1::ModuleVersion& module : proto.module_versions()) {
    manifest.module_versions.push_back({module.path(), module.version()});
  }
  manifest.metadata_json = proto.metadata_json();
  return manifest;
}

}  // namespace warmstart::rpc
