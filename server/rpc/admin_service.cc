#include "server/rpc/admin_service.h"

namespace warmstart::rpc {}  // namespace warmstart::rpc
