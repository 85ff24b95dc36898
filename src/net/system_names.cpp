// The calls of getaddrinfo(3) and getnameinfo(3), which block for seconds if a server does not
// answer.

#include "net/system_names.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <memory>

#include <netdb.h>
#include <sys/socket.h>

namespace asyncio::internal {
namespace {

constinit std::atomic<lowlevel::Names*> names_of_test{nullptr};

const char* null_if_empty(const std::string& text) noexcept {
    return text.empty() ? nullptr : text.c_str();
}

/// Elements of families that have no `Address` do not exist: an `Address` holds every family.
std::vector<AddressInfo> list_of(const addrinfo* first) {
    std::vector<AddressInfo> list;
    for (const addrinfo* info = first; info != nullptr; info = info->ai_next) {
        list.push_back({.type = info->ai_socktype,
                        .proto = info->ai_protocol,
                        .canonname = info->ai_canonname != nullptr ? info->ai_canonname : "",
                        .address = Address::from_sockaddr(info->ai_addr, info->ai_addrlen)});
    }
    return list;
}

}  // namespace

/// errno is read at once, since freeing memory may change it.
SystemNames::Addresses SystemNames::addresses_of(const std::string& host,
                                                 const std::string& service,
                                                 const AddressHints& hints) {
    addrinfo wanted{};
    wanted.ai_family = hints.family;
    wanted.ai_socktype = hints.type;
    wanted.ai_protocol = hints.proto;
    wanted.ai_flags = hints.flags;
    addrinfo* found = nullptr;
    const int error = ::getaddrinfo(null_if_empty(host), null_if_empty(service), &wanted, &found);
    if (error != 0) return {.error = error, .system_error = errno};
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, &::freeaddrinfo);
    return {.list = list_of(found)};
}

/// NI_MAXHOST is as long as a name can be.
SystemNames::Name SystemNames::name_of(const Address& address, int flags) {
    std::array<char, NI_MAXHOST> host{};
    std::array<char, NI_MAXSERV> service{};
    const int error = ::getnameinfo(address.data(), address.size(), host.data(), host.size(),
                                    service.data(), service.size(), flags);
    if (error != 0) return {.error = error, .system_error = errno};
    return {.name = {.host = host.data(), .service = service.data()}};
}

/// The object has no state, so its destruction at the end of the process would harm no thread.
lowlevel::Names& system_names() noexcept {
    static SystemNames system;
    lowlevel::Names* const test = names_of_test.load();
    return test != nullptr ? *test : system;
}

void set_system_names(lowlevel::Names* names) noexcept { names_of_test.store(names); }

}  // namespace asyncio::internal
