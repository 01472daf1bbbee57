#include "tests/testing/faulty_file_system.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/base/status_macros.h"

namespace warmstart::testing {

// What is to go wrong, and how far we are.
class FaultyFileSystem::Plan {
 public:
  void Set(int step, absl::Status status, bool for_good)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    next_step_ = 0;
    fault_step_ = step;
    status_ = std::move(status);
    for_good_ = for_good;
    has_struck_ = false;
  }

  // Counts a step; an error where it is to fail.
  absl::Status Step() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    const int step = next_step_++;
    const bool strikes = fault_step_ >= 0 && (for_good_ ? step >= fault_step_
                                                        : step == fault_step_);
    if (!strikes) return absl::OkStatus();
    has_struck_ = true;
    return status_;
  }

  bool has_struck() const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return has_struck_;
  }

  bool tears() const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return !for_good_;
  }

 private:
  mutable absl::Mutex mutex_;
  int next_step_ ABSL_GUARDED_BY(mutex_) = 0;
  int fault_step_ ABSL_GUARDED_BY(mutex_) = -1;  // none
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  bool for_good_ ABSL_GUARDED_BY(mutex_) = false;
  bool has_struck_ ABSL_GUARDED_BY(mutex_) = false;
};

class FaultyFileSystem::File final : public WritableFile {
 public:
  File(std::unique_ptr<WritableFile> real, Plan& plan)
      : real_(std::move(real)), plan_(plan) {}

  absl::Status Append(absl::string_view data) override {
    absl::Status status = plan_.Step();
    if (status.ok()) return real_->Append(data);
    if (plan_.tears()) {
      real_->Append(data.substr(0, data.size() / 2)).IgnoreError();
    }
    return status;
  }
  absl::StatusOr<absl::Span<char>> MapForWriting(int64_t size) override {
    RETURN_IF_ERROR(plan_.Step());
    return real_->MapForWriting(size);
  }
  absl::Status Sync() override {
    RETURN_IF_ERROR(plan_.Step());
    return real_->Sync();
  }

 private:
  const std::unique_ptr<WritableFile> real_;
  Plan& plan_;
};

class FaultyFileSystem::Reader final : public ReadableFile {
 public:
  Reader(std::unique_ptr<ReadableFile> real, Plan& plan)
      : real_(std::move(real)), plan_(plan) {}

  absl::StatusOr<int64_t> Size() override {
    RETURN_IF_ERROR(plan_.Step());
    return real_->Size();
  }
  absl::StatusOr<size_t> Read(int64_t offset, absl::Span<char> into) override {
    RETURN_IF_ERROR(plan_.Step());
    return real_->Read(offset, into);
  }

 private:
  const std::unique_ptr<ReadableFile> real_;
  Plan& plan_;
};

FaultyFileSystem::FaultyFileSystem(FileSystem& real)
    : real_(real), plan_(std::make_unique<Plan>()) {}
FaultyFileSystem::~FaultyFileSystem() = default;

void FaultyFileSystem::FailAt(int step, absl::Status status) {
  plan_->Set(step, std::move(status), /*for_good=*/false);
}

void FaultyFileSystem::CrashAt(int step) {
  plan_->Set(step, absl::InternalError("the process has crashed"),
             /*for_good=*/true);
}

void FaultyFileSystem::Heal() {
  plan_->Set(-1, absl::OkStatus(), /*for_good=*/false);
}

bool FaultyFileSystem::has_struck() const { return plan_->has_struck(); }

absl::StatusOr<std::unique_ptr<WritableFile>> FaultyFileSystem::Create(
    const std::string& path) {
  RETURN_IF_ERROR(plan_->Step());
  ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, real_.Create(path));
  return std::make_unique<File>(std::move(file), *plan_);
}

absl::StatusOr<std::unique_ptr<WritableFile>> FaultyFileSystem::OpenToAppend(
    const std::string& path, int64_t size) {
  RETURN_IF_ERROR(plan_->Step());
  ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file,
                   real_.OpenToAppend(path, size));
  return std::make_unique<File>(std::move(file), *plan_);
}

absl::StatusOr<std::shared_ptr<MappedFile>> FaultyFileSystem::Map(
    const std::string& path) {
  RETURN_IF_ERROR(plan_->Step());
  return real_.Map(path);
}

absl::StatusOr<std::unique_ptr<ReadableFile>> FaultyFileSystem::OpenForReading(
    const std::string& path) {
  RETURN_IF_ERROR(plan_->Step());
  ASSIGN_OR_RETURN(std::unique_ptr<ReadableFile> file,
                   real_.OpenForReading(path));
  return std::make_unique<Reader>(std::move(file), *plan_);
}

absl::StatusOr<int64_t> FaultyFileSystem::Size(const std::string& path) {
  RETURN_IF_ERROR(plan_->Step());
  return real_.Size(path);
}

absl::Status FaultyFileSystem::Rename(const std::string& from,
                                      const std::string& to) {
  RETURN_IF_ERROR(plan_->Step());
  return real_.Rename(from, to);
}

absl::Status FaultyFileSystem::Link(const std::string& from,
                                    const std::string& to) {
  RETURN_IF_ERROR(plan_->Step());
  return real_.Link(from, to);
}

absl::Status FaultyFileSystem::Remove(const std::string& path) {
  RETURN_IF_ERROR(plan_->Step());
  return real_.Remove(path);
}

absl::StatusOr<std::vector<std::string>> FaultyFileSystem::List(
    const std::string& directory) {
  RETURN_IF_ERROR(plan_->Step());
  return real_.List(directory);
}

absl::Status FaultyFileSystem::CreateDirectory(const std::string& directory) {
  RETURN_IF_ERROR(plan_->Step());
  return real_.CreateDirectory(directory);
}

absl::Status FaultyFileSystem::SyncDirectory(const std::string& directory) {
  RETURN_IF_ERROR(plan_->Step());
  return real_.SyncDirectory(directory);
}

}  // namespace warmstart::testing
