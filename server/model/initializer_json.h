// The form in which catalogs keep an initializer. For this folder alone, as
// json_codec.h.

#ifndef WARMSTART_SERVER_MODEL_INITIALIZER_JSON_H_
#define WARMSTART_SERVER_MODEL_INITIALIZER_JSON_H_

#include "server/model/initializer.h"
#include "server/model/json_codec.h"

namespace warmstart::json_codec {

Json InitializerToJson(const Initializer& initializer);
// Throws Malformed, or what nlohmann::json throws.
Initializer InitializerFromJson(const Json& json);

}  // namespace warmstart::json_codec

#endif  // WARMSTART_SERVER_MODEL_INITIALIZER_JSON_H_
