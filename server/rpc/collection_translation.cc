#include "server/rpc/collection_translation.h"

namespace warmstart::rpc {
namespace {

v1::PackFate ToProto(store::PackFate fate) {
  switch (fate) {
    case store::PackFate::kRewritten:
      return v1::PACK_FATE_REWRITTEN;
    case store::PackFate::kMerged:
      return v1::PACK_FATE_MERGED;
    case store::PackFate::kOverBudget:
      return v1::PACK_FATE_OVER_BUDGET;
    case store::PackFate::kDamaged:
      return v1::PACK_FATE_DAMAGED;
    case store::PackFate::kStray:
      return v1::PACK_FATE_STRAY;
  }
  return v1::PACK_FATE_UNSPECIFIED;
}

void ToProto(const store::CollectedPack& pack, v1::CollectedPack* proto) {
  proto->set_name(pack.id);
  proto->set_size_bytes(pack.num_bytes);
  proto->set_live_bytes(pack.live_bytes);
  proto->set_fate(ToProto(pack.fate));
}

}  // namespace

service::CollectGarbageRequest FromProto(
    const v1::CollectGarbageRequest& proto) {
  service::CollectGarbageRequest request;
  request.dry_run = proto.dry_run();
  if (proto.has_min_live_share()) {
    request.min_live_share = proto.min_live_share();
  }
  if (proto.has_merge_below_bytes()) {
    request.merge_below_bytes = proto.merge_below_bytes();
  }
  if (proto.has_max_written_bytes()) {
    request.max_written_bytes = proto.max_written_bytes();
  }
  return request;
}

void ToProto(const store::Collection& collection,
             v1::CollectGarbageResponse* proto) {
  proto->set_examined_pack_count(collection.num_packs);
  proto->set_examined_bytes(collection.num_bytes);
  proto->set_live_bytes(collection.live_bytes);
  proto->set_rewritten_pack_count(collection.num_rewritten);
  proto->set_merged_pack_count(collection.num_merged);
  proto->set_over_budget_pack_count(collection.num_over_budget);
  proto->set_damaged_pack_count(collection.num_damaged);
  proto->set_stray_pack_count(collection.num_strays);
  proto->set_written_pack_count(collection.num_written);
  proto->set_written_bytes(collection.written_bytes);
  proto->set_removed_bytes(collection.removed_bytes);
  proto->set_freed_bytes(collection.removed_bytes - collection.written_bytes);
  for (const store::CollectedPack& pack : collection.packs) {
    ToProto(pack, proto->add_packs());
  }
  proto->set_catalog_bytes(collection.catalog.num_bytes);
  proto->set_catalog_free_bytes(collection.catalog.free_bytes);
}

}  // namespace warmstart::rpc
