#pragma once
// Names: the addresses of a host, and the name of an address.
//
//   for (const AddressInfo& info : co_await asyncio::getaddrinfo("example.com", 443))
//       std::puts(info.address.to_string().c_str());
//
// The answers are the system's, with its hosts file, its search domains and its name servers. The
// system's functions block, so threads call them, four at the most. These threads do nothing else:
// a name server that does not answer delays names, and neither files nor the jobs of the default
// executor.
//
// A task that waits can be cancelled at once. The lookup goes on, because the C library cannot be
// stopped, and its answer is kept for the next task that asks. Tasks that ask the same question at
// the same time share one lookup.
//
// Numbers need no lookup. A host like "127.0.0.1" or "fe80::1%eth0" with a port as a number is
// answered at once.
//
// Each loop keeps answers for a short time (`NameCache`). Python has no such cache. A program that
// opens a hundred connections to a host would otherwise ask a hundred times, on a machine whose
// system keeps nothing. The time is a guess, since getaddrinfo(3) does not tell how long an answer
// is valid; RATIONALE.md gives the reasons for it. `NameCache` can be switched off.
//
// Thread-safety: loop thread only.

#include <asyncio/address_info.h>
#include <asyncio/coro.h>
#include <asyncio/delay.h>
#include <asyncio/event_loop.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace asyncio {

namespace internal {
class LoopNames;
}

namespace no_adl {

/// Looks for the addresses of `host`, with a port or a service.
///
/// `host` is a name or a number. The empty text stands for this machine: with AI_PASSIVE in the
/// flags for all of its interfaces, as a server needs it, else for the loopback addresses. The
/// bytes are given to the system as they are; a name with letters outside ASCII needs AI_IDN.
/// `service` is a port as a number, or a name of /etc/services, as "http". Empty: port 0.
/// Returns at least one element, in the order in which a program should try them. Set
/// `AddressHints::type`, since otherwise each address comes once for each kind of socket.
/// Throws: `GaiError` if there is no address; it names the host and the port. `OsError` if the
/// system has failed for another reason. `std::invalid_argument` if a text has a NUL in it.
/// RuntimeError if it is not awaited in a task, or if no thread can be started.
/// Cancellation: a cancellation point only if it waits. A number, and an answer that is kept, is
/// returned without waiting. When cancelled, it ends at once, and the lookup goes on without it.
/// Thread-safety: loop thread only. Cost: a lookup takes a thread for its time. A kept answer is
/// copied.
/// Python: `loop.getaddrinfo`. There every call asks the system, on the default executor.
/// Source: getaddrinfo(3), RFC 6724 for the order.
Coro<std::vector<AddressInfo>> getaddrinfo(std::string host, std::string service,
                                           AddressHints hints = {});
/// The same with a port. Throws also: `std::invalid_argument` if it is not between 0 and 65535.
Coro<std::vector<AddressInfo>> getaddrinfo(std::string host, int port, AddressHints hints = {});

/// Looks for the name of an address and of its port.
///
/// `flags` are the NI_ numbers of <netdb.h>. With NI_NUMERICHOST and NI_NUMERICSERV both, nothing
/// is looked up. Without NI_NAMEREQD the result has the number where there is no name. Answers are
/// not kept.
/// Throws: `GaiError` if there is no name, or if the address has none; `OsError` if the system has
/// failed for another reason; RuntimeError if it is not awaited in a task, or if no thread can be
/// started.
/// Cancellation: as `getaddrinfo`.
/// Python: `loop.getnameinfo`.
/// Source: getnameinfo(3).
Coro<NameInfo> getnameinfo(Address address, int flags = 0);

}  // namespace no_adl
using namespace no_adl;

/// How long a loop keeps what it has learnt of names.
struct NameCacheOptions {
    /// Whether answers are kept at all. Tasks that ask at the same time share a lookup in any case.
    bool enabled = true;
    /// How long addresses are kept. Zero or less: not at all.
    Delay found_for = std::chrono::seconds(30);
    /// How long it is kept that a name does not exist, or has no addresses. Zero or less: not at
    /// all. Any other failure is never kept.
    Delay missing_for = std::chrono::seconds(5);
    /// The largest number of answers. The answer that was used longest ago goes first.
    std::size_t max_answers = 1000;
};

/// The answers of `getaddrinfo` that a loop keeps: `loop.name_cache().clear()`. The object refers
/// to the loop, and copies refer to the same answers.
///
/// An answer is kept for the question, which is the host and the hints. The port does not matter
/// unless it is the name of a service.
/// Throws, every function: RuntimeError if the loop is closed, or has been destroyed;
/// `std::bad_alloc`.
/// Thread-safety: loop thread only.
/// Python: none.
class NameCache {
public:
    /// As `EventLoop::name_cache`.
    explicit NameCache(EventLoop& loop) noexcept;

    NameCacheOptions options() const;
    /// The limits hold for answers that come after this call. Answers beyond `max_answers` go at
    /// once, and all of them if the cache is switched off.
    void set_options(NameCacheOptions options) const;
    /// Forgets every answer. A lookup that is in flight answers the tasks that wait for it, and no
    /// others: a task that asks after this call gets an answer that was looked up after it.
    void clear() const;
    /// The same for one host, whose addresses turned out to be useless. Cost: O(answers).
    void forget(std::string_view host) const;
    /// The number of answers that are kept, those included whose time has passed.
    std::size_t size() const;

private:
    internal::LoopNames& names(const char* function) const;

    EventLoop* loop_;
    std::uint32_t loop_number_;
};

/// Sets the largest number of threads of this process that look up names at the same time; 4 if
/// this was never called. A crawler, which asks for many different names, needs more. Threads that
/// exist are not ended. A higher limit has its effect from the next lookup on.
/// Throws: `std::invalid_argument` if it is zero; `std::bad_alloc`.
/// Thread-safety: any thread.
/// Python: the limit of the default executor.
void set_max_name_threads(std::size_t count);

}  // namespace asyncio
