// Goal: the walk over control messages gives each message once, and stops at a wrong length.
// Method: the memory is laid out with the macros of the C library, and then spoiled.

#include "base/control_messages.h"

#include <array>
#include <cstddef>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::internal::visit_control_messages;
using asyncio::internal::visit_descriptors;

class ControlMemory {
public:
    /// Appends a message.
    template <class Numbers>
    cmsghdr& add(int level, int type, const Numbers& numbers) {
        auto* const part = reinterpret_cast<cmsghdr*>(bytes_.data() + size_);
        part->cmsg_level = level;
        part->cmsg_type = type;
        part->cmsg_len = CMSG_LEN(sizeof numbers);
        std::memcpy(CMSG_DATA(part), &numbers, sizeof numbers);
        size_ += CMSG_SPACE(sizeof numbers);
        return *part;
    }
    /// A header over the memory, without its last bytes.
    msghdr header(std::size_t missing_bytes = 0) {
        msghdr made{};
        made.msg_control = bytes_.data();
        made.msg_controllen = size_ - missing_bytes;
        return made;
    }

private:
    alignas(cmsghdr) std::array<char, 512> bytes_{};
    std::size_t size_ = 0;
};

struct Seen {
    bool is_whole;
    std::vector<int> numbers;

    bool operator==(const Seen&) const = default;
};
Seen descriptors_of(const msghdr& header) {
    Seen seen{};
    seen.is_whole = visit_descriptors(header, [&](int number) { seen.numbers.push_back(number); });
    return seen;
}

TEST(control_messages, descriptors_of_all_messages_come_in_order) {
    ControlMemory memory;
    memory.add(SOL_SOCKET, SCM_RIGHTS, std::array{3, 4, 5});
    memory.add(SOL_SOCKET, SCM_CREDENTIALS, std::array{7, 7, 7});
    memory.add(SOL_SOCKET + 1, SCM_RIGHTS, std::array{8});
    memory.add(SOL_SOCKET, SCM_RIGHTS, std::array{6});
    EXPECT_EQ(descriptors_of(memory.header()), (Seen{true, {3, 4, 5, 6}}));
}

TEST(control_messages, the_padding_behind_the_last_message_may_be_missing) {
    ControlMemory memory;
    memory.add(SOL_SOCKET, SCM_RIGHTS, std::array{3});
    EXPECT_EQ(descriptors_of(memory.header(CMSG_SPACE(4) - CMSG_LEN(4))), (Seen{true, {3}}));
}

TEST(control_messages, a_message_that_is_longer_than_its_memory_is_not_visited) {
    ControlMemory memory;
    memory.add(SOL_SOCKET, SCM_RIGHTS, std::array{3});
    memory.add(SOL_SOCKET, SCM_RIGHTS, std::array{4, 5});
    EXPECT_EQ(descriptors_of(memory.header(1)), (Seen{false, {3}}));
}

TEST(control_messages, a_length_below_that_of_a_header_ends_the_walk) {
    for (const std::size_t length : {std::size_t{0}, CMSG_LEN(0) - 1}) {
        ControlMemory memory;
        memory.add(SOL_SOCKET, SCM_RIGHTS, std::array{3});
        memory.add(SOL_SOCKET, SCM_RIGHTS, std::array{4}).cmsg_len = length;
        memory.add(SOL_SOCKET, SCM_RIGHTS, std::array{5});
        EXPECT_EQ(descriptors_of(memory.header()), (Seen{false, {3}})) << length;
    }
}

TEST(control_messages, a_huge_length_does_not_wrap_around) {
    ControlMemory memory;
    memory.add(SOL_SOCKET, SCM_RIGHTS, std::array{3}).cmsg_len = SIZE_MAX;
    EXPECT_EQ(descriptors_of(memory.header()), (Seen{false, {}}));
}

TEST(control_messages, bytes_that_are_no_whole_number_are_no_descriptor) {
    ControlMemory memory;
    memory.add(SOL_SOCKET, SCM_RIGHTS, std::array{3, 4}).cmsg_len -= 1;
    EXPECT_EQ(descriptors_of(memory.header()), (Seen{true, {3}}));
}

TEST(control_messages, without_memory_there_are_no_messages) {
    msghdr header{};
    header.msg_controllen = 100;
    int visited = 0;
    EXPECT_TRUE(visit_control_messages(header, [&](int, int, std::string_view) { ++visited; }));
    EXPECT_EQ(visited, 0);
}

}  // namespace
