// Goal: questions of numbers are answered without names and without a thread, and the answers are
// those of the C library, element by element.

#include <asyncio/names.h>

#include "net/names_help.h"
#include "net/numeric_names.h"

#include <string>

#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>

namespace {

using namespace names_test;
using asyncio::Coro;
using asyncio::get_running_loop;
using asyncio::internal::addresses_of_numbers;
using asyncio::internal::name_of_numbers;
using asyncio::internal::SystemNames;

std::string question_text(const std::string& host, const std::string& service,
                          const AddressHints& hints) {
    return '"' + host + "\" \"" + service + "\" family " + std::to_string(hints.family) + " type " +
           std::to_string(hints.type) + " proto " + std::to_string(hints.proto) + " flags " +
           std::to_string(hints.flags);
}

TEST(numeric_names, NET_05_a_number_is_no_question_for_the_resolver_and_keeps_its_scope) {
    FakeNames names;
    const InsteadOfSystem instead(names);
    support::run_test([]() -> Coro<> {
        const auto iterations = get_running_loop().iterations();
        EXPECT_EQ(co_await look_up("192.0.2.1"), "192.0.2.1:80");
        EXPECT_EQ(co_await look_up("fe80::1%lo", 443), "[fe80::1%lo]:443");
        EXPECT_EQ(co_await look_up(""), "[::1]:80 127.0.0.1:80");
        EXPECT_EQ(co_await look_up("", 80, {.type = SOCK_STREAM, .flags = AI_PASSIVE}),
                  "0.0.0.0:80 [::]:80");
        const auto list = co_await asyncio::getaddrinfo("fe80::1%lo", "443");
        EXPECT_EQ(list.size(), 3u);
        EXPECT_EQ(list[0].address.scope_id(), ::if_nametoindex("lo"));
        const auto name = co_await asyncio::getnameinfo(Address::ip("fe80::1%lo", 80),
                                                        NI_NUMERICHOST | NI_NUMERICSERV);
        EXPECT_EQ(name, (asyncio::NameInfo{"fe80::1%lo", "80"}));
        EXPECT_EQ(get_running_loop().iterations(), iterations);
        EXPECT_EQ(get_running_loop().name_cache().size(), 0u);
    });
    EXPECT_EQ(names.count(), 0u);
}

TEST(numeric_names, an_address_of_another_family_is_refused) {
    support::run_test([]() -> Coro<> {
        const std::string error = "look up \"127.0.0.1\", port 80: Address family for hostname not "
                                  "supported";
        EXPECT_EQ(co_await look_up("127.0.0.1", 80, {.family = AF_INET6}), error);
    });
}

/// Every answer that is given without the C library is the same as with it. How many are given is
/// counted, so that the comparison cannot become empty.
TEST(numeric_names, answers_are_those_of_the_c_library) {
    SystemNames system;
    int answered = 0;
    int asked = 0;
    for (const char* host : {"", "127.0.0.1", "192.0.2.255", "::1", "2001:db8::1", "fe80::1%lo",
                             "::ffff:192.0.2.1", "127.1"})
        for (const char* service : {"", "0", "80", "65535", "no-such-service"})
            for (const int family : {AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX})
                for (const int type : {0, int{SOCK_STREAM}, int{SOCK_DGRAM}, int{SOCK_RAW}})
                    for (const int proto : {0, int{IPPROTO_TCP}, int{IPPROTO_UDP}})
                        for (const int flags :
                             {0, AI_PASSIVE, AI_CANONNAME, AI_NUMERICHOST | AI_NUMERICSERV,
                              AI_V4MAPPED | AI_ADDRCONFIG, AI_V4MAPPED | AI_ALL, AI_ADDRCONFIG}) {
                            const AddressHints hints{family, type, proto, flags};
                            ++asked;
                            const auto ours = addresses_of_numbers(host, service, hints);
                            if (!ours) continue;
                            ++answered;
                            const auto theirs = system.addresses_of(host, service, hints);
                            EXPECT_EQ(ours->error, theirs.error)
                                << question_text(host, service, hints);
                            EXPECT_EQ(texts(ours->list), texts(theirs.list))
                                << question_text(host, service, hints);
                            EXPECT_EQ(ours->list, theirs.list)
                                << question_text(host, service, hints);
                        }
    EXPECT_EQ(asked, 8 * 5 * 4 * 4 * 3 * 7);
    EXPECT_GT(answered, 2000);
}

TEST(numeric_names, usual_questions_are_answered_and_unusual_ones_are_left_to_the_system) {
    const auto answers = [](const char* host, const char* service, AddressHints hints) {
        return addresses_of_numbers(host, service, hints).has_value();
    };
    for (const char* host : {"", "127.0.0.1", "::1", "fe80::1%lo"}) {
        for (const int type : {0, int{SOCK_STREAM}, int{SOCK_DGRAM}}) {
            EXPECT_TRUE(answers(host, "80", {.type = type})) << host;
            EXPECT_TRUE(answers(host, "80", {.type = type, .flags = AI_PASSIVE})) << host;
        }
    }
    EXPECT_TRUE(answers("127.0.0.1", "80", {.family = AF_INET, .proto = IPPROTO_UDP}));
    EXPECT_TRUE(answers("127.0.0.1", "", {.flags = AI_CANONNAME}));
    EXPECT_FALSE(answers("localhost", "80", {}));
    EXPECT_FALSE(answers("127.1", "80", {}));
    EXPECT_FALSE(answers("127.0.0.1", "http", {}));
    EXPECT_FALSE(answers("127.0.0.1", " 80", {}));
    EXPECT_FALSE(answers("127.0.0.1", "+80", {}));
    EXPECT_FALSE(answers("127.0.0.1", "80", {.family = AF_INET6}));
    EXPECT_FALSE(answers("::1", "80", {.family = AF_INET}));
    EXPECT_FALSE(answers("127.0.0.1", "80", {.family = AF_UNIX}));
    EXPECT_FALSE(answers("127.0.0.1", "80", {.type = SOCK_RAW}));
    EXPECT_FALSE(answers("127.0.0.1", "80", {.type = SOCK_STREAM, .proto = IPPROTO_UDP}));
    EXPECT_FALSE(answers("127.0.0.1", "80", {.flags = AI_IDN}));
    EXPECT_FALSE(answers("", "80", {.flags = AI_CANONNAME}));
    EXPECT_FALSE(answers("", "80", {.flags = AI_ADDRCONFIG}));
}

TEST(numeric_names, names_of_numbers_are_those_of_the_c_library) {
    SystemNames system;
    int answered = 0;
    for (const char* host : {"127.0.0.1", "0.0.0.0", "::", "::1", "2001:db8::1", "fe80::1%lo"})
        for (const std::uint16_t port : {0, 80, 65535})
            for (const int flags :
                 {NI_NUMERICHOST | NI_NUMERICSERV, NI_NUMERICHOST | NI_NUMERICSERV | NI_DGRAM,
                  NI_NUMERICHOST | NI_NUMERICSERV | NI_NAMEREQD, 0, int{NI_NUMERICHOST},
                  int{NI_NUMERICSERV}}) {
                const auto ours = name_of_numbers(Address::ip(host, port), flags);
                if (!ours) continue;
                ++answered;
                const auto theirs = system.name_of(Address::ip(host, port), flags);
                EXPECT_EQ(ours->error, theirs.error) << host;
                EXPECT_EQ(ours->name, theirs.name) << host;
            }
    EXPECT_EQ(answered, 6 * 3 * 2);
    EXPECT_FALSE(name_of_numbers(Address::local("/a"), NI_NUMERICHOST | NI_NUMERICSERV));
}

}  // namespace
