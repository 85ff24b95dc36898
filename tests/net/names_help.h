#pragma once
// Names for tests: a table of hosts that answers as a back-end or in the place of the system, and
// counts what it is asked.

#include <asyncio/address_info.h>
#include <asyncio/lowlevel/names.h>
#include <asyncio/names.h>
#include <asyncio/testing/probe_backend.h>

#include "net/system_names.h"
#include "support/run_test.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <netdb.h>
#include <sys/socket.h>

namespace names_test {

using asyncio::Address;
using asyncio::AddressHints;
using asyncio::AddressInfo;
using Names = asyncio::lowlevel::Names;

/// A question as it reached the names.
struct Asked {
    std::string host;
    std::string service;
    AddressHints hints;

    friend bool operator==(const Asked&, const Asked&) = default;
};

inline AddressInfo stream_to(const char* host, std::uint16_t port = 0) {
    return {.type = SOCK_STREAM, .proto = 6, .address = Address::ip(host, port)};
}

inline Names::Addresses found(const char* host, asyncio::Duration delay = {}) {
    return {.list = {stream_to(host)}, .delay = delay};
}

inline Names::Addresses missing(int error = EAI_NONAME, asyncio::Duration delay = {}) {
    return {.error = error, .delay = delay};
}

/// A door that threads wait at. Closed at first only if a test closes it.
class Door {
public:
    /// Lets every thread pass, also those of lookups that no task waits for any more.
    ~Door() {
        open();
        wait_for(0);
    }
    void close() {
        const std::lock_guard lock(mutex_);
        closed_ = true;
    }
    void open() {
        const std::lock_guard lock(mutex_);
        closed_ = false;
        changed_.notify_all();
    }
    void pass() {
        std::unique_lock lock(mutex_);
        ++waiting_;
        changed_.notify_all();
        changed_.wait(lock, [this] { return !closed_; });
        --waiting_;
        changed_.notify_all();
    }
    /// Blocks until so many threads stand at the door.
    void wait_for(int threads) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return waiting_ == threads; });
    }
    int waiting() {
        const std::lock_guard lock(mutex_);
        return waiting_;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool closed_ = false;
    int waiting_ = 0;
};

/// A table of hosts. Thread-safety: any thread may ask.
class FakeNames final : public Names {
public:
    /// Waits for lookups that are still being answered, since they use the table.
    ~FakeNames() override {
        while (asking_ != 0) std::this_thread::yield();
    }

    Addresses addresses_of(const std::string& host, const std::string& service,
                           const AddressHints& hints) override {
        const Asking asking(asking_);
        {
            const std::lock_guard lock(mutex_);
            asked_.push_back({host, service, hints});
        }
        if (on_question) on_question(host);
        const auto entry = hosts.find(host);
        return entry != hosts.end() ? entry->second : missing();
    }

    Name name_of(const Address& address, int flags) override {
        const Asking asking(asking_);
        {
            const std::lock_guard lock(mutex_);
            asked_.push_back({address.to_string(), std::to_string(flags), {}});
        }
        if (on_question) on_question(address.to_string());
        return name;
    }

    std::vector<Asked> asked() {
        const std::lock_guard lock(mutex_);
        return asked_;
    }
    std::size_t count() { return asked().size(); }

    /// What is answered. Set while no lookup runs.
    std::map<std::string, Addresses> hosts;
    Name name;
    /// Called on the thread that asks; may throw.
    std::function<void(const std::string& host)> on_question;

private:
    /// Counts a lookup while it is answered.
    class Asking {
    public:
        explicit Asking(std::atomic<int>& count) noexcept : count_(count) { ++count_; }
        Asking(const Asking&) = delete;
        Asking& operator=(const Asking&) = delete;
        ~Asking() { --count_; }

    private:
        std::atomic<int>& count_;
    };

    std::atomic<int> asking_{0};
    std::mutex mutex_;
    std::vector<Asked> asked_;
};

/// Puts names in the place of the system, for the time of a test.
class InsteadOfSystem {
public:
    explicit InsteadOfSystem(Names& names) { asyncio::internal::set_system_names(&names); }
    InsteadOfSystem(const InsteadOfSystem&) = delete;
    InsteadOfSystem& operator=(const InsteadOfSystem&) = delete;
    ~InsteadOfSystem() { asyncio::internal::set_system_names(nullptr); }
};

/// A loop on the back-end of the environment, which asks the system for names in every case.
class SystemLoop : public support::TestLoop {
public:
    SystemLoop() { probe().asks_system = true; }
};

/// For `asyncio::run`, which makes its loop itself: a back-end that asks the system.
inline asyncio::lowlevel::BackendKind backend_of_system() {
    const char* named = std::getenv("ASYNCIO_BACKEND");
    const bool simulates = named != nullptr && std::string_view(named) == "simulated";
    using Kind = asyncio::lowlevel::BackendKind;
    return simulates ? Kind::epoll : Kind::automatic;
}

/// Runs `body()` on such a loop.
template <class Body>
void run_asking_system(Body body) {
    const support::LogCapture log;
    SystemLoop loop;
    loop->run_until_complete(body());
    loop.expect_idle();
    loop->close();
}

/// Runs `body()` in simulated time, in a world whose names are `names`.
template <class Body>
void run_with(Names& names, Body body) {
    const support::LogCapture log;
    support::TestLoop loop(asyncio::lowlevel::make_simulated_backend({}));
    loop.probe().names_instead = &names;
    loop->run_until_complete(body());
    loop.expect_idle();
    loop->close();
}

/// The addresses as texts.
inline std::vector<std::string> texts(const std::vector<AddressInfo>& list) {
    std::vector<std::string> result;
    for (const AddressInfo& info : list) result.push_back(info.address.to_string());
    return result;
}

/// The text of an answer, or of its error.
inline asyncio::Coro<std::string> look_up(std::string host, int port = 80,
                                          AddressHints hints = {.type = SOCK_STREAM}) {
    try {
        const auto list = co_await asyncio::getaddrinfo(std::move(host), port, hints);
        std::string result;
        for (const std::string& text : texts(list)) result += (result.empty() ? "" : " ") + text;
        co_return result;
    } catch (const std::exception& error) {
        co_return error.what();
    }
}

}  // namespace names_test
