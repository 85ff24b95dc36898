#pragma once
// The abstract names of the Unix sockets of one host. They begin with a zero byte (unix(7)), and go
// when their sockets are closed. Paths are not here: they are names of the file system (files.h).
//
// Thread-safety: none. The names belong to one host.

#include <map>
#include <string>

namespace asyncio::lowlevel::simulated {

class UnixSocket;

class UnixNames {
public:
    bool contains(const std::string& name) const noexcept { return sockets_.contains(name); }

    /// Throws: `std::bad_alloc`.
    void add(const std::string& name, UnixSocket& socket) { sockets_.emplace(name, &socket); }

    /// Null if no socket is bound there.
    UnixSocket* find(const std::string& name) const noexcept {
        const auto found = sockets_.find(name);
        return found == sockets_.end() ? nullptr : found->second;
    }

    void remove(const std::string& name) noexcept { sockets_.erase(name); }

private:
    std::map<std::string, UnixSocket*> sockets_;
};

}  // namespace asyncio::lowlevel::simulated
