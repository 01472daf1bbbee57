// FaultyFileSystem: a FileSystem that goes wrong where a test tells it to.
//
//   FaultyFileSystem file_system(PosixFileSystem());
//   for (int step = 0;; ++step) {
//     file_system.CrashAt(step);
//     ... the operation, then what must be true of the disk after a crash there
//     if (!file_system.has_struck()) break;  // it took fewer steps than that
//   }
//
// A step is one call of FileSystem, WritableFile or ReadableFile, on any
// thread.

#ifndef WARMSTART_TESTS_TESTING_FAULTY_FILE_SYSTEM_H_
#define WARMSTART_TESTS_TESTING_FAULTY_FILE_SYSTEM_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/base/file_system.h"

namespace warmstart::testing {

// Thread-safe. `real` and this outlive the files that are made here.
class FaultyFileSystem final : public FileSystem {
 public:
  explicit FaultyFileSystem(FileSystem& real);
  ~FaultyFileSystem() override;

  // The next fault replaces the one before. Steps count from 0, from this call.

  // Step `step` fails with `status`: an Append writes half of its data, others
  // do nothing. All other steps work.
  void FailAt(int step, absl::Status status);
  // Step `step` and all after it are refused and do nothing, as though the
  // process had ended before.
  void CrashAt(int step);
  // No fault.
  void Heal();

  // Whether the fault was met.
  bool has_struck() const;

  absl::StatusOr<std::unique_ptr<WritableFile>> Create(
      const std::string& path) override;
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenToAppend(
      const std::string& path, int64_t size) override;
  absl::StatusOr<std::shared_ptr<MappedFile>> Map(
      const std::string& path) override;
  absl::StatusOr<std::unique_ptr<ReadableFile>> OpenForReading(
      const std::string& path) override;
  absl::StatusOr<int64_t> Size(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status Link(const std::string& from, const std::string& to) override;
  absl::Status Remove(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> List(
      const std::string& directory) override;
  absl::Status CreateDirectory(const std::string& directory) override;
  absl::Status SyncDirectory(const std::string& directory) override;

 private:
  class Plan;
  class File;
  class Reader;

  FileSystem& real_;
  const std::unique_ptr<Plan> plan_;
};

}  // namespace warmstart::testing

#endif  // WARMSTART_TESTS_TESTING_FAULTY_FILE_SYSTEM_H_
