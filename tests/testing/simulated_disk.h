// SimulatedDisk: a disk in memory that knows what was synced and what was not,
// fails where a test tells it to, and can lose power at any step.
//
//   SimulatedDisk disk;
//   disk.FailAt(7, Fault::kPowerLoss);
//   ... the operation; from its eighth change on, nothing reaches the disk
//   SimulatedDisk found = disk.AfterPowerLoss(PowerLoss::kLosesAll, seed);
//   ... what must be true of what the next process finds
//
// A file is what was written to it and what was synced of that; so is a folder,
// of which the names are what is written. Nothing is durable but what a sync
// promised, as POSIX has it: the sync of a file says nothing of its name.

#ifndef WARMSTART_TESTS_TESTING_SIMULATED_DISK_H_
#define WARMSTART_TESTS_TESTING_SIMULATED_DISK_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "server/base/file_system.h"

namespace warmstart::testing {

// What goes wrong. Each counts the steps that it can strike at.
enum class Fault {
  kPowerLoss,  // at a change: it and all after it fail and do nothing
  // Of one step; a write that fails has written its first half.
  kInputOutput,  // EIO, of any call; what a sync would have synced stays lost
  kNoSpace,      // ENOSPC, of a change
  kQuota,        // EDQUOT, of a change
  // ENOSPC of a step that takes space, and of all after it.
  kFullDisk,
};

// What becomes of that which was not synced when the power goes.
enum class PowerLoss {
  kLosesAll,
  kLosesNothing,   // as when only the process is killed
  kLosesContents,  // names are kept, bytes are not
  kTears,          // of each file, the first half of its sectors is kept
  kLosesAnything,  // each sector and each name, or not, as `seed` has it
};
inline constexpr PowerLoss kPowerLosses[] = {
    PowerLoss::kLosesAll, PowerLoss::kLosesNothing, PowerLoss::kLosesContents,
    PowerLoss::kTears, PowerLoss::kLosesAnything};

// Thread-safe. Outlives the files that are made here.
class SimulatedDisk final : public FileSystem {
 public:
  // A file, whether it has a name or not. All that concerns it is
  // SimulatedDisk's business.
  class Inode;

  SimulatedDisk();
  ~SimulatedDisk() override;

  // From now on; replaces the fault before. Steps count from 0.
  void FailAt(int step, Fault fault) ABSL_LOCKS_EXCLUDED(mutex_);
  void Heal() ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether the fault was met.
  bool has_struck() const ABSL_LOCKS_EXCLUDED(mutex_);

  // What the next process finds. The copy has no faults, and all that is on it
  // is durable.
  std::unique_ptr<SimulatedDisk> AfterPowerLoss(PowerLoss loss,
                                                uint32_t seed) const
      ABSL_LOCKS_EXCLUDED(mutex_);

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
  // Durable at once, as FileSystem promises.
  absl::Status CreateDirectory(const std::string& directory) override;
  absl::Status SyncDirectory(const std::string& directory) override;

  // The same disk by its system calls, which SQLite is given
  // (tests/store/sqlite/simulated_vfs.h). All return 0 or an errno.
  int Open(const std::string& path, bool create, std::shared_ptr<Inode>& inode)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Reads fewer bytes at the end of the file; `size` says how many.
  int Read(const Inode& inode, int64_t offset, absl::Span<char> into,
           size_t& size) ABSL_LOCKS_EXCLUDED(mutex_);
  int Write(Inode& inode, int64_t offset, absl::string_view data)
      ABSL_LOCKS_EXCLUDED(mutex_);
  int Resize(Inode& inode, int64_t size) ABSL_LOCKS_EXCLUDED(mutex_);
  int Sync(Inode& inode) ABSL_LOCKS_EXCLUDED(mutex_);
  int SizeOf(const Inode& inode, int64_t& size) ABSL_LOCKS_EXCLUDED(mutex_);
  int Unlink(const std::string& path) ABSL_LOCKS_EXCLUDED(mutex_);
  int SyncNames(const std::string& directory) ABSL_LOCKS_EXCLUDED(mutex_);
  bool Exists(const std::string& path) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  class File;
  class Mapping;
  class Reader;
  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  // What a call does to the disk; each kind includes those before it.
  enum class Call { kLook, kChange, kTakeSpace };

  // Counts a step: 0, or the errno with which it fails.
  int Step(Call call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static bool CanStrike(Fault fault, Call call);
  // Allocates the whole of an empty file, and gives its bytes.
  int Allocate(Inode& inode, int64_t size, absl::Span<char>& bytes)
      ABSL_LOCKS_EXCLUDED(mutex_);

  mutable absl::Mutex mutex_;
  Names names_ ABSL_GUARDED_BY(mutex_);
  Names durable_names_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> directories_ ABSL_GUARDED_BY(mutex_);

  Fault fault_ ABSL_GUARDED_BY(mutex_) = Fault::kPowerLoss;
  int steps_left_ ABSL_GUARDED_BY(mutex_) = -1;  // negative: no fault
  bool has_struck_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace warmstart::testing

#endif  // WARMSTART_TESTS_TESTING_SIMULATED_DISK_H_
