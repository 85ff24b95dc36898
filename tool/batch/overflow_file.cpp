#include "batch/overflow_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
#include <unistd.h>

namespace batch {
namespace {

const char* temporary_folder() noexcept {
    const char* folder = std::getenv("TMPDIR");
    return folder != nullptr && *folder != '\0' ? folder : "/tmp";
}

}  // namespace

bool OverflowFile::open() noexcept {
    if (!file_) {
        file_ = asyncio::lowlevel::Fd(
            ::open(temporary_folder(), O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR));
    }
    return static_cast<bool>(file_);
}

bool OverflowFile::append(std::string_view bytes) noexcept {
    if (!open()) return false;
    std::size_t place = end_;
    while (!bytes.empty()) {
        const ssize_t count =
            ::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(place));
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        place += static_cast<std::size_t>(count);
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    end_ = place;
    return true;
}

std::string OverflowFile::take_front(std::size_t most) {
    std::string bytes(std::min(most, size_bytes()), '\0');
    for (;;) {
        const ssize_t count =
            ::pread(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(begin_));
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) {
            throw asyncio::OsError(count < 0 ? errno : EIO, "read what a command has written");
        }
        bytes.resize(static_cast<std::size_t>(count));
        begin_ += bytes.size();
        return bytes;
    }
}

}  // namespace batch
