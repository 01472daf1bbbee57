// PackBuilder: a fresh pack, into which blobs are copied from staged files and
// from other packs.

#ifndef WARMSTART_SERVER_STORE_PACK_BUILDER_H_
#define WARMSTART_SERVER_STORE_PACK_BUILDER_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/store/catalog.h"
#include "server/store/pack_store.h"
#include "server/store/placement.h"

namespace warmstart::store {

// Every run begins where AlignInPack has it. Stages
// nothing until there is something to hold.
class PackBuilder {
 public:
  explicit PackBuilder(PackStore& packs) : packs_(packs) {}

  // Copies a run of the file whose bytes are `file`.
  absl::Status Append(absl::string_view file, const Run& run);
  // Copies a run of a pack. DATA_LOSS where that cannot be read; the fresh pack
  // is good for nothing then.
  absl::Status Append(PackScanner& pack, const Run& run);

  bool empty() const { return staged_ == nullptr; }
  // These two only when not empty.
  StagedPack& staged() { return *staged_; }
  const NewPack& pack() const { return pack_; }

 private:
  // Before and after the bytes of a run.
  absl::Status Begin();
  void End(const Run& run);

  PackStore& packs_;
  std::unique_ptr<StagedPack> staged_;
  NewPack pack_;
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_PACK_BUILDER_H_
