#pragma once
// What the system can look up. A machine without /etc/hosts does not know "localhost".

#include <netdb.h>

namespace support {

inline bool system_knows_localhost() noexcept {
    addrinfo* found = nullptr;
    const bool knows = ::getaddrinfo("localhost", nullptr, nullptr, &found) == 0;
    if (found != nullptr) ::freeaddrinfo(found);
    return knows;
}

}  // namespace support
