#include "server/store/local/mapping_cache.h"

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/faulty_file_system.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::warmstart::testing::StatusIs;

class MappingCacheTest : public ::testing::Test {
 protected:
  std::string WriteFile(const std::string& name) {
    const std::string path = dir_.Join(name);
    EXPECT_OK(PosixFileSystem().Create(path).value()->Append(name));
    return path;
  }

  // Whether the cache answers without the file system.
  bool IsCached(MappingCache& cache, const std::string& path) {
    file_system_.CrashAt(0);
    const bool is_cached = cache.Get(path).ok();
    file_system_.Heal();
    return is_cached;
  }

  testing::TempDir dir_;
  testing::FaultyFileSystem file_system_{PosixFileSystem()};
};

TEST_F(MappingCacheTest, AFileIsMappedOnce) {
  MappingCache cache(file_system_, 2);
  const std::string path = WriteFile("a");
  EXPECT_FALSE(IsCached(cache, path));
  ASSERT_OK_AND_ASSIGN(const auto file, cache.Get(path));
  EXPECT_EQ(file->bytes(), "a");
  EXPECT_TRUE(IsCached(cache, path));
  EXPECT_EQ(cache.Get(path).value(), file);
}

TEST_F(MappingCacheTest, TheLeastRecentlyUsedGoesFirst) {
  MappingCache cache(file_system_, 2);
  const std::string a = WriteFile("a");
  const std::string b = WriteFile("b");
  const std::string c = WriteFile("c");
  ASSERT_OK(cache.Get(a).status());
  ASSERT_OK_AND_ASSIGN(const auto held, cache.Get(b));
  ASSERT_OK(cache.Get(a).status());
  ASSERT_OK(cache.Get(c).status());
  EXPECT_TRUE(IsCached(cache, a));
  EXPECT_TRUE(IsCached(cache, c));
  EXPECT_FALSE(IsCached(cache, b));
  EXPECT_EQ(held->bytes(), "b");
}

TEST_F(MappingCacheTest, AForgottenFileIsMappedAnew) {
  MappingCache cache(file_system_, 2);
  const std::string path = WriteFile("a");
  ASSERT_OK(cache.Get(path).status());
  cache.Forget(path);
  EXPECT_FALSE(IsCached(cache, path));
  cache.Forget(path);
  cache.Forget("never there");
}

TEST_F(MappingCacheTest, AFailureIsNotKept) {
  MappingCache cache(file_system_, 2);
  EXPECT_THAT(cache.Get(dir_.Join("a")), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_OK(cache.Get(WriteFile("a")).status());
}

}  // namespace
}  // namespace warmstart::store
