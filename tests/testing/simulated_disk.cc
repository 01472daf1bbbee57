#include "tests/testing/simulated_disk.h"

#include <errno.h>
#include <string.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"

namespace warmstart::testing {
namespace {

// What a disk writes as a whole, or not at all.
constexpr size_t kSectorBytes = 512;

size_t NumSectors(size_t num_bytes) {
  return (num_bytes + kSectorBytes - 1) / kSectorBytes;
}

absl::string_view Sector(absl::string_view bytes, size_t index) {
  const size_t begin = index * kSectorBytes;
  if (begin >= bytes.size()) return "";
  return bytes.substr(begin, kSectorBytes);
}

// `onto` with those sectors of `from`, and its length, that are kept.
std::string KeepSectors(std::string onto, absl::string_view from,
                        bool keeps_size,
                        absl::FunctionRef<bool(size_t)> keeps) {
  if (keeps_size) onto.resize(from.size());
  for (size_t i = 0; i < NumSectors(onto.size()); ++i) {
    absl::string_view sector = Sector(from, i);
    sector = sector.substr(0, onto.size() - i * kSectorBytes);
    if (keeps(i)) sector.copy(onto.data() + i * kSectorBytes, sector.size());
  }
  return onto;
}

std::string ParentOf(const std::string& path) {
  return std::filesystem::path(path).parent_path().string();
}

absl::Status StatusOf(int error, const std::string& path) {
  const std::string message = absl::StrCat("'", path, "': ", strerror(error));
  switch (error) {
    case 0:
      return absl::OkStatus();
    case ENOENT:
      return absl::NotFoundError(message);
    case EEXIST:
      return absl::AlreadyExistsError(message);
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(message);
    default:
      return absl::InternalError(message);
  }
}

}  // namespace

class SimulatedDisk::Inode {
 public:
  std::string current;
  std::string durable;
  // Sectors that a sync failed to write and that nobody wrote again: the kernel
  // takes them for clean, and no later sync writes them.
  std::set<size_t> lost;

  void Touch(size_t offset, size_t size) {
    lost.erase(lost.lower_bound(offset / kSectorBytes),
               lost.lower_bound(NumSectors(offset + size)));
  }

  void Sync() {
    durable = KeepSectors(std::move(durable), current, true,
                          [&](size_t i) { return lost.count(i) == 0; });
  }

  void FailToSync() {
    for (size_t i = 0; i < NumSectors(current.size()); ++i) {
      if (Sector(current, i) != Sector(durable, i)) lost.insert(i);
    }
  }
};

class SimulatedDisk::File final : public WritableFile {
 public:
  File(SimulatedDisk& disk, std::string path, std::shared_ptr<Inode> inode,
       int64_t size)
      : disk_(disk),
        path_(std::move(path)),
        inode_(std::move(inode)),
        size_(size) {}

  absl::Status Append(absl::string_view data) override {
    const int error = disk_.Write(*inode_, size_, data);
    size_ += static_cast<int64_t>(data.size());
    return StatusOf(error, path_);
  }
  absl::StatusOr<absl::Span<char>> MapForWriting(int64_t size) override {
    absl::Span<char> bytes;
    const int error = disk_.Allocate(*inode_, size, bytes);
    if (error != 0) return StatusOf(error, path_);
    return bytes;
  }
  absl::Status Sync() override { return StatusOf(disk_.Sync(*inode_), path_); }

 private:
  SimulatedDisk& disk_;
  const std::string path_;
  const std::shared_ptr<Inode> inode_;
  int64_t size_;
};

// Of a file that nobody appends to any more.
class SimulatedDisk::Mapping final : public MappedFile {
 public:
  explicit Mapping(std::shared_ptr<const Inode> inode)
      : inode_(std::move(inode)), bytes_(inode_->current) {}
  absl::string_view bytes() const override { return bytes_; }

 private:
  const std::shared_ptr<const Inode> inode_;
  const absl::string_view bytes_;
};

class SimulatedDisk::Reader final : public ReadableFile {
 public:
  Reader(SimulatedDisk& disk, std::string path,
         std::shared_ptr<const Inode> inode)
      : disk_(disk), path_(std::move(path)), inode_(std::move(inode)) {}

  absl::StatusOr<int64_t> Size() override {
    int64_t size = 0;
    const int error = disk_.SizeOf(*inode_, size);
    if (error != 0) return StatusOf(error, path_);
    return size;
  }
  absl::StatusOr<size_t> Read(int64_t offset, absl::Span<char> into) override {
    size_t size = 0;
    const int error = disk_.Read(*inode_, offset, into, size);
    if (error == EIO) return absl::DataLossError(path_);
    if (error != 0) return StatusOf(error, path_);
    return size;
  }

 private:
  SimulatedDisk& disk_;
  const std::string path_;
  const std::shared_ptr<const Inode> inode_;
};

SimulatedDisk::SimulatedDisk() = default;
SimulatedDisk::~SimulatedDisk() = default;

void SimulatedDisk::FailAt(int step, Fault fault) {
  absl::MutexLock lock(&mutex_);
  steps_left_ = step;
  fault_ = fault;
  has_struck_ = false;
}

void SimulatedDisk::Heal() { FailAt(-1, Fault::kPowerLoss); }

bool SimulatedDisk::has_struck() const {
  absl::MutexLock lock(&mutex_);
  return has_struck_;
}

bool SimulatedDisk::CanStrike(Fault fault, Call call) {
  switch (fault) {
    case Fault::kInputOutput:
      return true;
    case Fault::kFullDisk:
      return call == Call::kTakeSpace;
    default:
      return call != Call::kLook;
  }
}

int SimulatedDisk::Step(Call call) {
  const bool is_off = has_struck_ && fault_ == Fault::kPowerLoss;
  if (is_off) return EIO;
  if (steps_left_ < 0 || !CanStrike(fault_, call)) return 0;
  if (steps_left_ > 0) {
    --steps_left_;
    return 0;
  }
  has_struck_ = true;
  if (fault_ != Fault::kFullDisk) steps_left_ = -1;
  switch (fault_) {
    case Fault::kNoSpace:
    case Fault::kFullDisk:
      return ENOSPC;
    case Fault::kQuota:
      return EDQUOT;
    default:
      return EIO;
  }
}

std::unique_ptr<SimulatedDisk> SimulatedDisk::AfterPowerLoss(
    PowerLoss loss, uint32_t seed) const {
  std::mt19937 random(seed);
  const auto toss = [&] { return random() % 2 == 0; };
  const auto contents_of = [&](const Inode& inode) -> std::string {
    switch (loss) {
      case PowerLoss::kLosesNothing:
        return inode.current;
      case PowerLoss::kLosesAll:
      case PowerLoss::kLosesContents:
        return inode.durable;
      case PowerLoss::kTears: {
        const size_t half = NumSectors(inode.current.size()) / 2;
        return KeepSectors(inode.durable, inode.current, true,
                           [&](size_t i) { return i < half; });
      }
      case PowerLoss::kLosesAnything:
        return KeepSectors(inode.durable, inode.current, toss(),
                           [&](size_t) { return toss(); });
    }
    return "";
  };
  const auto loses_name = [&] {
    return loss == PowerLoss::kLosesAll ||
           (loss == PowerLoss::kLosesAnything && toss());
  };

  absl::MutexLock lock(&mutex_);
  auto found = std::make_unique<SimulatedDisk>();
  absl::MutexLock found_lock(&found->mutex_);
  found->directories_ = directories_;
  Names all = names_;
  all.insert(durable_names_.begin(), durable_names_.end());
  for (const auto& [path, unused] : all) {
    const Names& names = loses_name() ? durable_names_ : names_;
    const auto named = names.find(path);
    if (named == names.end()) continue;
    auto copy = std::make_shared<Inode>();
    copy->durable = contents_of(*named->second);
    copy->current = copy->durable;
    found->names_[path] = copy;
  }
  found->durable_names_ = found->names_;
  return found;
}

int SimulatedDisk::Open(const std::string& path, bool create,
                        std::shared_ptr<Inode>& inode) {
  absl::MutexLock lock(&mutex_);
  const auto found = names_.find(path);
  const bool makes_it = found == names_.end() && create;
  const int error = Step(makes_it ? Call::kTakeSpace : Call::kLook);
  if (error != 0) return error;
  if (makes_it && directories_.count(ParentOf(path)) == 0) return ENOENT;
  if (makes_it) {
    inode = names_[path] = std::make_shared<Inode>();
    return 0;
  }
  if (found == names_.end()) return ENOENT;
  inode = found->second;
  return 0;
}

int SimulatedDisk::Read(const Inode& inode, int64_t offset,
                        absl::Span<char> into, size_t& size) {
  absl::MutexLock lock(&mutex_);
  if (const int error = Step(Call::kLook); error != 0) return error;
  const absl::string_view bytes = inode.current;
  const size_t begin = std::min(static_cast<size_t>(offset), bytes.size());
  size = bytes.copy(into.data(), into.size(), begin);
  return 0;
}

int SimulatedDisk::Write(Inode& inode, int64_t offset, absl::string_view data) {
  absl::MutexLock lock(&mutex_);
  const int error = Step(Call::kTakeSpace);
  if (has_struck_ && fault_ == Fault::kPowerLoss) return error;
  if (error != 0) data = data.substr(0, data.size() / 2);
  const size_t begin = static_cast<size_t>(offset);
  if (begin + data.size() > inode.current.size()) {
    inode.current.resize(begin + data.size());
  }
  data.copy(inode.current.data() + begin, data.size());
  inode.Touch(begin, data.size());
  return error;
}

int SimulatedDisk::Resize(Inode& inode, int64_t size) {
  absl::MutexLock lock(&mutex_);
  if (const int error = Step(Call::kChange); error != 0) return error;
  inode.current.resize(static_cast<size_t>(size));
  return 0;
}

int SimulatedDisk::Allocate(Inode& inode, int64_t size,
                            absl::Span<char>& bytes) {
  absl::MutexLock lock(&mutex_);
  if (const int error = Step(Call::kTakeSpace); error != 0) return error;
  inode.current.resize(static_cast<size_t>(size));
  bytes = absl::MakeSpan(inode.current.data(), inode.current.size());
  return 0;
}

int SimulatedDisk::Sync(Inode& inode) {
  absl::MutexLock lock(&mutex_);
  const int error = Step(Call::kChange);
  if (error == 0) {
    inode.Sync();
  } else {
    inode.FailToSync();
  }
  return error;
}

int SimulatedDisk::SizeOf(const Inode& inode, int64_t& size) {
  absl::MutexLock lock(&mutex_);
  if (const int error = Step(Call::kLook); error != 0) return error;
  size = static_cast<int64_t>(inode.current.size());
  return 0;
}

int SimulatedDisk::Unlink(const std::string& path) {
  absl::MutexLock lock(&mutex_);
  const auto found = names_.find(path);
  if (found == names_.end()) return ENOENT;
  if (const int error = Step(Call::kChange); error != 0) return error;
  names_.erase(found);
  return 0;
}

int SimulatedDisk::SyncNames(const std::string& directory) {
  absl::MutexLock lock(&mutex_);
  if (const int error = Step(Call::kChange); error != 0) return error;
  const auto is_inside = [&](const auto& entry) {
    return ParentOf(entry.first) == directory;
  };
  std::erase_if(durable_names_, is_inside);
  for (const auto& entry : names_) {
    if (is_inside(entry)) durable_names_.insert(entry);
  }
  return 0;
}

bool SimulatedDisk::Exists(const std::string& path) {
  absl::MutexLock lock(&mutex_);
  return names_.count(path) > 0;
}

absl::StatusOr<std::unique_ptr<WritableFile>> SimulatedDisk::Create(
    const std::string& path) {
  if (Exists(path)) return StatusOf(EEXIST, path);
  std::shared_ptr<Inode> inode;
  if (const int error = Open(path, /*create=*/true, inode); error != 0) {
    return StatusOf(error, path);
  }
  return std::make_unique<File>(*this, path, std::move(inode), 0);
}

absl::StatusOr<std::unique_ptr<WritableFile>> SimulatedDisk::OpenToAppend(
    const std::string& path, int64_t size) {
  std::shared_ptr<Inode> inode;
  int64_t size_found = 0;
  int error = Open(path, /*create=*/false, inode);
  if (error == 0) error = SizeOf(*inode, size_found);
  if (error == 0 && size_found < size) return absl::DataLossError(path);
  if (error == 0) error = Resize(*inode, size);
  if (error != 0) return StatusOf(error, path);
  return std::make_unique<File>(*this, path, std::move(inode), size);
}

absl::StatusOr<std::shared_ptr<MappedFile>> SimulatedDisk::Map(
    const std::string& path) {
  std::shared_ptr<Inode> inode;
  if (const int error = Open(path, /*create=*/false, inode); error != 0) {
    return StatusOf(error, path);
  }
  return std::make_shared<Mapping>(std::move(inode));
}

absl::StatusOr<std::unique_ptr<ReadableFile>> SimulatedDisk::OpenForReading(
    const std::string& path) {
  std::shared_ptr<Inode> inode;
  if (const int error = Open(path, /*create=*/false, inode); error != 0) {
    return StatusOf(error, path);
  }
  return std::make_unique<Reader>(*this, path, std::move(inode));
}

absl::StatusOr<int64_t> SimulatedDisk::Size(const std::string& path) {
  std::shared_ptr<Inode> inode;
  int64_t size = 0;
  int error = Open(path, /*create=*/false, inode);
  if (error == 0) error = SizeOf(*inode, size);
  if (error != 0) return StatusOf(error, path);
  return size;
}

absl::Status SimulatedDisk::Rename(const std::string& from,
                                   const std::string& to) {
  absl::MutexLock lock(&mutex_);
  const auto found = names_.find(from);
  if (found == names_.end()) return StatusOf(ENOENT, from);
  if (const int error = Step(Call::kChange); error != 0) {
    return StatusOf(error, to);
  }
  names_[to] = found->second;
  names_.erase(from);
  return absl::OkStatus();
}

absl::Status SimulatedDisk::Link(const std::string& from,
                                 const std::string& to) {
  absl::MutexLock lock(&mutex_);
  const auto found = names_.find(from);
  if (found == names_.end()) return StatusOf(ENOENT, from);
  if (names_.count(to) > 0) return StatusOf(EEXIST, to);
  if (const int error = Step(Call::kTakeSpace); error != 0) {
    return StatusOf(error, to);
  }
  names_[to] = found->second;
  return absl::OkStatus();
}

absl::Status SimulatedDisk::Remove(const std::string& path) {
  const int error = Unlink(path);
  return error == ENOENT ? absl::OkStatus() : StatusOf(error, path);
}

absl::StatusOr<std::vector<std::string>> SimulatedDisk::List(
    const std::string& directory) {
  absl::MutexLock lock(&mutex_);
  if (const int error = Step(Call::kLook); error != 0) {
    return StatusOf(error, directory);
  }
  if (directories_.count(directory) == 0) return StatusOf(ENOENT, directory);
  std::vector<std::string> names;
  for (const auto& [path, unused] : names_) {
    if (ParentOf(path) != directory) continue;
    names.push_back(path.substr(directory.size() + 1));
  }
  return names;
}

absl::Status SimulatedDisk::CreateDirectory(const std::string& directory) {
  absl::MutexLock lock(&mutex_);
  if (directories_.count(directory) > 0) return absl::OkStatus();
  if (const int error = Step(Call::kTakeSpace); error != 0) {
    return StatusOf(error, directory);
  }
  directories_.insert(directory);
  return absl::OkStatus();
}

absl::Status SimulatedDisk::SyncDirectory(const std::string& directory) {
  return StatusOf(SyncNames(directory), directory);
}

}  // namespace warmstart::testing
