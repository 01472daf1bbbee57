// ExportFolder: checkpoints of a store as plain files.
//
//   DIR/
//     checkpoints/{id}.json               v1.ExportedCheckpoint
//     architectures/{name}/{version}.json v1.Architecture, those that are
//     needed tensors/{digest}.safetensors        one uint8 tensor, named by its
//     digest:
//                                         the values of a tensor, or a storage
//
// Tensors that checkpoints share are there once. Files appear whole or not at
// all, a checkpoint's after those of its tensors; so what was interrupted goes
// on where it stopped. The same checkpoint always gives the same files.
//
// Names are taken from servers and folders that nobody vouches for: those that
// could lead out of the folder are errors. Not thread-safe.

#ifndef WARMSTART_CLIENT_CLI_EXPORTS_EXPORT_FOLDER_H_
#define WARMSTART_CLIENT_CLI_EXPORTS_EXPORT_FOLDER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/cpp/atomic_file.h"
#include "client/cpp/manifest_upload.h"
#include "client/cpp/tensor_download.h"
#include "warmstart/v1/architectures.pb.h"
#include "warmstart/v1/export.pb.h"

namespace warmstart::client {

class ExportFolder {
 public:
  // Makes the folder where it is not there.
  static absl::StatusOr<ExportFolder> Create(const std::string& path);
  // NOT_FOUND for a folder that is no export.
  static absl::StatusOr<ExportFolder> Open(const std::string& path);

  // Where a tensor's bytes are; nothing where it is not there. DATA_LOSS for a
  // file that is too short to be one.
  absl::StatusOr<std::optional<LocalBlob>> FindTensor(
      const std::string& digest) const;
  absl::Status WriteCheckpoint(const v1::ExportedCheckpoint& exported) const;
  // `architecture` has a version.
  absl::Status WriteArchitecture(const v1::Architecture& architecture) const;

  // The checkpoints without manifest, report and metadata, oldest first.
  absl::StatusOr<std::vector<v1::Checkpoint>> ListCheckpoints() const;
  // `name` is "checkpoints/{id}". NOT_FOUND where it was not exported.
  absl::StatusOr<v1::ExportedCheckpoint> ReadCheckpoint(
      absl::string_view name) const;
  // `name` is "architectures/{name}/versions/{version}"; nothing where it was
  // not exported.
  absl::StatusOr<std::optional<v1::Architecture>> ReadArchitecture(
      absl::string_view name) const;

 private:
  friend class TensorWriter;

  explicit ExportFolder(std::string path) : path_(std::move(path)) {}

  absl::StatusOr<std::string> TensorPath(const std::string& digest) const;
  absl::StatusOr<std::string> CheckpointPath(absl::string_view name) const;
  absl::StatusOr<std::string> ArchitecturePath(absl::string_view name) const;

  std::string path_;
};

// Writes tensors into a folder, which must outlive it.
class TensorWriter final : public TensorSink {
 public:
  explicit TensorWriter(const ExportFolder& folder) : folder_(folder) {}

  absl::Status Begin(const std::string& digest, int64_t size) override;
  absl::Status Append(absl::string_view bytes) override;
  absl::Status End() override;

  // Of the tensors that were written.
  int64_t tensors_written() const { return tensors_written_; }
  int64_t bytes_written() const { return bytes_written_; }

 private:
  const ExportFolder& folder_;
  std::optional<AtomicFile> file_;
  int64_t size_ = 0;
  int64_t tensors_written_ = 0;
  int64_t bytes_written_ = 0;
};

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_EXPORTS_EXPORT_FOLDER_H_
