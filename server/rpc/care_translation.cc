#include "server/rpc/care_translation.h"

#include <google/protobuf/util/time_util.h>

#include <string>

#include "absl/strings/escaping.h"
#include "absl/time/time.h"
#include "server/model/utf8.h"

namespace warmstart::rpc {
namespace {

using google::protobuf::util::TimeUtil;

void ToProto(const store::DamagedBlob& blob, v1::DamagedTensor* proto) {
  proto->set_digest(blob.digest.ToHex());
  proto->set_size_bytes(blob.num_bytes);
  *proto->mutable_damage_time() =
      TimeUtil::NanosecondsToTimestamp(absl::ToUnixNanos(blob.damage_time));
  proto->set_pack(blob.pack);
  proto->set_offset(blob.offset);
  proto->set_use_count(blob.num_uses);
  for (const store::TensorUse& use : blob.uses) {
    v1::TensorUse* added = proto->add_uses();
    added->set_checkpoint(use.checkpoint.ToString());
    added->set_key(use.key);
  }
}

}  // namespace

void ToProto(const store::ScrubProgress& progress, v1::ScrubProgress* proto) {
  proto->set_tensors_read(progress.blobs_read);
  proto->set_tensor_count(progress.num_blobs);
  proto->set_bytes_read(progress.bytes_read);
  proto->set_size_bytes(progress.num_bytes);
}

void ToProto(const store::ScrubResult& result, v1::ScrubResult* proto) {
  proto->set_tensors_read(result.blobs_read);
  proto->set_bytes_read(result.bytes_read);
  proto->set_found_count(result.num_found);
  proto->set_cleared_count(result.num_cleared);
  ToProto(result.damage, proto->mutable_damage());
}

void ToProto(const store::Damage& damage,
             v1::ListDamagedTensorsResponse* proto) {
  proto->set_tensor_count(damage.num_blobs);
  proto->set_size_bytes(damage.num_bytes);
  for (const store::DamagedBlob& blob : damage.blobs) {
    ToProto(blob, proto->add_tensors());
  }
}

void ToProto(const store::CheckResult& result, v1::CheckStoreResponse* proto) {
  proto->set_checkpoint_count(result.num_checkpoints);
  proto->set_tensor_count(result.num_blobs);
  proto->set_pack_count(result.num_packs);
  proto->set_finding_count(result.num_findings);
  for (const std::string& finding : result.findings) {
    // Rows that are damaged may hold anything, and messages take UTF-8 alone.
    proto->add_findings(IsUtf8(finding) ? finding : absl::CHexEscape(finding));
  }
}

}  // namespace warmstart::rpc
