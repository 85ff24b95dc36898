#pragma once
// A back-end for tests of connections: it counts the sockets that are open, knows hosts by name,
// and lets accepts fail.

#include <asyncio/lowlevel/backend.h>
#include <asyncio/lowlevel/names.h>
#include <asyncio/lowlevel/operation.h>

#include "support/run_test.h"

#include <cerrno>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <netdb.h>
#include <sys/socket.h>

namespace net_test {

/// What a test sees of the world, and what it tells it.
struct World final : asyncio::lowlevel::Names {
    /// Sockets that exist: made or accepted, and not closed.
    int open_sockets = 0;
    /// How many were ever made by `socket`.
    int sockets_made = 0;
    /// The next accepts fail with these, one by one.
    std::deque<int> accept_errors;
    /// The addresses of the hosts, numeric.
    std::map<std::string, std::vector<std::string>> hosts;

    Addresses addresses_of(const std::string& host, const std::string&,
                           const asyncio::AddressHints& hints) override {
        const auto found = hosts.find(host);
        if (found == hosts.end()) return {.error = EAI_NONAME};
        Addresses answer;
        for (const std::string& number : found->second)
            answer.list.push_back({.type = hints.type, .address = asyncio::Address::ip(number, 0)});
        return answer;
    }
    Name name_of(const asyncio::Address&, int) override { return {.error = EAI_NONAME}; }
};

class WatchedBackend final : public asyncio::lowlevel::Backend {
public:
    WatchedBackend(std::unique_ptr<Backend> real, World& world)
        : real_(std::move(real)), world_(world) {}

    const char* name() const noexcept override { return real_->name(); }
    Submitted submit(asyncio::lowlevel::Operation& operation) noexcept override {
        using asyncio::lowlevel::OperationKind;
        if (operation.kind == OperationKind::accept && !world_.accept_errors.empty()) {
            operation.result = -world_.accept_errors.front();
            world_.accept_errors.pop_front();
            operation.state = asyncio::lowlevel::Operation::State::finished;
            return Submitted::finished;
        }
        const Submitted submitted = real_->submit(operation);
        if (submitted == Submitted::finished) note(operation);
        return submitted;
    }
    void cancel(asyncio::lowlevel::Operation& operation) noexcept override {
        real_->cancel(operation);
    }
    Waited wait(asyncio::TimePoint deadline,
                asyncio::lowlevel::OperationList& finished) noexcept override {
        asyncio::lowlevel::OperationList fresh;
        const Waited waited = real_->wait(deadline, fresh);
        fresh.for_each([&](const asyncio::lowlevel::Operation& operation) { note(operation); });
        finished.append(fresh);
        return waited;
    }
    bool look_is_due() noexcept override { return real_->look_is_due(); }
    void hand_over() noexcept override { real_->hand_over(); }
    void wake() noexcept override { real_->wake(); }
    void expect_wakes(int change) noexcept override { real_->expect_wakes(change); }
    asyncio::TimePoint now() noexcept override { return real_->now(); }
    asyncio::lowlevel::Names* names() noexcept override { return &world_; }

private:
    void note(const asyncio::lowlevel::Operation& operation) noexcept {
        using asyncio::lowlevel::OperationKind;
        const bool is_made =
            operation.kind == OperationKind::socket || operation.kind == OperationKind::accept;
        if (is_made && operation.result >= 0) ++world_.open_sockets;
        if (operation.kind == OperationKind::socket && operation.result >= 0) ++world_.sockets_made;
        if (operation.kind == OperationKind::close) --world_.open_sockets;
    }

    std::unique_ptr<Backend> real_;
    World& world_;
};

/// Runs `body(world)` as the main task. At the end no task, no timer and no socket may be left.
template <class Body>
void run_watched(Body body, std::unique_ptr<asyncio::lowlevel::Backend> backend =
                                asyncio::lowlevel::make_backend()) {
    const support::LogCapture log;
    World world;
    {
        support::TestLoop loop(std::make_unique<WatchedBackend>(std::move(backend), world));
        loop->run_until_complete(body(world));
        loop.expect_idle();
        loop->close();
    }
    EXPECT_EQ(world.open_sockets, 0) << "a socket is left";
}

}  // namespace net_test
