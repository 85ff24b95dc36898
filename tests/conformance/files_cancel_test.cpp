// Goal: an operation of a file is reported once, with what it did, whatever it meets on its way:
// cancellations, a close of its descriptor, the end of the back-end, another thread.
//
// Method: an operation that makes or removes a name leaves a trace, so its result can be compared
// with what is there afterwards: −ECANCELED must mean that nothing has happened. Memory that an
// operation has given back is poisoned, and looked at again at the end.

#include "conformance/harness.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <list>
#include <random>
#include <thread>

#include <fcntl.h>
#include <unistd.h>

namespace asyncio::lowlevel::conformance {
namespace {

std::uint64_t seed_of_files() {
    static const std::uint64_t seed = [] {
        const char* given = std::getenv("ASYNCIO_TEST_SEED");
        const std::uint64_t chosen =
            given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
        std::cout << "ASYNCIO_TEST_SEED=" << chosen << '\n';
        return chosen;
    }();
    return seed;
}

Asked asked_to_make(const char* path) {
    return Asked({.kind = OperationKind::mkdir,
                  .fd = AT_FDCWD,
                  .buffer = const_cast<char*>(path),
                  .size = 0700});
}

TEST_P(Files, CPP_03_a_cancelled_operation_says_whether_it_has_happened) {
    std::mt19937_64 random(seed_of_files());
    for (int round = 0; round < 200; ++round) {
        SCOPED_TRACE("ASYNCIO_TEST_SEED=" + std::to_string(seed_of_files()));
        const char* folder = path("folder");
        Asked making = asked_to_make(folder);
        driver().submit(making);
        if (random() % 2 == 0) driver().wait(internal::at_once);
        if (random() % 4 == 0) driver().wait_out(backend().now() + 20us);
        if (driver().is_in_flight(making)) driver().cancel(making);
        if (driver().is_in_flight(making)) driver().finish(making);
        ASSERT_TRUE(making.result == 0 || making.result == -ECANCELED) << making.result;
        EXPECT_EQ(exists(folder), making.result == 0);

        Asked opening({.kind = OperationKind::open,
                       .fd = AT_FDCWD,
                       .flags = O_RDWR | O_CREAT | O_EXCL,
                       .buffer = const_cast<char*>(path("file")),
                       .size = 0600});
        driver().submit(opening);
        if (random() % 2 == 0) driver().wait(internal::at_once);
        if (driver().is_in_flight(opening)) driver().cancel(opening);
        if (driver().is_in_flight(opening)) driver().finish(opening);
        EXPECT_EQ(exists(path("file")), opening.result >= 0);
        if (opening.result >= 0) {
            EXPECT_EQ(close(opening.result), 0);
            EXPECT_EQ(unlink(path("file")), 0);
        } else {
            EXPECT_EQ(opening.result, -ECANCELED);
        }

        if (making.result == 0) {
            EXPECT_EQ(unlink(folder, AT_REMOVEDIR), 0);
        }
    }
}

/// A file, what it must hold, and the operations that are in flight on it. Each writes or reads a
/// place of its own, so that the order does not matter.
class FilesFuzz : public Files {
protected:
    static constexpr std::size_t place_bytes = 700;
    static constexpr std::size_t places = 64;
    static constexpr char poison = '#';

    struct Step : Operation {
        std::string data;
        std::size_t place = 0;
    };

    std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

    void play(int steps) {
        fd_ = opened(path("file"), O_RDWR | O_CREAT);
        ASSERT_EQ(run({.kind = OperationKind::ftruncate,
                       .fd = fd_,
                       .offset = static_cast<std::int64_t>(place_bytes * places)}),
                  0);
        held_.assign(places, std::string(place_bytes, '\0'));
        for (int i = 0; i < steps && !HasFatalFailure(); ++i) move();
        driver().finish_all();
        sweep();
        const std::string all = content(path("file"));
        ASSERT_EQ(all.size(), place_bytes * places);
        for (std::size_t place = 0; place < places; ++place)
            EXPECT_TRUE(all.substr(place * place_bytes, place_bytes) == held_[place]) << place;
        for (const std::string& data : given_back_)
            ASSERT_EQ(data.find_first_not_of(poison), std::string::npos) << "touched afterwards";
    }

    void move() {
        const std::uint64_t choice = below(100);
        if (choice < 40) return begin(OperationKind::pwrite);
        if (choice < 60) return begin(OperationKind::pread);
        if (choice < 65) return begin(OperationKind::fsync);
        if (choice < 80) return cancel_some();
        if (choice < 90) return look(internal::at_once);
        look(backend().now() + std::chrono::microseconds(below(50)));
    }

    bool is_busy(std::size_t place) {
        return std::any_of(steps_.begin(), steps_.end(),
                           [&](const Step& step) { return step.place == place; });
    }

    void begin(OperationKind kind) {
        const std::size_t place = below(places);
        if (is_busy(place)) return;
        Step& step = steps_.emplace_back();
        step.kind = kind;
        step.fd = fd_;
        step.place = place;
        step.data.resize(1 + below(place_bytes));
        for (char& byte : step.data) byte = static_cast<char>(random_());
        step.buffer = step.data.data();
        step.size = step.data.size();
        step.offset = static_cast<std::int64_t>(place * place_bytes);
        if (kind == OperationKind::pread && below(3) == 0)
            static_cast<void>(::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED));
        driver().submit(step);
        sweep();
    }

    void cancel_some() {
        for (Step& step : steps_) {
            if (below(4) == 0 && driver().is_in_flight(step)) driver().cancel(step);
        }
    }

    void look(TimePoint deadline) {
        driver().wait(deadline);
        sweep();
    }

    void sweep() {
        for (auto step = steps_.begin(); step != steps_.end();) {
            if (step->state == State::in_flight) {
                ++step;
                continue;
            }
            book(*step);
            step->data.assign(step->data.size(), poison);
            given_back_.push_back(std::move(step->data));
            step = steps_.erase(step);
        }
    }

    void book(const Step& step) {
        if (step.result == -ECANCELED) return;
        ASSERT_GE(step.result, 0);
        if (step.kind == OperationKind::fsync) return;
        const auto count = static_cast<std::size_t>(step.result);
        ASSERT_GT(count, 0u);
        ASSERT_LE(count, step.data.size());
        if (step.kind == OperationKind::pread) {
            EXPECT_TRUE(step.data.substr(0, count) == held_[step.place].substr(0, count));
        } else {
            held_[step.place].replace(0, count, step.data, 0, count);
        }
    }

    std::mt19937_64 random_;
    int fd_ = -1;
    std::vector<std::string> held_;
    std::list<Step> steps_;
    std::vector<std::string> given_back_;
};

INSTANTIATE_TEST_SUITE_P(, FilesFuzz,
                         testing::Values(Tested::io_uring, Tested::io_uring_plain, Tested::epoll,
                                         Tested::simulated, Tested::simulated_seeded),
                         [](const auto& info) { return name_of(info.param); });

TEST_P(FilesFuzz, CPP_03_a_file_holds_what_the_reports_say) {
    SCOPED_TRACE("ASYNCIO_TEST_SEED=" + std::to_string(seed_of_files()));
    random_.seed(seed_of_files());
    play(5000);
}

TEST_P(Files, many_operations_at_once_are_all_carried_out) {
    std::list<Asked> making;
    for (int i = 0; i < 100; ++i)
        driver().submit(making.emplace_back(
            OperationRequest{.kind = OperationKind::mkdir,
                             .fd = AT_FDCWD,
                             .buffer = const_cast<char*>(path("f" + std::to_string(i))),
                             .size = 0700}));
    driver().finish_all();
    for (const Asked& made : making) EXPECT_EQ(made.result, 0);
    EXPECT_EQ(names_in(path("")).size(), 100u);
}

TEST_P(Files, queued_operations_can_be_cancelled_and_the_others_are_carried_out) {
    std::list<Asked> making;
    for (int i = 0; i < 200; ++i)
        driver().submit(making.emplace_back(
            OperationRequest{.kind = OperationKind::mkdir,
                             .fd = AT_FDCWD,
                             .buffer = const_cast<char*>(path("f" + std::to_string(i))),
                             .size = 0700}));
    int index = 0;
    for (Asked& made : making) {
        const bool is_odd = index++ % 2 != 0;
        if (is_odd && driver().is_in_flight(made)) driver().cancel(made);
    }
    driver().finish_all();
    std::size_t count = 0;
    index = 0;
    for (const Asked& made : making) {
        if (index++ % 2 == 0) {
            EXPECT_EQ(made.result, 0);
        }
        if (made.result == 0) ++count;
    }
    EXPECT_EQ(names_in(path("")).size(), count);
}

TEST_P(Files, a_close_under_operations_spares_the_next_file_of_the_number) {
    const std::string block(100'000, 'x');
    for (int round = 0; round < 20; ++round) {
        const char* first = path("first");
        const int fd = opened(first, O_RDWR | O_CREAT | O_TRUNC);
        std::list<Asked> writing;
        for (int i = 0; i < 30; ++i)
            driver().submit(
                writing.emplace_back(OperationRequest{.kind = OperationKind::pwrite,
                                                      .fd = fd,
                                                      .buffer = const_cast<char*>(block.data()),
                                                      .size = block.size(),
                                                      .offset = i * 100'000}));
        if (round % 3 == 0) driver().wait(internal::at_once);
        EXPECT_EQ(close(fd), 0);
        make_file(path("next"), "");
        const int next = opened(path("next"), O_RDWR);
        driver().finish_all();
        for (const Asked& written : writing)
            EXPECT_TRUE(written.result > 0 || written.result == -ECANCELED) << written.result;
        EXPECT_EQ(content(path("next")), "");
        EXPECT_EQ(close(next), 0);
        EXPECT_EQ(unlink(first), 0);
    }
}

TEST_P(Files, a_close_frees_the_number_though_operations_were_in_flight) {
    const int fd = opened(path("a"), O_RDWR | O_CREAT);
    std::list<Asked> syncing;
    for (int i = 0; i < 20; ++i)
        driver().submit(
            syncing.emplace_back(OperationRequest{.kind = OperationKind::fsync, .fd = fd}));
    EXPECT_EQ(close(fd), 0);
    EXPECT_EQ(close(fd), -EBADF);
    driver().finish_all();
    for (const Asked& synced : syncing)
        EXPECT_TRUE(synced.result == 0 || synced.result == -ECANCELED);
}

TEST_P(Files, a_cancelled_close_closes) {
    const int fd = opened(path("a"), O_RDWR | O_CREAT);
    Asked syncing({.kind = OperationKind::fsync, .fd = fd});
    driver().submit(syncing);
    Close closing(fd);
    std::erase(open_, fd);
    if (driver().submit(closing)) {
        driver().cancel(closing);
        driver().finish(closing);
    }
    EXPECT_EQ(closing.result, 0);
    driver().finish_all();
    EXPECT_EQ(close(fd), -EBADF);
}

TEST_P(Files, the_end_of_the_back_end_leaves_the_buffers_alone) {
    const std::string block(100'000, 'x');
    make_file(path("a"), block);
    for (int round = 0; round < 10; ++round) {
        auto another = make(GetParam());
        Asked opening({.kind = OperationKind::open,
                       .fd = AT_FDCWD,
                       .flags = O_RDWR | O_CREAT,
                       .buffer = const_cast<char*>(path("b")),
                       .size = 0600});
        std::list<Asked> making;
        another->submit(opening);
        for (int i = 0; i < 50; ++i)
            another->submit(making.emplace_back(
                OperationRequest{.kind = OperationKind::mkdir,
                                 .fd = AT_FDCWD,
                                 .buffer = const_cast<char*>(path("f" + std::to_string(i))),
                                 .size = 0700}));
        OperationList finished;
        if (round % 2 == 0) another->wait(internal::at_once, finished);
        another.reset();
        // Under a sanitizer: no thread touches these any more.
        making.clear();
    }
}

TEST_P(Files, operations_go_on_when_another_thread_takes_over) {
    const int fd = opened(path("a"), O_RDWR | O_CREAT);
    for (int round = 0; round < 20; ++round) {
        std::list<Asked> steps;
        const std::string text = "round " + std::to_string(round + 10);
        std::thread([&] {
            driver().submit(
                steps.emplace_back(OperationRequest{.kind = OperationKind::pwrite,
                                                    .fd = fd,
                                                    .buffer = const_cast<char*>(text.data()),
                                                    .size = text.size(),
                                                    .offset = 0}));
            driver().submit(
                steps.emplace_back(OperationRequest{.kind = OperationKind::fsync, .fd = fd}));
            driver().submit(
                steps.emplace_back(OperationRequest{.kind = OperationKind::mkdir,
                                                    .fd = AT_FDCWD,
                                                    .buffer = const_cast<char*>(path("folder")),
                                                    .size = 0700}));
            if (round % 2 == 0) driver().wait(internal::at_once);
            backend().hand_over();
        }).join();
        driver().finish_all();
        for (const Asked& step : steps) EXPECT_GE(step.result, 0);
        EXPECT_EQ(unlink(path("folder"), AT_REMOVEDIR), 0);
    }
}

}  // namespace
}  // namespace asyncio::lowlevel::conformance
