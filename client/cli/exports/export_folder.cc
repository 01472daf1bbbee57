#include "client/cli/exports/export_folder.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <tuple>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/cli/json.h"
#include "client/cpp/safetensors_head.h"
#include "client/cpp/status_macros.h"
#include "nlohmann/json.hpp"

namespace warmstart::client {
namespace {

namespace fs = std::filesystem;

constexpr absl::string_view kCheckpoints = "checkpoints";
constexpr absl::string_view kArchitectures = "architectures";
constexpr absl::string_view kTensors = "tensors";
constexpr absl::string_view kJson = ".json";
constexpr size_t kDigestDigits = 64;

// Whether `name` can be that of a file: it leads nowhere else, and is not
// hidden.
bool IsFileName(absl::string_view name) {
  if (name.empty() || name.front() == '.') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
  });
}

absl::Status BadName(absl::string_view what, absl::string_view name) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", name, "\" is no ", what));
}

absl::Status MakeFolder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (!error) return absl::OkStatus();
  return absl::ErrnoToStatus(error.value(),
                             absl::StrCat("cannot create the folder ", path));
}

// Keys are sorted, so that equal messages have equal text: protobuf keeps maps
// in no order.
std::string StableJson(const google::protobuf::Message& message) {
  const nlohmann::json json = nlohmann::json::parse(
      ToJson(message), /*cb=*/nullptr, /*allow_exceptions=*/false);
  return json.dump(1, ' ', /*ensure_ascii=*/false,
                   nlohmann::json::error_handler_t::replace) +
         "\n";
}

absl::Status WriteMessage(const std::string& path,
                          const google::protobuf::Message& message) {
  CLIENT_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  CLIENT_RETURN_IF_ERROR(file.Append(StableJson(message)));
  return file.Commit();
}

// NOT_FOUND where the file is not there.
absl::Status ReadMessage(const std::string& path,
                         google::protobuf::Message& message) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const absl::Status status = FromJson(text, message);
  if (status.ok()) return status;
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", status.message()));
}

// Of a .safetensors file: its header, and before that, in eight bytes, the
// header's size. Nothing where it cannot be.
std::optional<int64_t> HeadSize(const std::string& path) {
  constexpr uint64_t kMaxHeader = 100'000'000;  // as the format has it
  std::ifstream file(path, std::ios::binary);
  unsigned char bytes[sizeof(uint64_t)];
  if (!file.read(reinterpret_cast<char*>(bytes), sizeof(bytes))) {
    return std::nullopt;
  }
  uint64_t header = 0;
  for (size_t i = 0; i < sizeof(bytes); ++i) {
    header |= uint64_t{bytes[i]} << (8 * i);
  }
  if (header > kMaxHeader) return std::nullopt;
  return static_cast<int64_t>(sizeof(bytes) + header);
}

}  // namespace

absl::StatusOr<ExportFolder> ExportFolder::Create(const std::string& path) {
  for (const absl::string_view inner :
       {kCheckpoints, kArchitectures, kTensors}) {
    CLIENT_RETURN_IF_ERROR(MakeFolder(absl::StrCat(path, "/", inner)));
  }
  return ExportFolder(path);
}

absl::StatusOr<ExportFolder> ExportFolder::Open(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(absl::StrCat(path, "/", kCheckpoints), error)) {
    return ExportFolder(path);
  }
  return absl::NotFoundError(absl::StrCat(
      path, " is no folder that `warmstart admin export` made: it has no ",
      kCheckpoints, "/"));
}

absl::StatusOr<std::string> ExportFolder::TensorPath(
    const std::string& digest) const {
  const bool is_digest =
      digest.size() == kDigestDigits &&
      std::all_of(digest.begin(), digest.end(), [](char c) {
        return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
      });
  if (!is_digest) return BadName("digest", digest);
  return absl::StrCat(path_, "/", kTensors, "/", digest, ".safetensors");
}

absl::StatusOr<std::string> ExportFolder::CheckpointPath(
    absl::string_view name) const {
  absl::string_view id = name;
  if (!absl::ConsumePrefix(&id, "checkpoints/") || !IsFileName(id)) {
    return BadName("checkpoint's name", name);
  }
  return absl::StrCat(path_, "/", kCheckpoints, "/", id, kJson);
}

absl::StatusOr<std::string> ExportFolder::ArchitecturePath(
    absl::string_view name) const {
  const std::vector<absl::string_view> parts = absl::StrSplit(name, '/');
  if (parts.size() != 4 || parts[0] != "architectures" ||
      parts[2] != "versions" || !IsFileName(parts[1]) ||
      !IsFileName(parts[3])) {
    return BadName("version of an architecture", name);
  }
  return absl::StrCat(path_, "/", kArchitectures, "/", parts[1], "/", parts[3],
                      kJson);
}

absl::StatusOr<std::optional<LocalBlob>> ExportFolder::FindTensor(
    const std::string& digest) const {
  CLIENT_ASSIGN_OR_RETURN(const std::string path, TensorPath(digest));
  std::error_code error;
  const auto file_size = static_cast<int64_t>(fs::file_size(path, error));
  if (error == std::errc::no_such_file_or_directory) return std::nullopt;
  if (error) {
    return absl::ErrnoToStatus(error.value(),
                               absl::StrCat("cannot read ", path));
  }
  // The tensor is all that comes after the header.
  const std::optional<int64_t> head = HeadSize(path);
  if (!head.has_value() || *head > file_size) {
    return absl::DataLossError(absl::StrCat(
        path, " is no .safetensors file; remove it and export again"));
  }
  return LocalBlob{digest,
                   {.path = path, .offset = *head, .size = file_size - *head}};
}

absl::Status ExportFolder::WriteCheckpoint(
    const v1::ExportedCheckpoint& exported) const {
  CLIENT_ASSIGN_OR_RETURN(const std::string path,
                          CheckpointPath(exported.checkpoint().name()));
  return WriteMessage(path, exported);
}

absl::Status ExportFolder::WriteArchitecture(
    const v1::Architecture& architecture) const {
  CLIENT_ASSIGN_OR_RETURN(const std::string path,
                          ArchitecturePath(architecture.name()));
  CLIENT_RETURN_IF_ERROR(MakeFolder(fs::path(path).parent_path().string()));
  return WriteMessage(path, architecture);
}

absl::StatusOr<std::vector<v1::Checkpoint>> ExportFolder::ListCheckpoints()
    const {
  const std::string folder = absl::StrCat(path_, "/", kCheckpoints);
  std::error_code error;
  std::vector<v1::Checkpoint> checkpoints;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(folder, error)) {
    const std::string file = entry.path().filename().string();
    if (!absl::EndsWith(file, kJson)) continue;
    const absl::string_view id = absl::StripSuffix(file, kJson);
    CLIENT_ASSIGN_OR_RETURN(v1::ExportedCheckpoint exported,
                            ReadCheckpoint(absl::StrCat("checkpoints/", id)));
    exported.mutable_checkpoint()->clear_report();
    exported.mutable_checkpoint()->clear_metadata();
    checkpoints.push_back(std::move(*exported.mutable_checkpoint()));
  }
  if (error) {
    return absl::ErrnoToStatus(error.value(),
                               absl::StrCat("cannot read ", folder));
  }
  const auto age = [](const v1::Checkpoint& checkpoint) {
    return std::make_tuple(checkpoint.create_time().seconds(),
                           checkpoint.create_time().nanos(),
                           absl::string_view(checkpoint.name()));
  };
  std::sort(checkpoints.begin(), checkpoints.end(),
            [&](const auto& a, const auto& b) { return age(a) < age(b); });
  return checkpoints;
}

absl::StatusOr<v1::ExportedCheckpoint> ExportFolder::ReadCheckpoint(
    absl::string_view name) const {
  CLIENT_ASSIGN_OR_RETURN(const std::string path, CheckpointPath(name));
  v1::ExportedCheckpoint exported;
  CLIENT_RETURN_IF_ERROR(ReadMessage(path, exported));
  if (exported.checkpoint().name() == name) return exported;
  return absl::InvalidArgumentError(absl::StrCat(
      path, " is of ", exported.checkpoint().name(), ", not of ", name));
}

absl::StatusOr<std::optional<v1::Architecture>> ExportFolder::ReadArchitecture(
    absl::string_view name) const {
  CLIENT_ASSIGN_OR_RETURN(const std::string path, ArchitecturePath(name));
  v1::Architecture architecture;
  const absl::Status status = ReadMessage(path, architecture);
  if (absl::IsNotFound(status)) return std::nullopt;
  CLIENT_RETURN_IF_ERROR(status);
  return architecture;
}

absl::Status TensorWriter::Begin(const std::string& digest, int64_t size) {
  CLIENT_ASSIGN_OR_RETURN(const std::string path, folder_.TensorPath(digest));
  CLIENT_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  file_.emplace(std::move(file));
  size_ = size;
  const SafetensorsEntry entry{digest, size};
  return file_->Append(SafetensorsHead({&entry, 1}));
}

absl::Status TensorWriter::Append(absl::string_view bytes) {
  return file_->Append(bytes);
}

absl::Status TensorWriter::End() {
  CLIENT_RETURN_IF_ERROR(file_->Commit());
  file_.reset();
  ++tensors_written_;
  bytes_written_ += size_;
  return absl::OkStatus();
}

}  // namespace warmstart::client
