#pragma once
// A folder for the files of one test: a temporary one, or /tmp of the simulated world, which is
// empty at the beginning of every run.

#include <asyncio.h>

#include "support/run_test.h"

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace files_test {

/// Made inside the loop, because the loop decides which file system there is.
class Folder {
public:
    Folder() {
        is_real_ = std::string_view(asyncio::get_running_loop().backend_name()) != "simulated";
        path_ = "/tmp";
        if (!is_real_) return;
        path_ = std::filesystem::temp_directory_path() / "asyncio_test_XXXXXX";
        EXPECT_NE(::mkdtemp(path_.data()), nullptr);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() {
        std::error_code ignored;
        if (is_real_) std::filesystem::remove_all(path_, ignored);
    }

    const std::string& path() const { return path_; }
    /// The path of a name in the folder.
    std::string operator()(std::string_view name) const { return path_ + "/" + std::string(name); }

private:
    std::string path_;
    bool is_real_ = false;
};

/// The text of the error with which `coroutine` ends, or "none".
template <class Coroutine>
asyncio::Coro<std::string> error_of(Coroutine coroutine) {
    const auto outcome = co_await asyncio::internal::settle(std::move(coroutine));
    if (outcome.cancelled()) co_return "cancelled";
    if (!outcome.failed()) co_return "none";
    try {
        std::rethrow_exception(outcome.error());
    } catch (const std::exception& error) {
        co_return error.what();
    }
}

}  // namespace files_test
