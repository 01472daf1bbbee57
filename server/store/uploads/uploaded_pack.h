// UploadedPack: a complete file of an upload, as the staged pack of a draft.

#ifndef WARMSTART_SERVER_STORE_UPLOADS_UPLOADED_PACK_H_
#define WARMSTART_SERVER_STORE_UPLOADS_UPLOADED_PACK_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "server/base/file_system.h"
#include "server/store/local/paths.h"
#include "server/store/pack_store.h"

namespace warmstart::store {

// Published by a second name for the file, in packs/, so that until the upload
// is removed it is there as well: whatever becomes of the commit, nothing has
// to be sent again. `file` is its name in uploads/; all of its bytes are on the
// disk. `file_system` outlives the result.
std::unique_ptr<StagedPack> NewUploadedPack(FileSystem& file_system,
                                            const StorePaths& paths,
                                            const std::string& file,
                                            int64_t num_bytes);

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_UPLOADS_UPLOADED_PACK_H_
