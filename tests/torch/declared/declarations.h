// Module declarations for the tests of server/torch/declared.

#ifndef WARMSTART_TESTS_TORCH_DECLARED_DECLARATIONS_H_
#define WARMSTART_TESTS_TORCH_DECLARED_DECLARATIONS_H_

#include <nlohmann/json.hpp>
#include <string>

#include "server/model/module_declaration.h"

namespace warmstart::backend::testing {

// From {"type": ..., "options": {...}, "children": [...], "name": ...}.
ModuleDeclaration DeclarationFromJson(const nlohmann::json& json);
ModuleDeclaration ParseDeclaration(const std::string& text);

}  // namespace warmstart::backend::testing

#endif  // WARMSTART_TESTS_TORCH_DECLARED_DECLARATIONS_H_
