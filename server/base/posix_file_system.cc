#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/file_system.h"
#include "server/base/status_macros.h"

namespace warmstart {
namespace {

// How much an appender writes before it tells the kernel to start writing back,
// so that the final fsync finds little left to do.
constexpr int64_t kWritebackBytes = int64_t{8} << 20;

absl::StatusCode CodeOfErrno(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::StatusCode::kNotFound;
    case EEXIST:
      return absl::StatusCode::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::StatusCode::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return absl::StatusCode::kResourceExhausted;
    default:
      return absl::StatusCode::kInternal;
  }
}

absl::Status ErrnoStatus(int error, absl::string_view what,
                         const std::string& path) {
  return absl::Status(
      CodeOfErrno(error),
      absl::StrCat("cannot ", what, " '", path, "': ", strerror(error)));
}

// Calls `call` again for as long as signals interrupt it.
template <typename F>
auto RetryOnEintr(F call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result == -1 && errno == EINTR);
  return result;
}

// Owns a file descriptor. Errors of close are ignored: they concern data that
// was not synced, and nobody takes that for written.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;

  int get() const { return fd_; }

 private:
  int fd_;
};

absl::StatusOr<Descriptor> Open(const std::string& path, int flags,
                                absl::string_view what) {
  const int fd = RetryOnEintr(
      [&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0644); });
  if (fd < 0) return ErrnoStatus(errno, what, path);
  return Descriptor(fd);
}

class PosixMappedFile final : public MappedFile {
 public:
  PosixMappedFile(void* address, size_t size)
      : address_(address), size_(size) {}
  ~PosixMappedFile() override {
    if (address_ != nullptr) ::munmap(address_, size_);
  }

  absl::string_view bytes() const override {
    return absl::string_view(static_cast<const char*>(address_), size_);
  }

 private:
  void* const address_;  // null for an empty file, which cannot be mapped
  const size_t size_;
};

class PosixReadableFile final : public ReadableFile {
 public:
  PosixReadableFile(std::string path, Descriptor fd)
      : path_(std::move(path)), fd_(std::move(fd)) {
    DropFromMemory(0, 0);  // 0: to its end
  }

  absl::StatusOr<int64_t> Size() override {
    struct stat info;
    if (::fstat(fd_.get(), &info) != 0) {
      return ErrnoStatus(errno, "stat", path_);
    }
    return info.st_size;
  }

  absl::StatusOr<size_t> Read(int64_t offset, absl::Span<char> into) override {
    size_t done = 0;
    while (done < into.size()) {
      const ssize_t size = RetryOnEintr([&] {
        return ::pread(fd_.get(), into.data() + done, into.size() - done,
                       offset + static_cast<int64_t>(done));
      });
      if (size < 0) return ReadError(errno);
      if (size == 0) break;
      done += static_cast<size_t>(size);
    }
    if (done > 0) DropFromMemory(offset, done);
    return done;
  }

 private:
  // A hint, as far as nobody has the pages mapped or has written to them.
  void DropFromMemory(int64_t offset, size_t size) {
    ::posix_fadvise(fd_.get(), offset, static_cast<off_t>(size),
                    POSIX_FADV_DONTNEED);
  }

  absl::Status ReadError(int error) const {
    const absl::Status status = ErrnoStatus(error, "read", path_);
    return error == EIO ? absl::DataLossError(status.message()) : status;
  }

  const std::string path_;
  const Descriptor fd_;
};

class PosixWritableFile final : public WritableFile {
 public:
  // The file has `size` bytes, and the descriptor stands behind them.
  PosixWritableFile(std::string path, Descriptor fd, int64_t size)
      : path_(std::move(path)),
        fd_(std::move(fd)),
        size_(size),
        written_back_(size) {}
  ~PosixWritableFile() override {
    if (address_ != nullptr) ::munmap(address_, mapped_size_);
  }

  absl::Status Append(absl::string_view data) override {
    while (!data.empty()) {
      const size_t size =
          std::min(data.size(), static_cast<size_t>(kWritebackBytes));
      const ssize_t written =
          RetryOnEintr([&] { return ::write(fd_.get(), data.data(), size); });
      if (written < 0) return ErrnoStatus(errno, "write", path_);
      data.remove_prefix(written);
      size_ += written;
      StartWriteback();
    }
    return absl::OkStatus();
  }

  absl::StatusOr<absl::Span<char>> MapForWriting(int64_t size) override {
    if (size < 0 || size_ != 0 || address_ != nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("cannot map '", path_, "' for writing: ",
                       size < 0 ? "the size is negative" : "it is not empty"));
    }
    if (size == 0) return absl::Span<char>();
    int error;
    do {
      error = ::posix_fallocate(fd_.get(), 0, size);
    } while (error == EINTR);
    if (error != 0) return ErrnoStatus(error, "allocate", path_);
    void* const address =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
    if (address == MAP_FAILED) return ErrnoStatus(errno, "map", path_);
    address_ = address;
    mapped_size_ = size;
    return absl::Span<char>(static_cast<char*>(address), mapped_size_);
  }

  absl::Status Sync() override {
    // The kernel reports a failed write-back once and then forgets about it, so
    // the first error has to be remembered here.
    if (!sync_status_.ok()) return sync_status_;
    // Covers what was written through the mapping too (on Linux), and the
    // metadata that is needed to read the data back.
    if (RetryOnEintr([&] { return ::fdatasync(fd_.get()); }) != 0) {
      sync_status_ = ErrnoStatus(errno, "sync", path_);
    }
    return sync_status_;
  }

 private:
  // Only a hint, and so without a status: what goes wrong, Sync reports.
  void StartWriteback() {
    if (size_ - written_back_ < kWritebackBytes) return;
    ::sync_file_range(fd_.get(), written_back_, size_ - written_back_,
                      SYNC_FILE_RANGE_WRITE);
    written_back_ = size_;
  }

  const std::string path_;
  const Descriptor fd_;
  int64_t size_;
  int64_t written_back_;
  void* address_ = nullptr;
  size_t mapped_size_ = 0;
  absl::Status sync_status_;
};

std::string ParentOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

class RealFileSystem final : public FileSystem {
 public:
  RealFileSystem() {
    // A write past the limit on file sizes is an error, not the end of the
    // process; whoever has set up a handler keeps it.
    struct sigaction action;
    if (::sigaction(SIGXFSZ, nullptr, &action) == 0 &&
        action.sa_handler == SIG_DFL) {
      ::signal(SIGXFSZ, SIG_IGN);
    }
  }

  absl::StatusOr<std::unique_ptr<WritableFile>> Create(
      const std::string& path) override {
    ASSIGN_OR_RETURN(Descriptor fd,
                     Open(path, O_CREAT | O_EXCL | O_RDWR, "create"));
    return std::make_unique<PosixWritableFile>(path, std::move(fd), 0);
  }

  absl::StatusOr<std::unique_ptr<WritableFile>> OpenToAppend(
      const std::string& path, int64_t size) override {
    ASSIGN_OR_RETURN(Descriptor fd, Open(path, O_RDWR, "open"));
    const off_t end = ::lseek(fd.get(), 0, SEEK_END);
    if (end < 0) return ErrnoStatus(errno, "seek in", path);
    if (end < size) {
      return absl::DataLossError(absl::StrCat(
          "'", path, "' has ", end, " bytes; there were at least ", size));
    }
    if (RetryOnEintr([&] { return ::ftruncate(fd.get(), size); }) != 0) {
      return ErrnoStatus(errno, "cut", path);
    }
    if (::lseek(fd.get(), size, SEEK_SET) < 0) {
      return ErrnoStatus(errno, "seek in", path);
    }
    return std::make_unique<PosixWritableFile>(path, std::move(fd), size);
  }

  absl::StatusOr<std::shared_ptr<MappedFile>> Map(
      const std::string& path) override {
    ASSIGN_OR_RETURN(const Descriptor fd, Open(path, O_RDONLY, "open"));
    struct stat info;
    if (::fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, "stat", path);
    const size_t size = info.st_size;
    if (size == 0) return std::make_shared<PosixMappedFile>(nullptr, 0);
    void* const address =
        ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
    if (address == MAP_FAILED) return ErrnoStatus(errno, "map", path);
    return std::make_shared<PosixMappedFile>(address, size);
  }

  absl::StatusOr<std::unique_ptr<ReadableFile>> OpenForReading(
      const std::string& path) override {
    ASSIGN_OR_RETURN(Descriptor fd, Open(path, O_RDONLY, "open"));
    return std::make_unique<PosixReadableFile>(path, std::move(fd));
  }

  absl::StatusOr<int64_t> Size(const std::string& path) override {
    struct stat info;
    if (::stat(path.c_str(), &info) != 0) {
      return ErrnoStatus(errno, "stat", path);
    }
    return info.st_size;
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
    return ErrnoStatus(errno, absl::StrCat("rename '", from, "' to"), to);
  }

  absl::Status Link(const std::string& from, const std::string& to) override {
    if (::link(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
    return ErrnoStatus(errno, absl::StrCat("link '", from, "' to"), to);
  }

  absl::Status Remove(const std::string& path) override {
    if (::unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
    return ErrnoStatus(errno, "remove", path);
  }

  absl::StatusOr<std::vector<std::string>> List(
      const std::string& directory) override {
    const auto close = [](DIR* dir) { ::closedir(dir); };
    const std::unique_ptr<DIR, decltype(close)> dir(
        ::opendir(directory.c_str()), close);
    if (dir == nullptr) return ErrnoStatus(errno, "list", directory);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(dir.get())) {
      const absl::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      errno = 0;
    }
    if (errno != 0) return ErrnoStatus(errno, "list", directory);
    return names;
  }

  absl::Status CreateDirectory(const std::string& directory) override {
    std::string path = directory;
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    int error = MakeDirectory(path);
    if (error == ENOENT && ParentOf(path) != path) {
      RETURN_IF_ERROR(CreateDirectory(ParentOf(path)));
      error = MakeDirectory(path);
    }
    if (error == EEXIST) return CheckIsDirectory(path);
    if (error != 0) return ErrnoStatus(error, "create the folder", path);
    return SyncDirectory(ParentOf(path));
  }

  absl::Status SyncDirectory(const std::string& directory) override {
    ASSIGN_OR_RETURN(const Descriptor fd,
                     Open(directory, O_RDONLY | O_DIRECTORY, "open"));
    if (RetryOnEintr([&] { return ::fsync(fd.get()); }) != 0) {
      return ErrnoStatus(errno, "sync", directory);
    }
    return absl::OkStatus();
  }

 private:
  static int MakeDirectory(const std::string& path) {
    return ::mkdir(path.c_str(), 0755) == 0 ? 0 : errno;
  }

  static absl::Status CheckIsDirectory(const std::string& path) {
    struct stat info;
    if (::stat(path.c_str(), &info) != 0) {
      return ErrnoStatus(errno, "stat", path);
    }
    if (S_ISDIR(info.st_mode)) return absl::OkStatus();
    return ErrnoStatus(EEXIST, "create the folder", path);
  }
};

}  // namespace

FileSystem& PosixFileSystem() {
  static RealFileSystem* const file_system = new RealFileSystem;
  return *file_system;
}

}  // namespace warmstart
