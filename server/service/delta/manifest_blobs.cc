#include "server/service/delta/manifest_blobs.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/base/error_info.h"
#include "server/base/parallel.h"
#include "server/base/status_macros.h"
#include "server/format/key_check.h"
#include "server/format/reader.h"
#include "server/model/digest.h"
#include "server/service/disk_status.h"

namespace warmstart::service {
namespace {

using format::FileContents;
using format::FileTensor;
using format::FileView;

// What vector instructions and LibTorch like.
constexpr size_t kAlignment = 64;

absl::Status Invalid(absl::string_view what) {
  return InvalidField("manifest", what);
}

std::string TensorName(const ManifestEntry& entry) {
  return absl::StrCat("tensor ", format::QuoteForMessage(entry.key));
}

// A view that one or more entries are.
struct View {
  const FileTensor* tensor;
  bool is_whole = false;  // the same bytes as its storage
  store::Blob blob;
};

class DraftCompleter {
 public:
  DraftCompleter(const Manifest& manifest, const FileContents& contents,
                 absl::Span<const IngestedBlob> brought, store::Store& store,
                 store::Draft& draft)
      : manifest_(manifest),
        contents_(contents),
        store_(store),
        draft_(draft),
        storage_bytes_(manifest.storages.size()) {
    for (const IngestedBlob& blob : brought) {
      brought_.emplace(blob.blob.digest, &blob);
      sizes_.emplace(blob.blob.digest, blob.blob.num_bytes);
    }
  }

  absl::Status Run() {
    RETURN_IF_ERROR(FindStored());
    RETURN_IF_ERROR(CheckBlobs());
    CollectViews();
    RETURN_IF_ERROR(OpenStorages());
    RETURN_IF_ERROR(CheckViews());
    return AddViews();
  }

 private:
  // Looks up what was not brought.
  absl::Status FindStored() {
    absl::flat_hash_set<Digest> wanted;
    for (const SharedStorage& storage : manifest_.storages) {
      wanted.insert(storage.digest);
    }
    for (const ManifestEntry& entry : manifest_.entries) {
      wanted.insert(entry.digest);
    }
    std::vector<Digest> digests;
    for (const Digest& digest : wanted) {
      if (!sizes_.contains(digest)) digests.push_back(digest);
    }
    ASSIGN_OR_RETURN(const std::vector<std::optional<store::Blob>> blobs,
                     store_.FindBlobs(digests));
    for (const std::optional<store::Blob>& blob : blobs) {
      if (blob.has_value()) sizes_.emplace(blob->digest, blob->num_bytes);
    }
    return absl::OkStatus();
  }

  // Of what cannot be made from something else: storages, and entries that are
  // not views of one.
  absl::Status CheckBlobs() {
    for (const ManifestEntry& entry : manifest_.entries) {
      if (entry.view.has_value()) {
        const SharedStorage& storage = manifest_.storages[entry.view->storage];
        RETURN_IF_ERROR(CheckBlob(entry, storage.digest, storage.num_bytes));
      } else {
        RETURN_IF_ERROR(CheckBlob(entry, entry.digest, entry.spec.num_bytes()));
      }
    }
    return missing_.empty() ? absl::OkStatus() : Missing();
  }

  absl::Status CheckBlob(const ManifestEntry& entry, const Digest& digest,
                         int64_t num_bytes) {
    const auto found = sizes_.find(digest);
    if (found == sizes_.end()) {
      if (missing_.insert(digest).second && first_missing_ == nullptr) {
        first_missing_ = &entry;
        first_missing_digest_ = digest;
      }
      return absl::OkStatus();
    }
    if (found->second == num_bytes) return absl::OkStatus();
    return Invalid(
        absl::StrCat(TensorName(entry),
                     entry.view.has_value() ? " is in a storage of " : " has ",
                     num_bytes, " bytes, but those with the digest ",
                     digest.ToHex(), " are ", found->second));
  }

  absl::Status Missing() const {
    return WithErrorInfo(
        absl::FailedPreconditionError(absl::StrCat(
            missing_.size(), missing_.size() == 1 ? " tensor" : " tensors",
            " of the manifest, the first of them ", TensorName(*first_missing_),
            ", were neither sent nor are they stored; ask again which are "
            "missing, and send those")),
        reason::kTensorsMissing,
        {{"count", absl::StrCat(missing_.size())},
         {"key", first_missing_->key},
         {"digest", first_missing_digest_.ToHex()}});
  }

  // Equal views (tied weights) are one.
  void CollectViews() {
    using Id = std::tuple<int32_t, int64_t, DType, std::vector<int64_t>,
                          std::vector<int64_t>>;
    std::map<Id, size_t> seen;
    view_of_entry_.resize(manifest_.entries.size());
    for (size_t i = 0; i < manifest_.entries.size(); ++i) {
      if (!manifest_.entries[i].view.has_value()) continue;
      const FileTensor& tensor = contents_.tensors[i];
      const absl::Span<const int64_t> sizes = tensor.spec.shape().sizes();
      const auto [found, is_new] = seen.try_emplace(
          Id(tensor.storage, tensor.element_offset, tensor.spec.dtype(),
             std::vector<int64_t>(sizes.begin(), sizes.end()), tensor.strides),
          views_.size());
      if (is_new) views_.push_back(MakeView(tensor));
      view_of_entry_[i] = found->second;
    }
  }

  View MakeView(const FileTensor& tensor) const {
    View view{.tensor = &tensor};
    const SharedStorage& storage = manifest_.storages[tensor.storage];
    view.is_whole = tensor.spec.num_bytes() == storage.num_bytes &&
                    format::IsContiguous(contents_, tensor);
    if (view.is_whole) view.blob.digest = storage.digest;
    return view;
  }

  // Those of which views are to be read.
  absl::Status OpenStorages() {
    for (const View& view : views_) {
      const int32_t index = view.tensor->storage;
      if (view.is_whole || !storage_bytes_[index].bytes.empty()) continue;
      ASSIGN_OR_RETURN(storage_bytes_[index].bytes,
                       Open(manifest_.storages[index].digest));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<absl::string_view> Open(const Digest& digest) {
    const auto brought = brought_.find(digest);
    if (brought != brought_.end()) return brought->second->bytes;
    absl::StatusOr<store::BlobData> data = store_.OpenBlob(digest);
    if (absl::IsNotFound(data.status())) {
      return WithErrorInfo(
          absl::AbortedError(absl::StrCat(
              "the shared storage with digest ", digest.ToHex(),
              " was deleted meanwhile; ask again which tensors are missing")),
          reason::kSourceDeleted, {{"digest", digest.ToHex()}});
    }
    RETURN_IF_ERROR(data.status());
    return opened_.emplace_back(*std::move(data)).bytes;
  }

  absl::Status CheckViews() {
    ParallelFor(views_.size(), [this](size_t i) {
      View& view = views_[i];
      if (view.is_whole) return;
      BlobHasher hasher;
      // Errors would be the sink's, which has none.
      format::ForEachPiece(contents_, storage_bytes_, *view.tensor,
                           [&hasher](absl::string_view bytes) {
                             hasher.Update(bytes);
                             return absl::OkStatus();
                           })
          .IgnoreError();
      view.blob = hasher.Finish();
    });
    for (size_t i = 0; i < manifest_.entries.size(); ++i) {
      const ManifestEntry& entry = manifest_.entries[i];
      if (!entry.view.has_value()) continue;
      const Digest& actual = views_[view_of_entry_[i]].blob.digest;
      if (actual == entry.digest) continue;
      return Invalid(absl::StrCat(
          TensorName(entry), " has the digest ", entry.digest.ToHex(),
          ", but its values in the shared storage have ", actual.ToHex()));
    }
    return absl::OkStatus();
  }

  absl::Status AddViews() {
    for (const View& view : views_) {
      // That of a whole storage is there.
      if (!sizes_.emplace(view.blob.digest, view.blob.num_bytes).second) {
        continue;
      }
      if (!AddInPlace(view)) RETURN_IF_ERROR(AddCopy(view));
    }
    return absl::OkStatus();
  }

  // Where its bytes came with its storage.
  bool AddInPlace(const View& view) {
    const FileTensor& tensor = *view.tensor;
    const auto storage =
        brought_.find(manifest_.storages[tensor.storage].digest);
    if (storage == brought_.end() || !format::IsContiguous(contents_, tensor)) {
      return false;
    }
    draft_.AddBlob(storage->second->file,
                   storage->second->offset +
                       tensor.element_offset * DTypeSize(tensor.spec.dtype()),
                   view.blob);
    return true;
  }

  absl::Status AddCopy(const View& view) {
    if (copies_ == nullptr) {
      ASSIGN_OR_RETURN(copies_, DiskStatus(draft_.NewFile()));
    }
    const size_t padding = -copies_size_ % kAlignment;
    RETURN_IF_ERROR(AppendCopy(std::string(padding, '\0')));
    draft_.AddBlob(copies_, static_cast<int64_t>(copies_size_), view.blob);
    return format::ForEachPiece(
        contents_, storage_bytes_, *view.tensor,
        [this](absl::string_view bytes) { return AppendCopy(bytes); });
  }

  absl::Status AppendCopy(absl::string_view bytes) {
    copies_size_ += bytes.size();
    return DiskStatus(copies_->Append(bytes));
  }

  const Manifest& manifest_;
  const FileContents& contents_;
  store::Store& store_;
  store::Draft& draft_;

  absl::flat_hash_map<Digest, const IngestedBlob*> brought_;
  // Of all blobs that will be there.
  absl::flat_hash_map<Digest, int64_t> sizes_;
  absl::flat_hash_set<Digest> missing_;
  const ManifestEntry* first_missing_ = nullptr;
  Digest first_missing_digest_;

  std::vector<View> views_;
  std::vector<size_t> view_of_entry_;
  // Shared storages are the first of the contents, each a file of its own.
  std::vector<FileView> storage_bytes_;
  std::vector<store::BlobData> opened_;
  store::StagedFile* copies_ = nullptr;
  size_t copies_size_ = 0;
};

}  // namespace

absl::Status CompleteDraft(const Manifest& manifest,
                           const FileContents& contents,
                           absl::Span<const IngestedBlob> brought,
                           store::Store& store, store::Draft& draft) {
  return DraftCompleter(manifest, contents, brought, store, draft).Run();
}

}  // namespace warmstart::service
