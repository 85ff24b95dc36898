// How a file of the batch is opened and written.
//
// Two names for one file are recognised by device and inode, not by the text of the names: a
// redirection, a link and /dev/stdout may all lead to the same file.

#include "batch/report/output_file.h"

#include "terminal/say.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tool::batch {
namespace {

using asyncio::lowlevel::Fd;

constexpr std::size_t usual_pipe_bytes = 64 * 1024;
/// The default of the largest pipe for a user without privileges (`/proc/sys/fs/pipe-max-size`).
constexpr std::size_t largest_pipe_bytes = 1024 * 1024;

bool can_be_written(int number) noexcept {
    const int flags = ::fcntl(number, F_GETFL);
    return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

/// The standard stream that leads to this file; −1 if none does. A stream that cannot be written
/// does not count: standard output may be open for reading only.
int stream_that_goes_to(const char* path) noexcept {
    struct stat file{};
    if (::stat(path, &file) != 0) return -1;
    for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) {
        struct stat status{};
        if (::fstat(stream, &status) == 0 && status.st_dev == file.st_dev &&
            status.st_ino == file.st_ino && can_be_written(stream)) {
            return stream;
        }
    }
    return -1;
}

Fd open_file(const char* path, OutputFile::Begin begin) noexcept {
    const int how = begin == OutputFile::Begin::anew ? O_TRUNC : O_APPEND;
    constexpr mode_t everybody = 0666;
    return Fd(::open(path, O_WRONLY | O_CREAT | O_CLOEXEC | how, everybody));
}

}  // namespace

OutputFile::OutputFile() noexcept : number_(STDOUT_FILENO) {}

OutputFile::OutputFile(const std::string& path, Begin begin, const std::string& what)
    : number_(stream_that_goes_to(path.c_str())) {
    if (number_ >= 0) return;
    file_ = open_file(path.c_str(), begin);
    number_ = file_.get();
    if (!file_) throw asyncio::OsError(errno, what);
}

int OutputFile::write(std::string_view text,
                      std::optional<asyncio::Duration> patience) const noexcept {
    // A launcher may first read the standard error of the batch to its end, and only then the pipe
    // that is written here. Then both would wait for each other. A pipe that holds the whole text
    // avoids this. The attempt to enlarge it may fail, which changes nothing.
    if (text.size() > usual_pipe_bytes) {
        ::fcntl(number_, F_SETPIPE_SZ, static_cast<int>(std::min(text.size(), largest_pipe_bytes)));
    }
    return write_all(number_, text, patience);
}

}  // namespace tool::batch
