#pragma once
// The names of the Unix sockets of one host: paths, and abstract names, which begin with a zero
// byte (unix(7)).
//
// An abstract name goes when its socket is closed. A path stays, as a file that no socket listens
// at: a connect to it is refused, and a bind finds it in use, until the program removes it.
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

    /// The socket of the name is closed.
    void close(const std::string& name, const UnixSocket& socket) noexcept {
        const auto found = sockets_.find(name);
        // The path may have been removed, and bound again by another socket.
        if (found == sockets_.end() || found->second != &socket) return;
        if (name.front() == '\0') {
            sockets_.erase(found);
        } else {
            found->second = nullptr;
        }
    }

    /// Removes a path. False if there was none. A socket that is bound there is not reached any
    /// more.
    bool remove(const std::string& path) noexcept { return sockets_.erase(path) > 0; }

private:
    /// Null for a path whose socket is closed.
    std::map<std::string, UnixSocket*> sockets_;
};

}  // namespace asyncio::lowlevel::simulated
