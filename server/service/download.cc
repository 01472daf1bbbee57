#include "server/service/download.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/service/handles.h"
#include "server/service/lost_tensor.h"

namespace warmstart::service {
namespace {

// For a tensor that is gone though the manifest, a moment ago, named it.
absl::Status DeletedMeanwhile(const CheckpointName& checkpoint) {
  return WithErrorInfo(
      absl::NotFoundError(absl::StrCat(checkpoint.ToString(),
                                       " was deleted while it was downloaded")),
      reason::kCheckpointNotFound, {{"checkpoint", checkpoint.ToString()}});
}

absl::StatusOr<format::FileLayout> LayoutOf(store::Store& store,
                                            const Manifest& manifest,
                                            FileFormat format) {
  if (format == FileFormat::kSafetensors) {
    absl::StatusOr<format::FileLayout> layout =
        format::LayoutSafetensorsFile(manifest);
    if (layout.ok()) return layout;
    return WithErrorInfo(layout.status(), reason::kFormatLacksDtype);
  }
  return format::LayoutTorchFile(
      manifest, [&store](const Digest& digest) -> absl::StatusOr<uint32_t> {
        ASSIGN_OR_RETURN(const store::Blob blob, store.GetBlob(digest));
        return blob.crc32;
      });
}

}  // namespace

Download::Download(store::Store& store, CheckpointName checkpoint,
                   format::FileLayout layout)
    : store_(store),
      checkpoint_(std::move(checkpoint)),
      layout_(std::move(layout)) {}

absl::StatusOr<std::unique_ptr<Download>> Download::Open(
    const Context& context, absl::string_view handle, FileFormat format,
    int64_t offset) {
  ASSIGN_OR_RETURN(const store::Checkpoint checkpoint,
                   FindCheckpoint(*context.store, "name", handle));
  ASSIGN_OR_RETURN(const std::shared_ptr<const Manifest> manifest,
                   context.store->GetManifest(checkpoint.name));
  absl::StatusOr<format::FileLayout> layout =
      LayoutOf(*context.store, *manifest, format);
  if (absl::IsNotFound(layout.status())) {
    return DeletedMeanwhile(checkpoint.name);
  }
  RETURN_IF_ERROR(layout.status());
  if (offset < 0 || offset > layout->num_bytes) {
    return WithErrorInfo(absl::OutOfRangeError(absl::StrCat(
                             "offset: ", offset, " is not within the file's ",
                             layout->num_bytes, " bytes")),
                         reason::kInvalidField, {{"field", "offset"}});
  }
  auto download = std::unique_ptr<Download>(
      new Download(*context.store, checkpoint.name, *std::move(layout)));
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
    if (absl::IsNotFound(data.status())) return DeletedMeanwhile(checkpoint_);
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
  const auto manifest = store_.GetManifest(checkpoint_);
  if (!manifest.ok()) return status;  // it was deleted, too
  return NameLostTensor(status, checkpoint_, **manifest);
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
