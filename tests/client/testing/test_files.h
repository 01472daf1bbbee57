#ifndef WARMSTART_TESTS_CLIENT_TESTING_TEST_FILES_H_
#define WARMSTART_TESTS_CLIENT_TESTING_TEST_FILES_H_

#include <cstddef>
#include <string>
#include <vector>

namespace warmstart::client {

void WriteFile(const std::string& path, const std::string& bytes);
std::string ReadFile(const std::string& path);

// The names in a folder, sorted.
std::vector<std::string> FilesIn(const std::string& folder);

// `size` bytes of which no two parts are alike.
std::string VariedBytes(size_t size);

}  // namespace warmstart::client

#endif  // WARMSTART_TESTS_CLIENT_TESTING_TEST_FILES_H_
