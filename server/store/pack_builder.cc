#include "server/store/pack_builder.h"

#include <cstdint>
#include <string>

#include "server/base/status_macros.h"

namespace warmstart::store {

absl::Status PackBuilder::Append(absl::string_view file, const Run& run) {
  if (staged_ == nullptr) {
    ASSIGN_OR_RETURN(staged_, packs_.Stage());
    pack_.id = staged_->id();
  }
  RETURN_IF_ERROR(Align());
  RETURN_IF_ERROR(staged_->Append(file.substr(run.offset, run.num_bytes)));
  for (const PlacedBlob& placed : run.blobs) {
    pack_.blobs.push_back(
        {placed.blob, pack_.num_bytes + placed.offset - run.offset});
  }
  pack_.num_bytes += run.num_bytes;
  return absl::OkStatus();
}

absl::Status PackBuilder::Align() {
  const int64_t padding = AlignInPack(pack_.num_bytes) - pack_.num_bytes;
  pack_.num_bytes += padding;
  return staged_->Append(std::string(padding, '\0'));
}

}  // namespace warmstart::store
