#pragma once
// What answers questions about names: the system, or a simulated world with hosts of its own.
//
// A back-end with names of its own returns them from `Backend::names`. The loop then asks on its
// own thread, and holds the answer back for as long as the answer says. So a lookup takes virtual
// time, two runs with one seed get the same answers, and no thread is started. With a null pointer,
// which is the default, the threads of the library ask the system instead, by the same interface.
//
// The interface is synchronous, and the delay a number in the answer. A coroutine instead would
// read better, but a back-end knows no coroutines. An operation that finishes later would need a
// kind of its own in every back-end, for a wait that is nothing but time.
//
// Thread-safety: the names of a back-end are asked on the thread of the loop.

#include <asyncio/address_info.h>
#include <asyncio/internal/base/time.h>

#include <string>
#include <vector>

namespace asyncio::lowlevel {

/// Answers questions about names. Derive a class from it to give a simulated world names.
class [[gnu::visibility("default")]] Names {
public:
    /// The answer to `addresses_of`.
    struct Addresses {
        /// 0, or an EAI_ number of <netdb.h>: there is no answer.
        int error = 0;
        /// The errno, if `error` is EAI_SYSTEM.
        int system_error = 0;
        /// In the order in which a program tries them.
        std::vector<AddressInfo> list = {};
        /// How long the answer takes. Zero: it is there at once. `Duration::max()`: it never comes.
        Duration delay{};
    };

    /// The answer to `name_of`.
    struct Name {
        int error = 0;
        int system_error = 0;
        NameInfo name = {};
        Duration delay{};
    };

    virtual ~Names() = default;

    /// Looks for the addresses of `host`, with the port of `service`, as getaddrinfo(3) does it. An
    /// empty text stands for the null pointer there. Hosts and services that are both numbers
    /// hardly ever come here, because the library answers these itself. For most names the service
    /// is empty, and the library adds the port to the answer.
    /// An exception passes to the task that asks.
    virtual Addresses addresses_of(const std::string& host, const std::string& service,
                                   const AddressHints& hints) = 0;

    /// Looks for the name of `address`, as getnameinfo(3) does it with the NI_ numbers in `flags`.
    /// An exception passes to the task that asks.
    virtual Name name_of(const Address& address, int flags) = 0;
};

}  // namespace asyncio::lowlevel
