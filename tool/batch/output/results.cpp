// How the files of results are made and written.
//
// After the first failed write the files stay incomplete, and no further write is tried: a file
// with a gap in the middle would look complete. The batch continues and reports the failure at its
// end.

#include "batch/output/results.h"

#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tool::batch {
namespace {

using asyncio::lowlevel::Fd;

/// Opens a regular file for writing. Empty if another kind of file has this name: writing to a FIFO
/// would wait for its reader and delay the whole batch. O_NONBLOCK keeps the open itself from
/// waiting, and has no effect on regular files.
Fd create(const std::string& path) noexcept {
    constexpr mode_t mode = 0666;
    constexpr int how = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    Fd file(::open(path.c_str(), how, mode));
    struct stat status{};
    if (file && ::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode)) return file;
    return {};
}

bool write_all(const Fd& file, std::string_view text) noexcept {
    while (!text.empty()) {
        const ssize_t count = ::write(file.get(), text.data(), text.size());
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
}

}  // namespace

ResultFiles::ResultFiles(const std::string& folder, const Job& job) noexcept {
    const std::string own = fmt::format("{}/{}", folder, job.number);
    std::error_code ignored;
    std::filesystem::create_directories(own, ignored);
    output_ = create(own + "/stdout");
    errors_ = create(own + "/stderr");
    const Fd command = create(own + "/command");
    is_complete_ = output_ && errors_ && command && write_all(command, job.command + "\n");
}

bool ResultFiles::write(Stream stream, std::string_view text) noexcept {
    if (is_complete_) is_complete_ = write_all(stream == Stream::output ? output_ : errors_, text);
    return is_complete_;
}

void make_results_folder(const std::string& folder) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (!error && ::access(folder.c_str(), W_OK) != 0) error.assign(errno, std::generic_category());
    if (error) throw asyncio::OsError(error.value(), "write results to " + folder);
}

}  // namespace tool::batch
