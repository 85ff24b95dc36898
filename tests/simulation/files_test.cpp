// Goal: what the simulated file system adds to the contract: a disk that can be full, the seed's
// liberties, and equal runs for equal seeds. That its results are Linux's is shown by the
// conformance suite, which compares it with the kernel.

#include "simulation/world.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>

namespace simulation {
namespace {

using asyncio::lowlevel::OperationRequest;

struct Asked : Operation {
    explicit Asked(const OperationRequest& request) {
        static_cast<OperationRequest&>(*this) = request;
    }
};

OperationRequest opening(const char* path, int flags) {
    return {.kind = OperationKind::open,
            .fd = AT_FDCWD,
            .flags = flags,
            .buffer = const_cast<char*>(path),
            .size = 0600};
}

int run(World& world, const OperationRequest& request) {
    Asked asked(request);
    return world.run(asked);
}

int pwrite(World& world, int fd, const std::string& bytes, std::int64_t offset) {
    return run(world, {.kind = OperationKind::pwrite,
                       .fd = fd,
                       .buffer = const_cast<char*>(bytes.data()),
                       .size = bytes.size(),
                       .offset = offset});
}

int unlink(World& world, const char* path) {
    return run(world,
               {.kind = OperationKind::unlink, .fd = AT_FDCWD, .buffer = const_cast<char*>(path)});
}

TEST(simulated_files, a_full_disk_takes_what_fits_and_then_refuses) {
    World world(0, 1000);
    const int fd = run(world, opening("/tmp/a", O_RDWR | O_CREAT));
    EXPECT_EQ(pwrite(world, fd, std::string(900, 'x'), 0), 900);
    EXPECT_EQ(pwrite(world, fd, std::string(200, 'y'), 900), 100);
    EXPECT_EQ(pwrite(world, fd, "z", 1000), -ENOSPC);
    EXPECT_EQ(pwrite(world, fd, "z", 5000), -ENOSPC);
    EXPECT_EQ(pwrite(world, fd, "z", 0), 1) << "needs no room";
    EXPECT_EQ(run(world, {.kind = OperationKind::ftruncate, .fd = fd, .offset = 1001}), -ENOSPC);
    EXPECT_EQ(run(world, {.kind = OperationKind::ftruncate, .fd = fd, .offset = 500}), 0);
    const int other = run(world, opening("/tmp/b", O_RDWR | O_CREAT));
    EXPECT_EQ(pwrite(world, other, std::string(1000, 'x'), 0), 500);
}

TEST(simulated_files, a_file_takes_its_room_until_its_last_descriptor_is_closed) {
    World world(0, 1000);
    const int fd = run(world, opening("/tmp/a", O_RDWR | O_CREAT));
    const int other = run(world, opening("/tmp/b", O_RDWR | O_CREAT));
    ASSERT_EQ(pwrite(world, fd, std::string(1000, 'x'), 0), 1000);
    EXPECT_EQ(unlink(world, "/tmp/a"), 0);
    EXPECT_EQ(pwrite(world, other, "x", 0), -ENOSPC);
    EXPECT_EQ(world.close(fd), 0);
    EXPECT_EQ(pwrite(world, other, "x", 0), 1);
    EXPECT_EQ(run(world, opening("/tmp/b", O_RDWR | O_TRUNC)) > 0, true);
    EXPECT_EQ(pwrite(world, other, std::string(1000, 'x'), 0), 1000);
}

TEST(simulated_files, a_seed_shortens_reads_and_writes_and_no_byte_is_lost) {
    bool shortened = false;
    for (std::uint64_t seed = 1; seed < 20; ++seed) {
        World world(seed);
        const int fd = run(world, opening("/tmp/a", O_RDWR | O_CREAT));
        const std::string text(1000, 's');
        std::size_t written = 0;
        while (written < text.size()) {
            const int count = world.write(fd, text.substr(written));
            ASSERT_GT(count, 0);
            written += static_cast<std::size_t>(count);
            shortened |= written < text.size();
        }
        const int reader = run(world, opening("/tmp/a", O_RDONLY));
        std::string got;
        for (std::string part = world.read(reader, 700); !part.empty();
             part = world.read(reader, 700))
            got += part;
        EXPECT_TRUE(got == text);
    }
    EXPECT_TRUE(shortened);
}

/// A run of a small program, as a text: what was reported, in which order and at which time.
std::string trace_of(std::uint64_t seed) {
    World world(seed);
    std::vector<std::string> names;
    for (int i = 0; i < 20; ++i) names.push_back("/tmp/f" + std::to_string(i));
    std::vector<std::unique_ptr<Asked>> steps;
    for (const std::string& name : names) {
        steps.push_back(std::make_unique<Asked>(opening(name.c_str(), O_RDWR | O_CREAT)));
        world.submit(*steps.back());
    }
    std::string trace;
    const auto all_finished = [&] {
        for (const auto& step : steps)
            if (!finished(*step)) return false;
        return true;
    };
    while (!all_finished()) {
        for (Operation* operation : world.wait(never))
            trace += std::string(static_cast<char*>(operation->buffer)) + " ";
        trace += std::to_string(world->now().time_since_epoch().count()) + " ";
    }
    return trace;
}

TEST(simulated_files, the_same_seed_gives_the_same_run) {
    bool differs = false;
    for (std::uint64_t seed = 1; seed < 10; ++seed) {
        EXPECT_EQ(trace_of(seed), trace_of(seed));
        differs |= trace_of(seed) != trace_of(seed + 1);
    }
    EXPECT_TRUE(differs);
}

TEST(simulated_files, two_worlds_share_nothing) {
    World one;
    World other;
    EXPECT_GT(run(one, opening("/tmp/a", O_RDWR | O_CREAT)), 0);
    EXPECT_EQ(run(other, opening("/tmp/a", O_RDWR)), -ENOENT);
}

TEST(simulated_files, a_deep_tree_goes_without_a_deep_stack) {
    World world;
    int folder = run(world, opening("/tmp", O_RDONLY | O_DIRECTORY));
    char name[] = "d";
    for (int depth = 0; depth < 20'000; ++depth) {
        ASSERT_EQ(
            run(world, {.kind = OperationKind::mkdir, .fd = folder, .buffer = name, .size = 0700}),
            0);
        const int next = run(world, {.kind = OperationKind::open,
                                     .fd = folder,
                                     .flags = O_RDONLY | O_DIRECTORY,
                                     .buffer = name});
        ASSERT_GT(next, 0);
        ASSERT_EQ(world.close(folder), 0);
        folder = next;
    }
}

TEST(simulated_files, times_are_those_of_the_virtual_clock) {
    World world;
    const int fd = run(world, opening("/tmp/a", O_RDWR | O_CREAT));
    const auto modified = [&] {
        struct statx about{};
        char path[] = "/tmp/a";
        EXPECT_EQ(run(world, {.kind = OperationKind::statx,
                              .fd = AT_FDCWD,
                              .buffer = path,
                              .size = STATX_BASIC_STATS,
                              .second = &about}),
                  0);
        return about.stx_mtime.tv_sec;
    };
    const std::int64_t before = modified();
    world.wait(world->now() + std::chrono::hours(1));
    EXPECT_EQ(modified(), before);
    ASSERT_EQ(pwrite(world, fd, "x", 0), 1);
    EXPECT_EQ(modified(), before + 3600);
}

TEST(simulated_files, a_cancel_that_wins_leaves_no_trace) {
    int won = 0;
    for (std::uint64_t seed = 1; seed < 60; ++seed) {
        World world(seed);
        Asked making({.kind = OperationKind::mkdir,
                      .fd = AT_FDCWD,
                      .buffer = const_cast<char*>("/tmp/folder"),
                      .size = 0700});
        if (world.submit(making)) continue;
        world->cancel(making);
        const int result = world.finish(making);
        if (result == -ECANCELED) ++won;
        const int folder = run(world, opening("/tmp/folder", O_RDONLY));
        EXPECT_EQ(folder > 0, result == 0);
    }
    EXPECT_GT(won, 0);
}

}  // namespace
}  // namespace simulation
