#pragma once
// What the tests of sendfile have in common: files, and their positions.

#include "net/net_help.h"

#include <cerrno>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

namespace net_test {

/// A file without a name, which holds `content`.
inline lowlevel::Fd file_with(std::string_view content) {
    lowlevel::Fd file(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    while (!content.empty()) {
        const auto count = ::write(file.get(), content.data(), content.size());
        if (count <= 0) throw OsError(errno, "write a file");
        content.remove_prefix(static_cast<std::size_t>(count));
    }
    if (::lseek(file.get(), 0, SEEK_SET) != 0) throw OsError(errno, "go to the begin of a file");
    return file;
}

inline long position_of(const lowlevel::Fd& file) { return ::lseek(file.get(), 0, SEEK_CUR); }

}  // namespace net_test
