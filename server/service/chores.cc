#include "server/service/chores.h"

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "server/base/low_priority.h"
#include "server/base/status_macros.h"
#include "server/service/collect_garbage.h"
#include "server/service/retention.h"
#include "server/service/store_care.h"
#include "server/store/uploads/upload_store.h"

namespace warmstart::service {
namespace {

using IsStopping = Housekeeper::IsStopping;

void Tell(const Context& context, const std::string& line) {
  if (context.log) context.log(line);
}

absl::StatusOr<bool> SweepUploads(const Context& context) {
  context.store->uploads().SweepExpired();
  return false;
}

absl::StatusOr<bool> Collect(const Context& context,
                             const IsStopping& is_stopping) {
  absl::StatusOr<store::Collection> collection;
  RunAtLowPriority([&] {
    collection = CollectGarbage(context, CollectGarbageRequest(), is_stopping);
  });
  RETURN_IF_ERROR(collection.status());
  if (collection->removed_bytes > 0) {
    Tell(context,
         absl::StrCat("garbage collection: rewrote ",
                      collection->num_rewritten + collection->num_merged,
                      " packs and removed ", collection->num_strays,
                      " strays; ", collection->removed_bytes, " bytes went, ",
                      collection->written_bytes, " were written"));
  }
  return false;
}

absl::StatusOr<bool> Scrub(const Context& context,
                           const IsStopping& is_stopping) {
  ASSIGN_OR_RETURN(
      const store::ScrubResult result,
      ScrubStore(context, [&](const store::ScrubProgress&) -> absl::Status {
        if (is_stopping()) return absl::CancelledError("the server stops");
        return absl::OkStatus();
      }));
  std::string line = absl::StrCat("scrub: read ", result.blobs_read,
                                  " tensors of ", result.bytes_read, " bytes");
  if (result.damage.num_blobs > 0) {
    absl::StrAppend(&line, "; ", result.damage.num_blobs,
                    " are damaged: warmstart admin scrub --list");
  }
  Tell(context, line);
  return false;
}

}  // namespace

std::vector<Housekeeper::Chore> MakeChores(const Context& context,
                                           const ChoreIntervals& intervals) {
  const absl::Duration often = intervals.housekeeping;
  std::vector<Housekeeper::Chore> chores = {
      {"retention", absl::ZeroDuration(), often,
       [&context](const IsStopping&) { return ApplyRetentionToSome(context); }},
      {"uploads", absl::ZeroDuration(), often,
       [&context](const IsStopping&) { return SweepUploads(context); }}};
  const auto add_rare = [&](const char* name, absl::Duration interval,
                            auto work) {
    if (interval == absl::ZeroDuration()) return;
    chores.push_back({name, interval, interval,
                      [&context, work](const IsStopping& is_stopping) {
                        return work(context, is_stopping);
                      }});
  };
  add_rare("garbage collection", intervals.garbage_collection, Collect);
  add_rare("scrub", intervals.scrub, Scrub);
  return chores;
}

}  // namespace warmstart::service
