#pragma once
// The file for the secrets of connections, in the format of NSS that Wireshark reads.
//
// It is for debugging, and whoever can read the file can read the connections. So it is made only
// if the program asks for it, and only its owner can read it. Lines are appended as a whole, so
// several contexts and several programs may use one file.
//
// Thread-safety: any thread.

#include <memory>
#include <string>

namespace asyncio::tls::engine {

class KeyLog {
public:
    /// Opens the file, and makes it if it does not exist. Throws: OsError.
    explicit KeyLog(const std::string& path);
    KeyLog(const KeyLog&) = delete;
    KeyLog& operator=(const KeyLog&) = delete;
    ~KeyLog();

    /// Appends a line. Errors are ignored: a full disk must not end a connection.
    void append(const char* line) noexcept;

private:
    /// Open as long as the context lives.
    int fd_;
};

}  // namespace asyncio::tls::engine
