// Goal and method: as in things_test.cpp, for subscriptions to signals.

#include <asyncio.h>

#include "places/places.h"

#include <csignal>
#include <memory>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

namespace {

using namespace asyncio;
using places::call;
using places::Made;
using places::refused;
using places::thing;
using places::works;

/// SIGURG does nothing by default, so a signal that no subscriber gets harms nobody.
Made<SignalStream> signals() { co_return std::make_shared<SignalStream>(SIGURG); }

/// A stream that has a signal to give.
Made<SignalStream> arrived_signals() {
    auto made = co_await signals();
    ::raise(SIGURG);
    while (made->pending() == 0) co_await asyncio::sleep(std::chrono::seconds(0));
    co_return made;
}

Made<SignalSubscription> subscription() {
    co_return std::make_shared<SignalSubscription>(on_signal(SIGURG, [] {}));
}

// clang-format off
//                       no loop     another     closed      gone        callback
const std::vector<places::Row> subscriptions{
    thing("SignalStream::next()", signals, [](SignalStream& it) -> Coro<> { co_await it.next(); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("SignalStream::next()", arrived_signals,
          [](SignalStream& it) -> Coro<> { co_await it.next(); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("SignalStream::pending()", arrived_signals, call<SignalStream>([](SignalStream& it) {
              if (it.pending() != 1) throw std::logic_error("not one");
          }),           {works,      works,      works,      works,      works}),
    thing("SignalSubscription::remove()", subscription,
          call<SignalSubscription>([](SignalSubscription& it) {
              static_cast<void>(static_cast<bool>(it));
              it.remove();
          }),           {works,      works,      works,      works,      works}),
};
// clang-format on

TEST(places, subscriptions_to_signals) { places::expect_in_table(subscriptions); }

}  // namespace
