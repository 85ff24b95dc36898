// How the file is made, and how it is written and read at its two ends.
//
// pwrite and pread take the position as an argument. So the two ends need no shared file position,
// and a write that fails half-way leaves `end_` unchanged: its bytes are overwritten by the next
// one.

#include "terminal/overflow_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
#include <unistd.h>

namespace tool {
namespace {

/// For `refusal`. A plain variable, because all files are used on the loop's thread.
int first_refusal = 0;

/// Makes a file without a name (O_TMPFILE).
asyncio::lowlevel::Fd open_in(const char* folder) noexcept {
    return asyncio::lowlevel::Fd(::open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR));
}

asyncio::lowlevel::Fd open_somewhere() noexcept {
    const char* wanted = std::getenv("TMPDIR");
    asyncio::lowlevel::Fd file;
    if (wanted != nullptr && *wanted != '\0') file = open_in(wanted);
    for (const char* folder : {"/tmp", "/var/tmp"}) {
        if (!file) file = open_in(folder);
    }
    return file;
}

}  // namespace

int OverflowFile::refusal() noexcept { return first_refusal; }

bool OverflowFile::open() noexcept {
    if (!file_) file_ = open_somewhere();
    return static_cast<bool>(file_);
}

bool OverflowFile::append(std::string_view bytes) noexcept {
    const bool done = try_to_append(bytes);
    if (!done && first_refusal == 0) first_refusal = errno;
    return done;
}

bool OverflowFile::try_to_append(std::string_view bytes) noexcept {
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
            throw asyncio::OsError(count < 0 ? errno : EIO, "read the stored output of a command");
        }
        bytes.resize(static_cast<std::size_t>(count));
        begin_ += bytes.size();
        return bytes;
    }
}

}  // namespace tool
