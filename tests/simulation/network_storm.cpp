// The programs of the storm, from the bytes upwards: messages, sessions, clients and servers, the
// weather.

#include "simulation/network_storm.h"

#include <asyncio.h>
#include <asyncio/testing/assertion_error.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <span>
#include <utility>
#include <vector>

namespace network_storm {
namespace {

using namespace asyncio;
using namespace std::chrono_literals;
using asyncio::testing::AssertionError;
using asyncio::testing::Host;
using asyncio::testing::Network;
using support::Random;

constexpr int storm_port = 7000;
constexpr Duration storm_time = 4s;
/// Of everything in the storm that may wait for a peer that is gone.
constexpr Duration storm_patience = 800ms;
/// More than any run takes, the waits of TCP after a partition included.
constexpr Duration longest_run = 2h;

// --- Messages -----------------------------------------------------------------------------------

/// What stands before a request, an answer or a datagram.
struct Header {
    std::uint32_t client = 0;
    std::uint32_t session = 0;
    std::uint32_t number = 0;
    std::uint32_t is_answer = 0;
    std::uint32_t size = 0;
    /// Of the answer that a request asks for.
    std::uint32_t answer_size = 0;

    bool operator==(const Header&) const = default;
};

using Sum = std::uint64_t;

/// FNV-1a.
Sum sum_of(std::string_view bytes) {
    Sum sum = 0xcbf29ce484222325u;
    for (const char byte : bytes) sum = (sum ^ static_cast<unsigned char>(byte)) * 0x100000001b3u;
    return sum;
}

/// The value of each byte depends on its message and on its place.
std::string body_of(const Header& header) {
    const std::uint32_t key = header.client * 7919 + header.session * 104'729 +
                              header.number * 1'299'709 + header.is_answer * 86'028'121;
    std::string body(header.size, '\0');
    for (std::size_t place = 0; place < body.size(); ++place)
        body[place] = static_cast<char>(key + place * 31 + place / 251);
    return body;
}

template <class Plain>
std::string bytes_of(const Plain& value) {
    std::string bytes(sizeof value, '\0');
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
}

template <class Plain>
Plain from_bytes(std::string_view bytes) {
    Plain value{};
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
}

std::string message_of(const Header& header) {
    const std::string body = body_of(header);
    return bytes_of(header) + body + bytes_of(sum_of(body));
}

std::string shown(const Header& header) {
    return std::string(header.is_answer != 0 ? "answer " : "request ") +
           std::to_string(header.number) + " of session " + std::to_string(header.session) +
           " of client " + std::to_string(header.client) + " with " + std::to_string(header.size) +
           " bytes";
}

/// Empty if the bytes behind a header are right.
std::string wrong_in(const Header& header, std::string_view body_and_sum) {
    std::string wanted = body_of(header);
    wanted += bytes_of(sum_of(wanted));
    if (body_and_sum == wanted) return {};
    const std::size_t both = std::min(wanted.size(), body_and_sum.size());
    const auto differing = std::mismatch(
        wanted.begin(), wanted.begin() + static_cast<std::ptrdiff_t>(both), body_and_sum.begin());
    return "a wrong byte: " + shown(header) + " differs at byte " +
           std::to_string(differing.first - wanted.begin()) + " of " +
           std::to_string(wanted.size());
}

std::uint32_t random_size(Random& random) {
    const bool is_large = random.one_in(16);
    return static_cast<std::uint32_t>(random.below(is_large ? 250'000 : 3000));
}

// --- Reading and writing ------------------------------------------------------------------------

/// Aborts a stream that is left before its work is done.
class AbortUnlessDone {
public:
    explicit AbortUnlessDone(const Stream& stream) : stream_(stream) {}
    AbortUnlessDone(const AbortUnlessDone&) = delete;
    AbortUnlessDone& operator=(const AbortUnlessDone&) = delete;
    ~AbortUnlessDone() {
        if (!done) stream_.abort();
    }

    bool done = false;

private:
    const Stream& stream_;
};

/// One end of a connection, with what its functions need.
struct Conversation {
    NetworkStorm& storm;
    const Stream& stream;
    Random random;
    bool done = false;
};

/// A tick at which a read is cut short. Most reads that must wait do so for less than this.
Duration soon(Random& random) { return std::chrono::microseconds(random.below(300)); }

/// Reads `bytes` bytes. A read that is cut short is repeated, and must go on in the right place.
Coro<std::string> read_in_spite(Conversation& talk, std::size_t bytes) {
    const auto read = [&]() -> Coro<std::string> {
        co_return co_await talk.stream.readexactly(bytes);
    };
    while (talk.random.one_in(3)) {
        std::optional<std::string> got = co_await move_on_after(soon(talk.random), read);
        if (got) co_return std::move(*got);
        ++talk.storm.books.reads_cut;
    }
    co_return co_await talk.stream.readexactly(bytes);
}

Coro<> drained(const Stream& stream) { co_await stream.drain(); }

/// Several tasks may wait in drain, and any of them may be cut short.
Coro<> drain_in_spite(Conversation& talk) {
    const auto drain = [&]() -> Coro<> { co_await talk.stream.drain(); };
    while (talk.random.one_in(3)) {
        const bool cut = co_await move_on_after(soon(talk.random), drain);
        if (!cut) co_return;
        ++talk.storm.books.reads_cut;
    }
    if (talk.random.one_in(3)) {
        co_await gather(drained(talk.stream), drained(talk.stream), drained(talk.stream));
    } else {
        co_await talk.stream.drain();
    }
}

/// A message in pieces of random sizes, with a drain behind some of them.
Coro<> write_message(Conversation& talk, Header header) {
    const std::string message = message_of(header);
    for (std::size_t place = 0; place < message.size();) {
        const std::size_t most = talk.random.one_in(3) ? 100 : 100'000;
        const std::size_t count =
            std::min<std::size_t>(1 + talk.random.below(most), message.size() - place);
        talk.stream.write(std::string_view(message).substr(place, count));
        place += count;
        if (!talk.random.one_in(4)) co_await drain_in_spite(talk);
    }
    co_await drain_in_spite(talk);
}

/// The rest of a message. False if it is wrong.
Coro<bool> read_rest(Conversation& talk, Header header) {
    const std::string rest = co_await read_in_spite(talk, header.size + sizeof(Sum));
    const std::string wrong = wrong_in(header, rest);
    if (!wrong.empty()) talk.storm.fail(wrong);
    talk.storm.books.bytes += header.size;
    co_return wrong.empty();
}

// --- Sessions -----------------------------------------------------------------------------------

/// Runs a part of a conversation. Errors of the network end it, and are noted.
template <class Part>
Coro<> converse(Conversation& talk, std::string where, Part part) {
    AbortUnlessDone guard(talk.stream);
    try {
        co_await part();
        guard.done = talk.done = true;
    } catch (const OsError& error) {
        talk.storm.note_error(where, error);
    } catch (const IncompleteReadError& error) {
        talk.storm.note_error(where, error);
    }
}

Coro<> send_requests(Conversation& talk, std::vector<Header> requests) {
    const auto part = [&]() -> Coro<> {
        for (const Header& request : requests) {
            co_await write_message(talk, request);
            if (talk.random.one_in(3)) co_await sleep(soon(talk.random));
        }
    };
    co_await converse(talk, "sending requests", part);
}

Header answer_to(Header request) {
    request.size = std::exchange(request.answer_size, 0);
    request.is_answer = 1;
    return request;
}

Coro<> receive_answers(Conversation& talk, std::vector<Header> requests) {
    const auto part = [&]() -> Coro<> {
        for (const Header& request : requests) {
            const std::string bytes = co_await read_in_spite(talk, sizeof(Header));
            const Header answer = from_bytes<Header>(bytes);
            if (answer != answer_to(request))
                throw AssertionError("got " + shown(answer) + ", wanted " +
                                     shown(answer_to(request)));
            if (!co_await read_rest(talk, answer)) co_return;
        }
    };
    co_await converse(talk, "receiving answers", part);
}

std::vector<Header> random_requests(Random& random, std::uint32_t client, std::uint32_t session) {
    std::vector<Header> requests(1 + random.below(4));
    for (std::uint32_t number = 0; number < requests.size(); ++number)
        requests[number] = {client, session, number, 0, random_size(random), random_size(random)};
    return requests;
}

/// Connects, sends requests and receives their answers at the same time, and closes. Whether
/// everything has come.
Coro<bool> run_session(NetworkStorm& storm, std::uint32_t client, std::uint32_t session) {
    Random random = storm.another_random();
    storm.note_connect();
    const Stream stream = co_await open_connection("server", storm_port);
    AbortUnlessDone guard(stream);
    const std::vector<Header> requests = random_requests(random, client, session);
    Conversation sending{storm, stream, storm.another_random()};
    Conversation receiving{storm, stream, storm.another_random()};
    const auto both = [&](TaskGroup& group) -> Coro<> {
        group.create_task(send_requests(sending, requests));
        group.create_task(receive_answers(receiving, requests));
        co_return;
    };
    co_await task_group(both);
    if (!sending.done || !receiving.done) co_return false;
    co_await stream.aclose();
    guard.done = true;
    co_return true;
}

/// One request after the other, until the client closes. False at the end.
Coro<bool> answer_request(Conversation& talk, std::uint32_t number) {
    std::string bytes;
    try {
        bytes = co_await read_in_spite(talk, sizeof(Header));
    } catch (const IncompleteReadError& error) {
        if (!error.partial().empty()) throw;
        co_return false;
    }
    const Header request = from_bytes<Header>(bytes);
    if (request.number != number || request.client >= NetworkStorm::clients) {
        talk.storm.fail("got " + shown(request) + ", wanted request " + std::to_string(number));
        co_return false;
    }
    if (!co_await read_rest(talk, request)) co_return false;
    co_await write_message(talk, answer_to(request));
    co_return true;
}

/// What a time limit is while hosts may be dead, and never when it is calm.
std::optional<Delay> limit_in(const NetworkStorm& storm) {
    if (storm.is_calm()) return std::nullopt;
    return storm_patience;
}

Coro<> serve_connection(NetworkStorm& storm, Stream stream) {
    Conversation talk{storm, stream, storm.another_random()};
    const auto part = [&]() -> Coro<> {
        for (std::uint32_t number = 0;; ++number) {
            const auto one = [&]() -> Coro<bool> {
                co_return co_await answer_request(talk, number);
            };
            const std::optional<bool> more = co_await move_on_after(limit_in(storm), one);
            if (!more) stream.abort();
            if (!more || !*more) break;
        }
        co_await stream.aclose();
    };
    co_await converse(talk, "serving", part);
}

// --- Programs -----------------------------------------------------------------------------------

Coro<> stream_server(NetworkStorm& storm) {
    auto handler = [&storm](Stream stream) { return serve_connection(storm, std::move(stream)); };
    const Server server = co_await start_server(handler, "0.0.0.0", storm_port, {.grace = 1s});
    co_await server.serve_forever();
}

Coro<> datagram_server() {
    const Address everywhere = Address::ip("0.0.0.0", storm_port);
    const Datagram endpoint = co_await open_datagram({.local_addr = everywhere});
    for (;;) {
        const ReceivedFrom got = co_await endpoint.receive();
        Header header = from_bytes<Header>(got.data);
        header.is_answer = 1;
        co_await endpoint.send(bytes_of(header) + got.data.substr(sizeof header), got.address);
    }
}

/// Sessions without end in the storm, and as many as are wanted when it is calm.
Coro<> stream_client(NetworkStorm& storm, std::uint32_t number) {
    Random random = storm.another_random();
    NetworkStorm::Client& client = storm.state[number];
    while (client.calm_sessions < NetworkStorm::wanted) {
        const bool is_calm = storm.is_calm();
        const std::uint32_t session = client.sessions++;
        const auto one = [&]() -> Coro<bool> {
            co_return co_await run_session(storm, number, session);
        };
        try {
            const std::optional<bool> done = co_await move_on_after(limit_in(storm), one);
            ++(!done ? storm.books.expired : *done ? storm.books.sessions : storm.books.broken);
            if (is_calm && done && *done) ++client.calm_sessions;
        } catch (const OsError& error) {
            if (is_calm) storm.fail(std::string("a client: ") + error.what());
            ++storm.books.broken;
        }
        co_await sleep(std::chrono::milliseconds(random.below(400)));
    }
}

/// The answers of this endpoint come in any order, and several times.
Coro<bool> receive_datagram(NetworkStorm& storm, const Datagram& endpoint, Header wanted) {
    for (;;) {
        const ReceivedFrom got = co_await endpoint.receive();
        const Header header = from_bytes<Header>(got.data);
        Header as_request = header;
        as_request.is_answer = 0;
        const std::string wrong =
            wrong_in(as_request, std::string_view(got.data).substr(sizeof header));
        if (!wrong.empty() || header.is_answer != 1) storm.fail("a datagram: " + wrong);
        if (header.number > wanted.number || header.client != wanted.client)
            storm.fail("a datagram came that was never sent: " + shown(header));
        ++storm.books.datagrams;
        if (header.number == wanted.number) co_return true;
    }
}

/// A datagram that is lost is not sent again: the next one follows. Only when it is calm none may
/// be lost.
Coro<> datagram_client(NetworkStorm& storm, std::uint32_t number) {
    Random random = storm.another_random();
    NetworkStorm::Client& client = storm.state[number];
    const Datagram endpoint = co_await open_datagram("server", storm_port);
    while (client.calm_datagrams < NetworkStorm::wanted) {
        const bool is_calm = storm.is_calm();
        const Header header{
            number, 0, client.datagrams++, 0, static_cast<std::uint32_t>(random.below(2000)), 0};
        const auto receive = [&]() -> Coro<bool> {
            co_return co_await receive_datagram(storm, endpoint, header);
        };
        try {
            co_await endpoint.send(message_of(header));
            const auto got = co_await move_on_after(is_calm ? 5s : 300ms, receive);
            if (is_calm && !got) storm.fail("a datagram got lost in a network without faults");
            if (is_calm && got) ++client.calm_datagrams;
        } catch (const OsError&) {
            // ECONNREFUSED is the answer to a datagram that was sent before the server was there.
        }
        co_await sleep(std::chrono::milliseconds(random.below(200)));
    }
}

/// Whether the program has ended by itself. An error of the network is no error of its task, which
/// would end the test.
Coro<bool> run_program(NetworkStorm& storm, Coro<> program) {
    try {
        co_await std::move(program);
        co_return true;
    } catch (const OsError& error) {
        storm.note_error("a program", error);
    }
    co_return false;
}

/// Starts a program again and again, until it ends by itself. This task is on no host, so it lives
/// on when the host dies.
Coro<> keep_running(NetworkStorm& storm, Host host, std::function<Coro<>()> program) {
    while (!storm.is_over()) {
        if (host.is_alive()) {
            ++storm.books.starts;
            Task<bool> running = host.start(run_program(storm, program()));
            const Outcome<bool> end = co_await asyncio::internal::settle(std::move(running));
            if (!end.failed() && end.value()) co_return;
        }
        co_await sleep(20ms);
    }
}

// --- Tasks of hosts -----------------------------------------------------------------------------

std::vector<TaskRef> tasks_on(std::function<bool(int)> is_meant) {
    std::vector<TaskRef> tasks = all_tasks();
    std::erase_if(tasks, [&](const TaskRef& task) {
        const Context context = task.get_context();
        return !is_meant(
            context.run([] { return asyncio::testing::internal::current_host().get(); }));
    });
    return tasks;
}

bool is_host(int number) { return number != lowlevel::SimulatedNetwork::localhost; }

}  // namespace

// --- The storm ----------------------------------------------------------------------------------

NetworkStorm::Books& NetworkStorm::Books::operator+=(const Books& other) {
    for (const auto member : {&Books::sessions, &Books::broken, &Books::expired, &Books::cancels,
                              &Books::reads_cut, &Books::starts, &Books::datagrams, &Books::bytes})
        this->*member += other.*member;
    return *this;
}

void NetworkStorm::fail(std::string what) {
    if (!failure_) failure_ = std::move(what);
}

void NetworkStorm::note_error(const std::string& where, const std::exception& error) {
    if (is_calm_) fail("an error in a network without faults, " + where + ": " + error.what());
}

/// Waits for the next connect, and some ticks more: the server is about to accept it.
Coro<> NetworkStorm::next_connect(Random& random) {
    connecting_.clear();
    co_await connecting_.wait();
    co_await sleep(soon(random));
}

/// The tasks of the hosts, whichever they are. Tasks on no host are those of the test. How often is
/// drawn for the whole run: where everything is cancelled soon, nothing ever waits for long. Some
/// cancellations are aimed at the server in the moment in which a connection comes, which is short.
Coro<> NetworkStorm::cancel_at_random(Random random) {
    const std::uint64_t longest_pause = 10'000u << random.below(9);
    const auto is_server = [](int number) { return number == 1; };
    for (;;) {
        const auto wait = [&]() -> Coro<> { co_await next_connect(random); };
        const auto pause =
            std::chrono::microseconds(random.one_in(4) ? 0 : random.below(longest_pause));
        const bool is_aimed = random.one_in(2) && !co_await move_on_after(1s, wait);
        if (!is_aimed) co_await sleep(pause);
        const std::vector<TaskRef> tasks = is_aimed ? tasks_on(is_server) : tasks_on(is_host);
        if (tasks.empty()) continue;
        tasks[random.below(tasks.size())].cancel();
        ++books.cancels;
    }
}

/// The storm, and then a while in which the network is whole and all the programs of the storm end:
/// a server whose accepting task was cancelled is deaf, and starts again.
Coro<> NetworkStorm::weather() {
    network_.fail_at_random({.duration = storm_time,
                             .pause = 300ms,
                             .longest = 1500ms,
                             .worst_link = {.latency = 30ms,
                                            .jitter = 10ms,
                                            .bytes_per_second = 3'000'000,
                                            .largest_piece_bytes = 1000,
                                            .loss = 0.05,
                                            .duplication = 0.2,
                                            .reordering = 0.2},
                             .deaths = true,
                             .full_disks = true,
                             .worst_skew = 10s,
                             .worst_drift = 0.01});
    Task<> cancelling = create_task(cancel_at_random(another_random()));
    co_await sleep(storm_time);
    cancelling.cancel();
    for (const TaskRef& task : tasks_on(is_host)) task.cancel();
    co_await sleep(2 * storm_patience);
    is_calm_ = true;
}

bool NetworkStorm::is_done() const {
    return std::all_of(state.begin(), state.end(), [](const Client& client) {
        return client.calm_sessions == wanted && client.calm_datagrams == wanted;
    });
}

/// Bounded by the clock.
Coro<> NetworkStorm::until_all_is_done() const {
    const TimePoint end = get_running_loop().time() + longest_run;
    while (!is_done() && !failure_) {
        if (get_running_loop().time() > end) {
            throw AssertionError("a client hangs:\n" + format_tasks());
        }
        co_await sleep(1s);
    }
}

void NetworkStorm::check_end() {
    if (failure_) throw AssertionError(*failure_);
    if (const std::size_t left = network_.open_descriptors(); left > 0)
        throw AssertionError(std::to_string(left) + " descriptors are left");
}

Coro<> NetworkStorm::run() {
    const Host server = network_.host("server");
    std::vector<Host> hosts;
    for (std::size_t i = 0; i < clients; ++i)
        hosts.push_back(network_.host("client-" + std::to_string(i)));
    std::vector<Task<>> programs;
    const auto keep = [&](const Host& host, std::function<Coro<>()> program) {
        programs.push_back(create_task(keep_running(*this, host, std::move(program))));
    };
    keep(server, [this] { return stream_server(*this); });
    keep(server, [] { return datagram_server(); });
    for (std::uint32_t i = 0; i < clients; ++i) {
        keep(hosts[i], [this, i] { return stream_client(*this, i); });
        keep(hosts[i], [this, i] { return datagram_client(*this, i); });
    }
    co_await weather();
    co_await until_all_is_done();
    is_over_ = true;
    for (Task<>& program : programs) program.cancel();
    co_await sleep(1min);
    check_end();
}

}  // namespace network_storm
