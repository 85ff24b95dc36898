#pragma once
// The names of the system: its hosts file, its search domains, its name servers.
//
// The C library knows all of them, and the rules by which a machine asks them (nsswitch.conf(5)).
// Its functions block, so only threads of the library call them (`net/name_pool.h`). A resolver of
// the library's own would need no threads, but it would know neither these rules nor the modules
// that an administrator has installed, and would give other answers than every other program of the
// machine.

#include <asyncio/lowlevel/names.h>

namespace asyncio::internal {

/// Asks the system. Thread-safety: any thread; blocks it.
class SystemNames final : public lowlevel::Names {
public:
    Addresses addresses_of(const std::string& host, const std::string& service,
                           const AddressHints& hints) override;
    Name name_of(const Address& address, int flags) override;
};

/// The object that the threads ask: a `SystemNames`, unless a test has set another one.
/// Thread-safety: any thread, and the object is asked by several at once.
lowlevel::Names& system_names() noexcept;

/// For tests: lets `names` answer from now on, in the place of the system. A null pointer restores
/// the system. The object must live until every thread has its answer.
void set_system_names(lowlevel::Names* names) noexcept;

}  // namespace asyncio::internal
