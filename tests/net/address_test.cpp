// Goal: an Address reads and writes every form of every family, its bytes are those of the kernel,
// and two addresses are equal exactly when they mean the same place. No loop is needed for that.
// The kernel checks the bytes: sockets are bound to addresses and asked where they are.

#include <asyncio/address.h>
#include <asyncio/lowlevel/fd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <set>
#include <stdexcept>
#include <string>
#include <unordered_set>

#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

using asyncio::Address;
using asyncio::lowlevel::Fd;
using namespace std::string_literals;
using namespace std::string_view_literals;

static_assert(std::is_trivially_copyable_v<Address>);
static_assert(std::is_trivially_destructible_v<Address>);

template <class Sockaddr>
Address from(const Sockaddr& value, std::size_t size = sizeof(Sockaddr)) {
    return Address::from_sockaddr(reinterpret_cast<const sockaddr*>(&value),
                                  static_cast<std::uint32_t>(size));
}

Address name_of(const Fd& socket) {
    sockaddr_storage storage;
    std::memset(&storage, 0xff, sizeof storage);
    socklen_t size = sizeof storage;
    EXPECT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&storage), &size), 0);
    return from(storage, size);
}

Fd bound_to(const Address& address) {
    Fd socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(socket.get(), address.data(), address.size()), 0)
        << address.to_string() << ": " << std::strerror(errno);
    return socket;
}

std::string error_of(auto&& make) {
    try {
        make();
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return "no error";
}

TEST(address, without_a_value_is_no_address) {
    constexpr Address empty;
    EXPECT_TRUE(empty.is_empty());
    EXPECT_EQ(empty.size(), 0u);
    EXPECT_NE(empty.data(), nullptr);
    EXPECT_EQ(empty.family(), AF_UNSPEC);
    EXPECT_FALSE(empty.is_ip());
    EXPECT_FALSE(empty.is_local());
    EXPECT_EQ(empty.host(), "");
    EXPECT_EQ(empty.port(), 0);
    EXPECT_EQ(empty.path(), "");
    EXPECT_EQ(empty.to_string(), "no address");
    EXPECT_EQ(empty, Address());
}

TEST(address, reads_and_writes_ipv4) {
    const Address address = Address::ip("192.0.2.17", 8080);
    EXPECT_TRUE(address.is_ipv4());
    EXPECT_TRUE(address.is_ip());
    EXPECT_FALSE(address.is_ipv6());
    EXPECT_FALSE(address.is_empty());
    EXPECT_EQ(address.family(), AF_INET);
    EXPECT_EQ(address.host(), "192.0.2.17");
    EXPECT_EQ(address.port(), 8080);
    EXPECT_EQ(address.scope_id(), 0u);
    EXPECT_EQ(address.path(), "");
    EXPECT_EQ(address.to_string(), "192.0.2.17:8080");
    ASSERT_EQ(address.size(), sizeof(sockaddr_in));
    sockaddr_in bytes{};
    std::memcpy(&bytes, address.data(), sizeof bytes);
    EXPECT_EQ(bytes.sin_family, AF_INET);
    EXPECT_EQ(bytes.sin_port, htons(8080));
    EXPECT_EQ(bytes.sin_addr.s_addr, htonl(0xC0000211));
}

TEST(address, reads_and_writes_ipv6) {
    const Address address = Address::ip("2001:DB8:0:0::1", 443);
    EXPECT_TRUE(address.is_ipv6());
    EXPECT_TRUE(address.is_ip());
    EXPECT_EQ(address.family(), AF_INET6);
    EXPECT_EQ(address.host(), "2001:db8::1");
    EXPECT_EQ(address.port(), 443);
    EXPECT_EQ(address.to_string(), "[2001:db8::1]:443");
    ASSERT_EQ(address.size(), sizeof(sockaddr_in6));
    sockaddr_in6 bytes{};
    std::memcpy(&bytes, address.data(), sizeof bytes);
    EXPECT_EQ(bytes.sin6_family, AF_INET6);
    EXPECT_EQ(bytes.sin6_port, htons(443));
    EXPECT_EQ(bytes.sin6_addr.s6_addr[15], 1);
    EXPECT_EQ(Address::ip("::ffff:192.0.2.1", 1).to_string(), "[::ffff:192.0.2.1]:1");
    EXPECT_EQ(Address::ip("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", 1).host(),
              "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

TEST(address, keeps_the_scope_of_an_ipv6_address_by_name_and_by_number) {
    const unsigned lo = ::if_nametoindex("lo");
    ASSERT_NE(lo, 0u);
    const Address by_name = Address::ip("fe80::1%lo", 80);
    EXPECT_EQ(by_name.scope_id(), lo);
    EXPECT_EQ(by_name.host(), "fe80::1%lo");
    EXPECT_EQ(by_name.to_string(), "[fe80::1%lo]:80");
    EXPECT_EQ(Address::ip("fe80::1%" + std::to_string(lo), 80), by_name);
    EXPECT_EQ(Address::ip("::1%lo", 80).to_string(), "[::1%lo]:80");
    EXPECT_NE(Address::ip("::1%lo", 80), Address::ip("::1", 80));
    // A number without an interface stays a number.
    EXPECT_EQ(Address::ip("fe80::1%4294967295", 80).to_string(), "[fe80::1%4294967295]:80");
}

TEST(address, refuses_what_is_not_a_numeric_address_and_quotes_it) {
    for (const std::string_view text :
         {""sv,
          "example.com"sv,
          "127.1"sv,
          "127.0.0.1 "sv,
          " ::1"sv,
          "[::1]"sv,
          "::1:"sv,
          "127.0.0.256"sv,
          "1.2.3.4.5"sv,
          "127.0.0.1%lo"sv,
          "%lo"sv,
          "::1%"sv,
          "::1%nosuch0"sv,
          "::1%4294967296"sv,
          "::1%-1"sv,
          "::1%1x"sv,
          "::1%lo%lo"sv,
          "127.0.0.1\0"sv,
          "::1\0"sv,
          "::1%lo\0"sv,
          "::1%a-name-longer-than-any-interface-has-and-then-some-more"sv,
          "0000:0000:0000:0000:0000:0000:255.255.255.2555"sv,
          "1111111111111111111111111111111111111111111111111111111111111111111111111111"sv}) {
        EXPECT_FALSE(Address::try_ip(text, 80)) << text;
        EXPECT_THROW(static_cast<void>(Address::ip(text, 80)), std::invalid_argument);
    }
    EXPECT_EQ(error_of([] { static_cast<void>(Address::ip("a\0b"sv, 80)); }),
              "\"a\\x00b\" is not a numeric IP address");
    EXPECT_EQ(Address::try_ip("127.0.0.1", 80), Address::ip("127.0.0.1", 80));
}

TEST(address, names_this_machine_and_all_its_interfaces) {
    EXPECT_EQ(Address::any_v4(1).to_string(), "0.0.0.0:1");
    EXPECT_EQ(Address::any_v6(2).to_string(), "[::]:2");
    EXPECT_EQ(Address::loopback_v4(3).to_string(), "127.0.0.1:3");
    EXPECT_EQ(Address::loopback_v6(65535).to_string(), "[::1]:65535");
}

TEST(address, changes_port_and_flow_label_in_a_copy) {
    const Address v4 = Address::ip("10.0.0.1", 0);
    EXPECT_EQ(v4.with_port(513).to_string(), "10.0.0.1:513");
    EXPECT_EQ(v4.port(), 0);
    const Address v6 = Address::ip("fe80::1%lo", 1);
    EXPECT_EQ(v6.with_port(513).to_string(), "[fe80::1%lo]:513");
    EXPECT_EQ(v6.flow_info(), 0u);
    EXPECT_EQ(v6.with_flow_info(0x12345).flow_info(), 0x12345u);
    EXPECT_EQ(v6.with_flow_info(0x12345).scope_id(), v6.scope_id());
    EXPECT_NE(v6.with_flow_info(0x12345), v6);
    EXPECT_EQ(error_of([] { static_cast<void>(Address::local("/a").with_port(1)); }),
              "/a cannot have a port");
    EXPECT_EQ(error_of([] { static_cast<void>(Address::any_v4(1).with_flow_info(1)); }),
              "0.0.0.0:1 cannot have a flow label");
}

TEST(address, reads_and_writes_paths_of_unix_sockets) {
    const Address address = Address::local("/run/x.sock");
    EXPECT_TRUE(address.is_local());
    EXPECT_FALSE(address.is_ip());
    EXPECT_EQ(address.family(), AF_UNIX);
    EXPECT_EQ(address.path(), "/run/x.sock");
    EXPECT_EQ(address.to_string(), "/run/x.sock");
    EXPECT_EQ(address.host(), "");
    EXPECT_EQ(address.port(), 0);
    EXPECT_EQ(address.size(), offsetof(sockaddr_un, sun_path) + 12);
    EXPECT_EQ(Address::local("/a\nb\x7f").to_string(), "/a\\x0ab\\x7f");
    EXPECT_EQ(Address::local("/gr\u00fcn").to_string(), "/gr\u00fcn");
}

TEST(address, abstract_and_unnamed_unix_sockets_differ_from_paths) {
    const Address abstract = Address::local("\0abstract"sv);
    EXPECT_EQ(abstract.path(), "\0abstract"sv);
    EXPECT_EQ(abstract.to_string(), "@abstract");
    EXPECT_EQ(abstract.size(), offsetof(sockaddr_un, sun_path) + 9);
    EXPECT_EQ(Address::local("\0a\0b\0"sv).path(), "\0a\0b\0"sv);
    EXPECT_EQ(Address::local("\0a\0b\0"sv).to_string(), "@a\\x00b\\x00");
    EXPECT_NE(Address::local("\0a\0"sv), Address::local("\0a"sv));

    const Address unnamed = Address::local("");
    EXPECT_FALSE(unnamed.is_empty());
    EXPECT_TRUE(unnamed.is_local());
    EXPECT_EQ(unnamed.path(), "");
    EXPECT_EQ(unnamed.size(), sizeof(sa_family_t));
    EXPECT_EQ(unnamed.to_string(), "unnamed Unix socket");
    EXPECT_NE(unnamed, Address());
    EXPECT_NE(unnamed, Address::local("\0"sv));
}

TEST(address, a_path_that_is_too_long_is_refused_with_the_limit) {
    const std::string longest(107, 'p');
    EXPECT_EQ(Address::local(longest).path(), longest);
    EXPECT_EQ(error_of([&] { static_cast<void>(Address::local(longest + 'q')); }),
              "the path of a Unix socket has at most 107 bytes, and \"" + longest + "q\" has 108");
    const std::string longest_abstract = '\0' + longest;
    EXPECT_EQ(Address::local(longest_abstract).path(), longest_abstract);
    EXPECT_EQ(Address::local(longest_abstract).size(), sizeof(sockaddr_un));
    EXPECT_EQ(error_of([&] { static_cast<void>(Address::local(longest_abstract + 'q')); }),
              "the path of a Unix socket has at most 108 bytes, and \"\\x00" + longest +
                  "q\" has 109");
    EXPECT_EQ(error_of([] { static_cast<void>(Address::local("/a\0b"sv)); }),
              "the path of a Unix socket has a NUL in its middle: \"/a\\x00b\"");
}

TEST(address, the_kernel_binds_to_it_and_names_the_same_address) {
    const std::string folder = std::filesystem::temp_directory_path();
    const std::string path = folder + "/address_test_" + std::to_string(::getpid());
    for (const Address& address : {Address::local(path), Address::local('\0' + path)}) {
        const Fd socket = bound_to(address);
        EXPECT_EQ(name_of(socket), address) << address.to_string();
        EXPECT_EQ(name_of(socket).path(), address.path());
    }
    ::unlink(path.c_str());

    const Fd v4 = bound_to(Address::loopback_v4(0));
    EXPECT_NE(name_of(v4).port(), 0);
    EXPECT_EQ(name_of(v4), Address::loopback_v4(name_of(v4).port()));
    EXPECT_EQ(name_of(bound_to(Address::local(""))).path().size(), 6u);
    const Fd unnamed(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(name_of(unnamed), Address::local(""));
}

TEST(address, a_path_that_fills_its_whole_room_survives) {
    sockaddr_un bytes{};
    bytes.sun_family = AF_UNIX;
    std::memset(bytes.sun_path, 'p', sizeof bytes.sun_path);
    const Address address = from(bytes);
    EXPECT_EQ(address.path(), std::string(108, 'p'));
    EXPECT_EQ(address.size(), sizeof bytes);
    // The kernel counts a NUL that does not fit into the struct.
    std::array<char, Address::capacity> larger{};
    std::memcpy(larger.data(), &bytes, sizeof bytes);
    EXPECT_EQ(from(larger, sizeof bytes + 1), address);
}

TEST(address, forms_of_the_same_address_are_equal) {
    sockaddr_in v4{};
    std::memset(&v4, 0xee, sizeof v4);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(80);
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(from(v4), Address::loopback_v4(80));
    EXPECT_EQ(from(v4).size(), sizeof v4);
    sockaddr_storage storage{};
    std::memset(&storage, 0xee, sizeof storage);
    std::memcpy(&storage, &v4, sizeof v4);
    EXPECT_EQ(from(storage), Address::loopback_v4(80));

    sockaddr_un local{};
    std::memset(&local, 0xee, sizeof local);
    local.sun_family = AF_UNIX;
    std::strcpy(local.sun_path, "/a");
    const std::size_t begin = offsetof(sockaddr_un, sun_path);
    for (const std::size_t size : {begin + 2, begin + 3, begin + 20, sizeof local}) {
        EXPECT_EQ(from(local, size), Address::local("/a")) << size;
        EXPECT_EQ(from(local, size).size(), begin + 3);
    }
}

TEST(address, keeps_the_bytes_of_a_family_that_it_does_not_know) {
    std::array<char, 12> bytes{};
    const sa_family_t family = AF_NETLINK;
    std::memcpy(bytes.data(), &family, sizeof family);
    bytes.back() = 7;
    const Address address = from(bytes);
    EXPECT_EQ(address.family(), AF_NETLINK);
    EXPECT_EQ(address.size(), bytes.size());
    EXPECT_EQ(std::memcmp(address.data(), bytes.data(), bytes.size()), 0);
    EXPECT_EQ(address.to_string(), "an address of family 16 with 10 bytes");
    EXPECT_FALSE(address.is_ip() || address.is_local());
    Address other = address;
    EXPECT_EQ(other, address);
    bytes.back() = 8;
    EXPECT_NE(from(bytes), address);
}

TEST(address, refuses_bytes_that_cannot_be_an_address) {
    EXPECT_TRUE(Address::from_sockaddr(nullptr, 0).is_empty());
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    std::array<char, 200> large{};
    EXPECT_THROW(from(v4, sizeof v4 - 1), std::invalid_argument);
    EXPECT_THROW(from(v6, sizeof v6 - 1), std::invalid_argument);
    EXPECT_THROW(from(v4, 1), std::invalid_argument);
    EXPECT_THROW(from(large, Address::capacity + 1), std::invalid_argument);
    EXPECT_EQ(from(large, Address::capacity).size(), Address::capacity);
    EXPECT_EQ(error_of([&] { from(v4, 5); }), "an address of family 2 with 5 bytes");
}

TEST(address, is_ordered_by_family_then_host_then_port) {
    const std::vector<Address> in_order = {
        Address(),
        Address::local(""),
        Address::local("\0a"sv),
        Address::local("/a"),
        Address::local("/a/b"),
        Address::local("/b"),
        Address::ip("9.0.0.1", 80),
        Address::ip("9.0.0.1", 81),
        Address::ip("10.0.0.1", 1),
        Address::ip("10.0.0.1", 0x0200),
        Address::ip("192.0.2.1", 1),
        Address::ip("::1", 2),
        Address::ip("::1", 3).with_flow_info(1),
        Address::ip("::1%lo", 1),
        Address::ip("2001:db8::", 1).with_flow_info(9),
        Address::ip("fe80::1", 0),
    };
    for (std::size_t left = 0; left < in_order.size(); ++left) {
        for (std::size_t right = 0; right < in_order.size(); ++right) {
            EXPECT_EQ(in_order[left] <=> in_order[right], left <=> right)
                << in_order[left].to_string() << " and " << in_order[right].to_string();
            EXPECT_EQ(in_order[left] == in_order[right], left == right);
        }
    }
}

TEST(address, is_the_key_of_sets) {
    const std::array<Address, 4> all = {Address::loopback_v4(80), Address::loopback_v4(81),
                                        Address::loopback_v6(80), Address::local("/a")};
    std::set<Address> sorted;
    std::unordered_set<Address> hashed;
    for (int twice = 0; twice < 2; ++twice) {
        sorted.insert(all.begin(), all.end());
        hashed.insert(all.begin(), all.end());
    }
    EXPECT_EQ(sorted.size(), all.size());
    EXPECT_EQ(hashed.size(), all.size());
    EXPECT_EQ(std::hash<Address>()(Address::ip("0:0::1", 80)),
              std::hash<Address>()(Address::loopback_v6(80)));
    EXPECT_NE(std::hash<Address>()(all[0]), std::hash<Address>()(all[1]));
}

}  // namespace
