// The form in which catalogs keep a module declaration. For this folder alone,
// as json_codec.h.

#ifndef WARMSTART_SERVER_MODEL_MODULE_DECLARATION_JSON_H_
#define WARMSTART_SERVER_MODEL_MODULE_DECLARATION_JSON_H_

#include "server/model/json_codec.h"
#include "server/model/module_declaration.h"

namespace warmstart::json_codec {

Json DeclarationToJson(const ModuleDeclaration& module);
// Throws Malformed, or what nlohmann::json throws.
ModuleDeclaration DeclarationFromJson(const Json& json);

}  // namespace warmstart::json_codec

#endif  // WARMSTART_SERVER_MODEL_MODULE_DECLARATION_JSON_H_
