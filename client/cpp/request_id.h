#ifndef WARMSTART_CLIENT_CPP_REQUEST_ID_H_
#define WARMSTART_CLIENT_CPP_REQUEST_ID_H_

#include <string>

namespace warmstart::client {

// A random UUID (version 4): what makes a request that stores something safe to
// send again.
std::string NewRequestId();

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_REQUEST_ID_H_
