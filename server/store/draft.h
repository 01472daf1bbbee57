// The draft of a checkpoint, over any pack store and catalog: the one place
// that knows the order of a commit.

#ifndef WARMSTART_SERVER_STORE_DRAFT_H_
#define WARMSTART_SERVER_STORE_DRAFT_H_

#include <memory>

#include "server/base/clock.h"
#include "server/store/catalog.h"
#include "server/store/pack_store.h"
#include "server/store/store.h"
#include "server/store/uploads/upload_store.h"

namespace warmstart::store {

// All four outlive the draft. Commit may be called once, whatever it returns.
std::unique_ptr<Draft> NewComposedDraft(PackStore& packs, Catalog& catalog,
                                        UploadStore& uploads, Clock& clock);

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_DRAFT_H_
