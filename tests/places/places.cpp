#include "places/places.h"

#include <csignal>
#include <cstdlib>
#include <optional>
#include <string_view>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace places {
namespace {

using asyncio::Coro;
using asyncio::EventLoop;
using namespace std::chrono_literals;

/// Much longer than any use takes.
constexpr unsigned patience_seconds = 60;

Coro<> tell(Use& use, std::string& end) {
    try {
        co_await use();
        end = "works";
    } catch (const asyncio::RuntimeError& error) {
        end = std::string("refused: ") + error.what();
    } catch (...) {
        end = "threw: " + asyncio::describe(std::current_exception());
    }
}

/// The use has no task: `tell` runs inside a coroutine that is none of the library's.
void tell_detached(Use& use, std::string& end) {
    const auto telling = [&] { return tell(use, end); };
    std::string how;
    support::await_detached(telling, how);
    if (how != "value") end = "it waits, and nobody knows of it";
}

std::string use_here(const Row& row, Place place) {
    std::string end;
    std::optional<EventLoop> first(std::in_place);
    Use use = first->run_until_complete(row.prepare());
    switch (place) {
        case Place::no_loop: tell_detached(use, end); break;
        case Place::callback:
            first->call_soon([&] { tell_detached(use, end); });
            first->run_until_complete(asyncio::sleep(5ms));
            break;
        case Place::closed: first->close(); break;
        case Place::gone: first.reset(); break;
        case Place::other_loop: break;
    }
    if (place == Place::other_loop || place == Place::closed || place == Place::gone) {
        EventLoop second;
        second.run_until_complete(tell(use, end));
        // What was started there has time to end.
        second.run_until_complete(asyncio::sleep(5ms));
    }
    use = nullptr;
    first.reset();
    return end;
}

std::string read_all(int fd) {
    std::string text;
    char piece[256];
    for (ssize_t got = 0; (got = ::read(fd, piece, sizeof piece)) > 0;)
        text.append(piece, static_cast<std::size_t>(got));
    ::close(fd);
    return text;
}

std::string how_ended(int status, const std::string& said) {
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) return "it never comes back: " + said;
    if (WIFSIGNALED(status)) return "killed by signal " + std::to_string(WTERMSIG(status));
    if (WEXITSTATUS(status) != 0) return "exit status " + std::to_string(WEXITSTATUS(status));
    return said;
}

}  // namespace

std::string use_in(const Row& row, Place place) {
    int ends[2];
    if (::pipe(ends) != 0) return "no pipe";
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(patience_seconds);
        ::close(ends[0]);
        asyncio::set_log_sink([](asyncio::LogLevel, std::string_view) noexcept {});
        std::string end;
        try {
            end = use_here(row, place);
        } catch (...) {
            end = "outside the use: " + asyncio::describe(std::current_exception());
        }
        const ssize_t written = ::write(ends[1], end.data(), end.size());
        std::_Exit(written < 0 ? 1 : 0);
    }
    ::close(ends[1]);
    const std::string said = read_all(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    return how_ended(status, said);
}

bool is_as_expected(const std::string& end, const Row& row, End expected) {
    const std::string text = *expected.text != '\0' ? expected.text : row.entry;
    switch (expected.kind) {
        case End::Kind::works: return end == "works";
        case End::Kind::refused:
            return end.starts_with("refused: ") && end.find(text) != std::string::npos;
        case End::Kind::throws:
            return end.starts_with("threw: ") && end.find(text) != std::string::npos;
        case End::Kind::not_asked: return true;
    }
    return false;
}

void expect_in_table(const std::vector<Row>& table) {
    for (const Row& row : table) {
        for (std::size_t place = 0; place < every_place.size(); ++place) {
            if (row.ends[place].kind == End::Kind::not_asked) continue;
            const std::string end = use_in(row, every_place[place]);
            EXPECT_TRUE(is_as_expected(end, row, row.ends[place]))
                << row.entry << ", " << name_of(every_place[place]) << ": " << end;
        }
    }
}

}  // namespace places
