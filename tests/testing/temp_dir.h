// TempDir: a fresh folder that goes, with all in it, when the object does.

#ifndef WARMSTART_TESTS_TESTING_TEMP_DIR_H_
#define WARMSTART_TESTS_TESTING_TEMP_DIR_H_

#include <string>

namespace warmstart::testing {

class TempDir {
 public:
  TempDir();
  // In a folder of the caller's choice.
  explicit TempDir(const std::string& parent);
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string Join(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace warmstart::testing

#endif  // WARMSTART_TESTS_TESTING_TEMP_DIR_H_
