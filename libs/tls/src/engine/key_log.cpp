#include "engine/key_log.h"

#include <asyncio/exceptions.h>

#include <cerrno>
#include <string>

#include <fcntl.h>
#include <unistd.h>

namespace asyncio::tls::engine {

/// Only its owner may read the file: it opens every connection that it lists.
KeyLog::KeyLog(const std::string& path)
    : fd_(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600)) {
    if (fd_ < 0) throw OsError(errno, "open the key log file " + path);
}

KeyLog::~KeyLog() { ::close(fd_); }

void KeyLog::append(const char* line) noexcept {
    try {
        // One call for one line: O_APPEND keeps such calls apart.
        const std::string whole = std::string(line) + '\n';
        static_cast<void>(::write(fd_, whole.data(), whole.size()) == 0);
    } catch (...) {
        // Without memory the line is missing, as on a full disk.
    }
}

}  // namespace asyncio::tls::engine
