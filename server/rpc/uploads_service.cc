#include "server/rpc/uploads_service.h"

namespace warmstart::rpc {}  // namespace warmstart::rpc
