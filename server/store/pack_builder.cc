#include "server/store/pack_builder.h"

#include <cstdint>
#include <string>

#include "server/base/status_macros.h"

namespace warmstart::store {

absl::Status PackBuilder::Append(absl::string_view file, const Run& run) {
  RETURN_IF_ERROR(Begin());
  RETURN_IF_ERROR(staged_->Append(file.substr(run.offset, run.num_bytes)));
  End(run);
  return absl::OkStatus();
}

absl::Status PackBuilder::Append(PackScanner& pack, const Run& run) {
  RETURN_IF_ERROR(Begin());
  RETURN_IF_ERROR(pack.Scan(
      run.offset, run.num_bytes,
      [this](absl::string_view bytes) { return staged_->Append(bytes); }));
  End(run);
  return absl::OkStatus();
}

absl::Status PackBuilder::Begin() {
  if (staged_ == nullptr) {
    ASSIGN_OR_RETURN(staged_, packs_.Stage());
    pack_.id = staged_->id();
  }
  const int64_t padding = AlignInPack(pack_.num_bytes) - pack_.num_bytes;
  pack_.num_bytes += padding;
  return staged_->Append(std::string(padding, '\0'));
}

void PackBuilder::End(const Run& run) {
  for (const PlacedBlob& placed : run.blobs) {
    pack_.blobs.push_back(
        {placed.blob, pack_.num_bytes + placed.offset - run.offset});
  }
  pack_.num_bytes += run.num_bytes;
}

}  // namespace warmstart::store
