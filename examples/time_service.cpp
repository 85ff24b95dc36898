// A service that tells the time by datagrams, and a client that asks it: `time_service`.
//
//   time_service                  both in one program, over a network that loses every third
//   question time_service serve PORT       the service alone; Ctrl-C ends it time_service ask HOST
//   PORT    the client alone
//
// A datagram may get lost, so the client asks again when no answer comes, and each question has a
// number: an answer that comes late belongs to an earlier attempt, and is not mistaken for the one
// that the client waits for. Half of the time between question and answer is how long the answer
// was on its way (as NTP assumes it, RFC 5905).
#include <asyncio.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/core.h>

using namespace asyncio;
using namespace std::chrono_literals;

namespace {

/// A number at the beginning of a text; −1 if there is none.
std::int64_t number_in(std::string_view text) {
    std::int64_t number = -1;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

std::int64_t microseconds(TimePoint time) {
    return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

/// Answers each question with its number and the time of the service. `losing` lets every third
/// question get lost, as a network might.
Coro<> serve(const Datagram& endpoint, bool losing) {
    for (int question = 1;; ++question) {
        ReceivedFrom message = co_await endpoint.receive();
        if (losing && question % 3 == 0) continue;
        const std::int64_t now = microseconds(get_running_loop().time());
        message.data += " " + std::to_string(now);
        endpoint.send_nowait(message.data, message.address);
    }
}

struct Answer {
    std::int64_t time_of_service = 0;
    int attempts = 0;
    Duration round_trip{};
};

/// Waits for the answer to the question with this number. Answers to earlier ones are skipped.
Coro<std::int64_t> answer_to(const Datagram& endpoint, std::int64_t number) {
    for (;;) {
        const ReceivedFrom message = co_await endpoint.receive();
        const std::size_t blank = message.data.find(' ');
        if (blank == message.data.npos || number_in(message.data) != number) continue;
        co_return number_in(std::string_view(message.data).substr(blank + 1));
    }
}

/// Asks up to five times. Throws: TimeoutError; OsError if no service is there.
Coro<Answer> ask(const Datagram& endpoint, std::int64_t& last_number) {
    constexpr int most_attempts = 5;
    for (int attempt = 1; attempt <= most_attempts; ++attempt) {
        const std::int64_t number = ++last_number;
        const TimePoint begin = get_running_loop().time();
        co_await endpoint.send(std::to_string(number));
        std::optional<std::int64_t> time;
        const auto wait = [&]() -> Coro<> { time = co_await answer_to(endpoint, number); };
        co_await move_on_after(200ms, wait);
        if (time) co_return Answer{*time, attempt, get_running_loop().time() - begin};
    }
    throw TimeoutError("the service does not answer");
}

Coro<> ask_and_print(const Datagram& endpoint, int questions) {
    std::int64_t last_number = 0;
    for (int question = 1; question <= questions; ++question) {
        const Answer answer = co_await ask(endpoint, last_number);
        const std::int64_t way = microseconds(TimePoint(answer.round_trip / 2));
        fmt::print("answer {} at attempt {}: {} µs, {} µs old\n", question, answer.attempts,
                   answer.time_of_service, way);
    }
}

Coro<> both() {
    const Datagram service = co_await open_datagram({.local_addr = Address::loopback_v4(0)});
    Task<> serving = create_task(serve(service, true));
    const Datagram client = co_await open_datagram({.remote_addr = service.local()});
    co_await ask_and_print(client, 5);
    serving.cancel();
}

Coro<> serve_alone(std::uint16_t port) {
    const Datagram service = co_await open_datagram({.local_addr = Address::any_v4(port)});
    fmt::print("the time is told at {}\n", service.local().to_string());
    std::fflush(stdout);
    co_await serve(service, false);
}

Coro<> ask_alone(std::string host, int port) {
    const Datagram client = co_await open_datagram(std::move(host), port);
    co_await ask_and_print(client, 1);
}

constexpr const char* usage = "usage: time_service\n"
                              "       time_service serve PORT\n"
                              "       time_service ask HOST PORT\n";

}  // namespace

int main(int argc, char** argv) {
    const std::string_view what = argc > 1 ? argv[1] : "both";
    const bool fits = (what == "both" && argc == 1) || (what == "serve" && argc == 3) ||
                      (what == "ask" && argc == 4);
    const std::int64_t port = argc > 2 ? number_in(argv[argc - 1]) : 0;
    if (!fits || port < 0 || port > 65535) {
        fmt::print(stderr, "{}", usage);
        return 2;
    }
    try {
        if (what == "both") run(both());
        if (what == "serve") run(serve_alone(static_cast<std::uint16_t>(port)));
        if (what == "ask") run(ask_alone(argv[2], static_cast<int>(port)));
    } catch (const KeyboardInterrupt&) {
        return 0;
    } catch (const std::exception& error) {
        fmt::print(stderr, "time_service: {}\n", error.what());
        return 1;
    }
}
