// Lookups of names, with every allocation failing once, on the loop's thread and on those that ask
// the system. How it is done is told in sweep.cpp. The names are of this machine, so nothing leaves
// it.

#include <asyncio/gather.h>
#include <asyncio/names.h>
#include <asyncio/task.h>

#include "parts.h"
#include "support/system_names.h"
#include "sweep.h"

#include <string>
#include <vector>

#include <netdb.h>
#include <sys/socket.h>

using namespace asyncio;
using namespace std::chrono_literals;
using namespace allocations;

/// The way through the pool is the same if the system does not know the name.
static Coro<> look_up_localhost() {
    try {
        const auto list = co_await getaddrinfo("localhost", 80, {.type = SOCK_STREAM});
        require(!list.empty() && list.front().address.port() == 80, "an address of this machine");
    } catch (const GaiError&) {
        if (support::system_knows_localhost()) throw;
    }
}

SCENARIO_EVERYWHERE(names_looked_up_kept_and_forgotten) {
    co_await look_up_localhost();
    co_await look_up_localhost();
    get_running_loop().name_cache().clear();
    co_await look_up_localhost();
}

SCENARIO(names_looked_up_together_and_left) {
    auto first = create_task(look_up_localhost());
    auto second = create_task(look_up_localhost());
    auto third = create_task(look_up_localhost());
    co_await sleep(0ms);
    first.cancel();
    co_await second;
    co_await third;
    require(first.done(), "the first task has left");
}

SCENARIO(names_of_numbers_and_errors) {
    const auto list = co_await getaddrinfo("::1", "443");
    require(list.size() == 3, "a kind of socket each");
    try {
        co_await getaddrinfo(long_text, 80, {.flags = AI_NUMERICHOST});
        require(false, "no number");
    } catch (const GaiError& error) {
        require(error.host() == long_text, "the error names the host");
    }
}

SCENARIO(name_of_an_address) {
    const NameInfo name = co_await getnameinfo(Address::loopback_v4(1), NI_NUMERICSERV);
    require(name.service == "1", "the port");
}
