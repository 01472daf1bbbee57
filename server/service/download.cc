#include "server/service/download.h"

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/model/utf8.h"
#include "server/service/handles.h"
#include "server/service/lost_tensor.h"

namespace warmstart::service {
namespace {

constexpr size_t kMaxParts = 64;
constexpr size_t kMaxKeyBytes = 1024;

// For a tensor that is gone though the manifest, a moment ago, named it: of the
// checkpoints of one file, the one that is not there any more.
absl::Status DeletedMeanwhile(store::Store& store,
                              absl::Span<const CheckpointName> checkpoints) {
  std::string name = checkpoints.front().ToString();
  for (const CheckpointName& checkpoint : checkpoints) {
    if (absl::IsNotFound(store.GetCheckpoint(checkpoint).status())) {
      name = checkpoint.ToString();
    }
  }
  return WithErrorInfo(absl::NotFoundError(absl::StrCat(
                           name, " was deleted while it was downloaded")),
                       reason::kCheckpointNotFound, {{"checkpoint", name}});
}

auto ChecksumsIn(store::Store& store) {
  return [&store](const Digest& digest) -> absl::StatusOr<uint32_t> {
    ASSIGN_OR_RETURN(const store::Blob blob, store.GetBlob(digest));
    return blob.crc32;
  };
}

absl::Status CheckKeys(absl::Span<const DownloadPart> parts) {
  if (parts.empty() || parts.size() > kMaxParts) {
    return InvalidField(
        "parts", absl::StrCat("there are ", parts.size(), "; 1 to ", kMaxParts,
                              " can be in a file"));
  }
  absl::flat_hash_set<absl::string_view> seen;
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string& key = parts[i].key;
    const std::string field = absl::StrCat("parts[", i, "].key");
    if (key.empty() || key.size() > kMaxKeyBytes || !IsUtf8(key) ||
        absl::StrContains(key, '.')) {
      return InvalidField(field, absl::StrCat("is not 1 to ", kMaxKeyBytes,
                                              " bytes of UTF-8 without a dot"));
    }
    if (!seen.insert(key).second) {
      return InvalidField(field, absl::StrCat("'", key, "' is there twice"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

Download::Download(store::Store& store, std::vector<CheckpointName> checkpoints,
                   format::FileLayout layout)
    : store_(store),
      checkpoints_(std::move(checkpoints)),
      layout_(std::move(layout)) {}

absl::StatusOr<std::unique_ptr<Download>> Download::Open(
    const Context& context, absl::string_view handle, FileFormat format,
    int64_t offset) {
  store::Store& store = *context.store;
  ASSIGN_OR_RETURN(const store::Checkpoint checkpoint,
                   FindCheckpoint(store, "name", handle));
  ASSIGN_OR_RETURN(const auto manifest, store.GetManifest(checkpoint.name));
  return At(offset, store, {checkpoint.name},
            LayoutFile(*manifest, format, ChecksumsIn(store)));
}

absl::StatusOr<std::unique_ptr<Download>> Download::Open(
    const Context& context, absl::Span<const DownloadPart> parts,
    FileFormat format, int64_t offset) {
  store::Store& store = *context.store;
  RETURN_IF_ERROR(CheckKeys(parts));
  std::vector<CheckpointName> checkpoints;
  std::vector<format::FilePart> file_parts;
  for (size_t i = 0; i < parts.size(); ++i) {
    ASSIGN_OR_RETURN(
        const store::Checkpoint checkpoint,
        FindCheckpoint(store, absl::StrCat("parts[", i, "].checkpoint"),
                       parts[i].checkpoint));
    ASSIGN_OR_RETURN(const auto manifest, store.GetManifest(checkpoint.name));
    checkpoints.push_back(checkpoint.name);
    file_parts.push_back({parts[i].key, *manifest});
  }
  return At(offset, store, std::move(checkpoints),
            LayoutFile(file_parts, format, ChecksumsIn(store)));
}

absl::StatusOr<std::unique_ptr<Download>> Download::At(
    int64_t offset, store::Store& store,
    std::vector<CheckpointName> checkpoints,
    absl::StatusOr<format::FileLayout> layout) {
  if (absl::IsNotFound(layout.status())) {
    return DeletedMeanwhile(store, checkpoints);
  }
  RETURN_IF_ERROR(layout.status());
  if (offset < 0 || offset > layout->num_bytes) {
    return WithErrorInfo(absl::OutOfRangeError(absl::StrCat(
                             "offset: ", offset, " is not within the file's ",
                             layout->num_bytes, " bytes")),
                         reason::kInvalidField, {{"field", "offset"}});
  }
  auto download = std::unique_ptr<Download>(
      new Download(store, std::move(checkpoints), *std::move(layout)));
  download->SkipTo(offset);
  return download;
}

void Download::SkipTo(int64_t offset) {
  position_ = offset;
  while (segment_ < layout_.segments.size() &&
         position_ >= layout_.segments[segment_].num_bytes) {
    position_ -= layout_.segments[segment_].num_bytes;
    ++segment_;
  }
}

absl::StatusOr<absl::string_view> Download::SegmentBytes() {
  const format::Segment& segment = layout_.segments[segment_];
  if (!segment.is_blob) return absl::string_view(segment.literal);
  if (!blob_.has_value()) {
    absl::StatusOr<store::BlobData> data = store_.OpenBlob(segment.blob);
    if (absl::IsNotFound(data.status())) {
      return DeletedMeanwhile(store_, checkpoints_);
    }
    if (!data.ok()) return Named(data.status());
    blob_ = *std::move(data);
  }
  if (static_cast<int64_t>(blob_->bytes.size()) != segment.num_bytes) {
    return Named(WithErrorInfo(
        absl::DataLossError(absl::StrCat(
            "the tensor with digest ", segment.blob.ToHex(), " has ",
            blob_->bytes.size(), " bytes instead of ", segment.num_bytes)),
        reason::kDataLoss, {{"digest", segment.blob.ToHex()}}));
  }
  return blob_->bytes;
}

absl::Status Download::Named(absl::Status status) const {
  for (const CheckpointName& checkpoint : checkpoints_) {
    const auto manifest = store_.GetManifest(checkpoint);
    if (!manifest.ok()) continue;  // it was deleted, too
    absl::Status named = NameLostTensor(status, checkpoint, **manifest);
    if (named != status) return named;
  }
  return status;
}

absl::Status Download::Read(size_t max_bytes, std::string* chunk) {
  chunk->clear();
  while (chunk->size() < max_bytes && segment_ < layout_.segments.size()) {
    ASSIGN_OR_RETURN(absl::string_view bytes, SegmentBytes());
    bytes.remove_prefix(position_);
    bytes = bytes.substr(0, max_bytes - chunk->size());
    chunk->append(bytes.data(), bytes.size());
    position_ += static_cast<int64_t>(bytes.size());
    if (position_ == layout_.segments[segment_].num_bytes) {
      ++segment_;
      position_ = 0;
      blob_.reset();
    }
  }
  return absl::OkStatus();
}

}  // namespace warmstart::service
