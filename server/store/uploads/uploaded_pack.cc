#include "server/store/uploads/uploaded_pack.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/store/random_id.h"

namespace warmstart::store {
namespace {

class UploadedPack final : public StagedPack {
 public:
  UploadedPack(FileSystem& file_system, const StorePaths& paths,
               const std::string& file, int64_t num_bytes)
      : file_system_(file_system),
        id_(RandomId()),
        from_(paths.Upload(file)),
        to_(paths.Pack(id_)),
        num_bytes_(num_bytes) {}

  const PackId& id() const override { return id_; }
  std::string path() const override { return from_; }

  absl::Status Append(absl::string_view) override { return IsComplete(); }
  absl::StatusOr<absl::Span<char>> MapForWriting(int64_t) override {
    return IsComplete();
  }

  absl::StatusOr<absl::string_view> Finish() override {
    if (num_bytes_ == 0) return "";  // such a file was never made
    if (mapped_ == nullptr) {
      ASSIGN_OR_RETURN(mapped_, file_system_.Map(from_));
    }
    const absl::string_view bytes = mapped_->bytes();
    if (static_cast<int64_t>(bytes.size()) == num_bytes_) return bytes;
    return absl::DataLossError(absl::StrCat("'", from_, "' has ", bytes.size(),
                                            " bytes; ", num_bytes_,
                                            " were received"));
  }

  void StartSync() override {}  // it has been synced

  absl::Status Publish() override { return file_system_.Link(from_, to_); }

 private:
  static absl::Status IsComplete() {
    return absl::FailedPreconditionError("an uploaded file is complete");
  }

  FileSystem& file_system_;
  const PackId id_;
  const std::string from_;
  const std::string to_;
  const int64_t num_bytes_;
  std::shared_ptr<MappedFile> mapped_;  // set by Finish
};

}  // namespace

std::unique_ptr<StagedPack> NewUploadedPack(FileSystem& file_system,
                                            const StorePaths& paths,
                                            const std::string& file,
                                            int64_t num_bytes) {
  return std::make_unique<UploadedPack>(file_system, paths, file, num_bytes);
}

}  // namespace warmstart::store
