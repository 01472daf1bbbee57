#include "server/service/ingest.h"

#include <libdeflate.h>

#include <cstring>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/parallel.h"
#include "server/base/status_macros.h"
#include "server/format/reader.h"
#include "server/service/disk_status.h"

namespace warmstart::service {
namespace {

using format::FileContents;
using format::FileStorage;
using format::FileTensor;
using format::FileView;

// What vector instructions and LibTorch like.
constexpr int64_t kAlignment = 64;

int64_t AlignUp(int64_t offset) {
  return (offset + kAlignment - 1) / kAlignment * kAlignment;
}

// A run of bytes that becomes a blob: the values of one or more equal views, or
// a whole storage.
struct Piece {
  // The first tensor of this view; for a storage, a tensor made up to read it
  // all.
  FileTensor tensor;
  std::string name;       // for messages
  bool in_place = false;  // else it is written to the scratch space
  int64_t offset = 0;     // in the file, or in the scratch space
  // Where the bytes are a whole record of the container.
  std::optional<uint32_t> expected_crc32;
  store::Blob blob;
};

class Ingester {
 public:
  Ingester(const FileContents& contents, absl::Span<const FileView> files,
           absl::Span<const store::StagedFile* const> staged,
           store::Draft& draft)
      : contents_(contents), files_(files), staged_(staged), draft_(draft) {}

  // Adds all blobs to the draft.
  absl::Status Run();
  // After Run.
  Manifest MakeManifest() const;
  std::vector<IngestedBlob> Blobs() const;

 private:
  void CollectViews();
  void CollectSharedStorages();
  void CollectUncheckedRecords();
  size_t AddPiece(FileTensor tensor, std::string name);
  size_t PieceOfStorage(int32_t index, DType dtype);
  absl::Status MakeRoom();
  absl::string_view BytesOf(const Piece& piece) const;
  absl::string_view LayOut(const Piece& piece) const;
  absl::Status ComputeDigests();
  absl::Status CheckRecords();
  const store::StagedFile* FileOf(const Piece& piece) const;

  const FileContents& contents_;
  absl::Span<const FileView> files_;
  absl::Span<const store::StagedFile* const> staged_;
  store::Draft& draft_;

  std::vector<Piece> pieces_;
  std::vector<size_t> piece_of_tensor_;
  absl::Span<char> scratch_;
  // Storages that a piece covers as they stand, by index.
  std::map<int32_t, size_t> whole_;
  // For each storage of the contents that tensors share: its piece, and its
  // number in the manifest.
  struct Shared {
    size_t piece;
    int32_t number;
  };
  std::map<int32_t, Shared> shared_;
  // Records that no piece covers exactly, to be checked on their own.
  std::vector<int32_t> unchecked_;
};

size_t Ingester::AddPiece(FileTensor tensor, std::string name) {
  const FileStorage& storage = contents_.storages[tensor.storage];
  Piece piece;
  piece.name = std::move(name);
  piece.in_place = format::IsContiguous(contents_, tensor);
  piece.blob.num_bytes = tensor.spec.num_bytes();
  if (piece.in_place) {
    piece.offset =
        storage.offset + tensor.element_offset * DTypeSize(tensor.spec.dtype());
    if (piece.blob.num_bytes == storage.num_bytes) {
      piece.expected_crc32 = storage.crc32;
      whole_.emplace(tensor.storage, pieces_.size());
    }
  }
  piece.tensor = std::move(tensor);
  pieces_.push_back(std::move(piece));
  return pieces_.size() - 1;
}

// Equal views (tied weights) become one piece.
void Ingester::CollectViews() {
  using View = std::tuple<int32_t, int64_t, DType, std::vector<int64_t>,
                          std::vector<int64_t>>;
  std::map<View, size_t> seen;
  for (const FileTensor& tensor : contents_.tensors) {
    const absl::Span<const int64_t> sizes = tensor.spec.shape().sizes();
    View view(tensor.storage, tensor.element_offset, tensor.spec.dtype(),
              std::vector<int64_t>(sizes.begin(), sizes.end()), tensor.strides);
    const auto [found, is_new] = seen.try_emplace(std::move(view), 0);
    if (is_new) found->second = AddPiece(tensor, tensor.key);
    piece_of_tensor_.push_back(found->second);
  }
}

// A storage is kept as a whole where at least two tensors look at it; not where
// they disagree about the width of a word whose bytes must be swapped.
void Ingester::CollectSharedStorages() {
  struct Users {
    int count = 0;
    bool mixed_words = false;
    DType dtype = DType::kUint8;
  };
  std::map<int32_t, Users> users_of;
  for (const FileTensor& tensor : contents_.tensors) {
    if (tensor.spec.num_elements() == 0) continue;
    Users& users = users_of[tensor.storage];
    if (users.count++ == 0) {
      users.dtype = tensor.spec.dtype();
    } else if (DTypeWordSize(users.dtype) !=
               DTypeWordSize(tensor.spec.dtype())) {
      users.mixed_words = true;
    }
  }
  for (const auto& [index, users] : users_of) {
    const FileStorage& storage = contents_.storages[index];
    if (users.count < 2) continue;
    if (storage.byte_swapped && users.mixed_words) continue;
    const DType dtype = storage.byte_swapped ? users.dtype : DType::kUint8;
    if (storage.num_bytes % DTypeSize(dtype) != 0) continue;
    // Two statements: GCC evaluates the left side of `map[key] = {...}` first.
    const int32_t number = static_cast<int32_t>(shared_.size());
    shared_.emplace(index, Shared{PieceOfStorage(index, dtype), number});
  }
}

// The piece of all elements of a storage: often one of its tensors is that
// already (tied weights), and then it need not be digested twice.
size_t Ingester::PieceOfStorage(int32_t index, DType dtype) {
  if (const auto found = whole_.find(index); found != whole_.end()) {
    return found->second;
  }
  const int64_t elements =
      contents_.storages[index].num_bytes / DTypeSize(dtype);
  FileTensor whole;
  // A vector of elements that a file holds is a shape like any other.
  whole.spec =
      TensorSpec::Create(dtype, Shape::Create({elements}).value()).value();
  whole.storage = index;
  whole.strides = {1};
  return AddPiece(std::move(whole), absl::StrCat("storage ", index));
}

void Ingester::CollectUncheckedRecords() {
  std::vector<bool> checked(contents_.storages.size());
  for (const Piece& piece : pieces_) {
    if (piece.expected_crc32.has_value()) checked[piece.tensor.storage] = true;
  }
  for (size_t i = 0; i < checked.size(); ++i) {
    if (!checked[i] && contents_.storages[i].crc32.has_value()) {
      unchecked_.push_back(static_cast<int32_t>(i));
    }
  }
}

// For what does not stand in the files as the store keeps it.
absl::Status Ingester::MakeRoom() {
  int64_t size = 0;
  for (Piece& piece : pieces_) {
    if (piece.in_place) continue;
    piece.offset = AlignUp(size);
    size = piece.offset + piece.blob.num_bytes;
  }
  if (size == 0) return absl::OkStatus();
  ASSIGN_OR_RETURN(scratch_, DiskStatus(draft_.NewScratch(size)));
  return absl::OkStatus();
}

// The bytes of a piece from where they will be kept.
absl::string_view Ingester::BytesOf(const Piece& piece) const {
  if (piece.blob.num_bytes == 0) return absl::string_view();
  if (piece.in_place) {
    const int32_t file = contents_.storages[piece.tensor.storage].file;
    return files_[file].bytes.substr(piece.offset, piece.blob.num_bytes);
  }
  return absl::string_view(scratch_.data() + piece.offset,
                           piece.blob.num_bytes);
}

// The bytes of a piece from where they will be kept, written there first where
// that is the scratch space.
absl::string_view Ingester::LayOut(const Piece& piece) const {
  if (piece.in_place || piece.blob.num_bytes == 0) return BytesOf(piece);
  char* out = scratch_.data() + piece.offset;
  const absl::Status status = format::ForEachPiece(
      contents_, files_, piece.tensor, [&](absl::string_view bytes) {
        std::memcpy(out, bytes.data(), bytes.size());
        out += bytes.size();
        return absl::OkStatus();
      });
  static_cast<void>(status);  // errors would be the sink's, which has none
  return BytesOf(piece);
}

absl::Status Ingester::ComputeDigests() {
  ParallelFor(pieces_.size(), [&](size_t i) {
    pieces_[i].blob = MakeBlob(LayOut(pieces_[i]));
  });
  for (const Piece& piece : pieces_) {
    if (piece.expected_crc32.value_or(piece.blob.crc32) != piece.blob.crc32) {
      return WithErrorInfo(
          absl::InvalidArgumentError(absl::StrCat(
              "the bytes of '", piece.name, "', at offset ", piece.offset,
              ", do not have the CRC-32 that the file records: the file is "
              "damaged; get it again from where it came from")),
          reason::kInvalidFile, {{"key", piece.name}});
    }
  }
  return CheckRecords();
}

absl::Status Ingester::CheckRecords() {
  std::vector<uint8_t> damaged(unchecked_.size());
  ParallelFor(unchecked_.size(), [&](size_t i) {
    const FileStorage& storage = contents_.storages[unchecked_[i]];
    const absl::string_view bytes = format::StorageBytes(files_, storage);
    damaged[i] =
        libdeflate_crc32(0, bytes.data(), bytes.size()) != *storage.crc32;
  });
  for (size_t i = 0; i < damaged.size(); ++i) {
    if (!damaged[i]) continue;
    const FileStorage& storage = contents_.storages[unchecked_[i]];
    return WithErrorInfo(
        absl::InvalidArgumentError(absl::StrCat(
            "the record of ", storage.num_bytes, " bytes at offset ",
            storage.offset,
            " does not have the CRC-32 that the file records: the file is "
            "damaged; get it again from where it came from")),
        reason::kInvalidFile, {{"offset", absl::StrCat(storage.offset)}});
  }
  return absl::OkStatus();
}

Manifest Ingester::MakeManifest() const {
  Manifest manifest;
  manifest.storages.resize(shared_.size());
  for (const auto& [index, shared] : shared_) {
    const store::Blob& blob = pieces_[shared.piece].blob;
    manifest.storages[shared.number] = {blob.digest, blob.num_bytes};
  }
  for (size_t i = 0; i < contents_.tensors.size(); ++i) {
    const FileTensor& tensor = contents_.tensors[i];
    ManifestEntry entry;
    entry.key = tensor.key;
    entry.spec = tensor.spec;
    entry.digest = pieces_[piece_of_tensor_[i]].blob.digest;
    const auto shared = shared_.find(tensor.storage);
    if (shared != shared_.end() && tensor.spec.num_elements() > 0) {
      entry.view = StorageView{shared->second.number, tensor.element_offset,
                               tensor.strides};
    }
    manifest.entries.push_back(std::move(entry));
  }
  manifest.subtrees = contents_.subtrees;
  manifest.module_versions = contents_.module_versions;
  manifest.metadata_json = contents_.metadata_json;
  return manifest;
}

// Null for the scratch space.
const store::StagedFile* Ingester::FileOf(const Piece& piece) const {
  return piece.in_place ? staged_[contents_.storages[piece.tensor.storage].file]
                        : nullptr;
}

std::vector<IngestedBlob> Ingester::Blobs() const {
  std::vector<IngestedBlob> blobs;
  absl::flat_hash_set<Digest> seen;
  for (const Piece& piece : pieces_) {
    if (!seen.insert(piece.blob.digest).second) continue;
    blobs.push_back({piece.blob, FileOf(piece), piece.offset, BytesOf(piece)});
  }
  return blobs;
}

absl::Status Ingester::Run() {
  CollectViews();
  CollectSharedStorages();
  CollectUncheckedRecords();
  RETURN_IF_ERROR(MakeRoom());
  RETURN_IF_ERROR(ComputeDigests());
  for (const Piece& piece : pieces_) {
    draft_.AddBlob(FileOf(piece), piece.offset, piece.blob);
  }
  return absl::OkStatus();
}

}  // namespace

void BlobHasher::Update(absl::string_view bytes) {
  // In steps that stay in the cache between the two passes.
  constexpr size_t kStep = 64 * 1024;
  for (size_t at = 0; at < bytes.size(); at += kStep) {
    const absl::string_view step = bytes.substr(at, kStep);
    hasher_.Update(step);
    crc32_ = libdeflate_crc32(crc32_, step.data(), step.size());
  }
  num_bytes_ += static_cast<int64_t>(bytes.size());
}

store::Blob BlobHasher::Finish() {
  return {hasher_.Finish(), num_bytes_, crc32_};
}

store::Blob MakeBlob(absl::string_view bytes) {
  BlobHasher hasher;
  hasher.Update(bytes);
  return hasher.Finish();
}

absl::StatusOr<Manifest> Ingest(
    const FileContents& contents, absl::Span<const FileView> files,
    absl::Span<const store::StagedFile* const> staged, store::Draft& draft) {
  Ingester ingester(contents, files, staged, draft);
  RETURN_IF_ERROR(ingester.Run());
  return ingester.MakeManifest();
}

absl::StatusOr<std::vector<IngestedBlob>> IngestBlobs(
    const FileContents& contents, absl::Span<const FileView> files,
    absl::Span<const store::StagedFile* const> staged, store::Draft& draft) {
  Ingester ingester(contents, files, staged, draft);
  RETURN_IF_ERROR(ingester.Run());
  return ingester.Blobs();
}

}  // namespace warmstart::service
