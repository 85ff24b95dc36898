// What a command has written: kept in order and whole, in memory and beyond.

#include "terminal/blocks.h"

#include <cerrno>
#include <csignal>
#include <string>

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace {

using tool::Blocks;
using tool::OverflowFile;

std::string numbered_lines(int count) {
    std::string text;
    for (int number = 0; number < count; ++number) text += std::to_string(number) + "\n";
    return text;
}

/// Appends `text` in pieces of odd sizes.
void append_in_pieces(Blocks& blocks, const std::string& text) {
    constexpr std::size_t sizes[] = {1, 77, 4096, 65536, 131071};
    std::size_t index = 0;
    for (std::size_t place = 0; place < text.size();) {
        const std::size_t size = sizes[index++ % std::size(sizes)];
        blocks.append(text.substr(place, size));
        place += size;
    }
}

std::string take_all(Blocks& blocks) {
    std::string text;
    while (!blocks.empty()) text += blocks.take_front();
    return text;
}

/// While it lives, no file can be written.
class NoTemporaryFiles {
public:
    NoTemporaryFiles() {
        ::getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit none{0, before_.rlim_max};
        handler_ = ::signal(SIGXFSZ, SIG_IGN);
        ::setrlimit(RLIMIT_FSIZE, &none);
    }
    NoTemporaryFiles(const NoTemporaryFiles&) = delete;
    NoTemporaryFiles& operator=(const NoTemporaryFiles&) = delete;
    ~NoTemporaryFiles() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        ::signal(SIGXFSZ, handler_);
    }

private:
    rlimit before_{};
    void (*handler_)(int) = nullptr;
};

TEST(Blocks, put_small_pieces_together_and_leave_large_ones_alone) {
    Blocks blocks;
    for (int count = 0; count < 1000; ++count) blocks.append("line\n");
    EXPECT_EQ(blocks.size_bytes(), 5000U);
    EXPECT_EQ(blocks.take_front().size(), 5000U);
    EXPECT_TRUE(blocks.empty());
    const std::string large(Blocks::block_bytes, 'x');
    blocks.append(large);
    blocks.append(large);
    EXPECT_EQ(blocks.take_front(), large);
    EXPECT_EQ(blocks.take_front(), large);
    blocks.append("");
    EXPECT_TRUE(blocks.empty());
}

TEST(Blocks, keep_their_order_when_most_of_them_are_in_a_file) {
    const std::string text = numbered_lines(1'000'000);
    ASSERT_GT(text.size(), 4 * Blocks::most_in_memory_bytes);
    Blocks blocks;
    append_in_pieces(blocks, text);
    EXPECT_EQ(blocks.size_bytes(), text.size());
    EXPECT_TRUE(take_all(blocks) == text);
}

TEST(Blocks, stay_in_memory_when_there_is_no_file_to_be_had) {
    const NoTemporaryFiles none;
    const std::string text = numbered_lines(500'000);
    Blocks blocks;
    append_in_pieces(blocks, text);
    EXPECT_TRUE(take_all(blocks) == text);
}

TEST(Blocks, can_be_cleared_and_used_again) {
    Blocks blocks;
    append_in_pieces(blocks, numbered_lines(500'000));
    blocks.clear();
    EXPECT_TRUE(blocks.empty());
    blocks.append("new");
    EXPECT_EQ(take_all(blocks), "new");
}

TEST(OverflowFile, is_as_it_was_when_it_refuses) {
    const NoTemporaryFiles none;
    OverflowFile file;
    EXPECT_FALSE(file.append("bytes"));
    EXPECT_TRUE(file.empty());
    EXPECT_EQ(OverflowFile::refusal(), EFBIG) << "the reason is kept for who wants to tell it";
}

}  // namespace
