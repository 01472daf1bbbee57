#ifndef WARMSTART_CLIENT_CPP_FILE_DESCRIPTOR_H_
#define WARMSTART_CLIENT_CPP_FILE_DESCRIPTOR_H_

#include <unistd.h>

#include <utility>

namespace warmstart::client {

// Owns an open file descriptor, or none (-1).
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }

  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_FILE_DESCRIPTOR_H_
