// `load`: the clients of an echo server, up to many thousands of them, in one thread.
//
//   load echo  port=N [connections=N] [bytes=N] [seconds=X] [warm_up=X] [server=PID]
//   load short port=N [connections=N] [bytes=N] [seconds=X] [count=N] [server=PID]
//   load hold  port=N [connections=N] [bytes=N]
//
// `echo`: each connection sends a message, waits until its echo is complete, compares the bytes and
// sends the next. After `warm_up` seconds it is measured for `seconds`. The program prints one line
// of JSON: messages, the rate, the percentiles of the times from a message to its echo, and the
// processor time that the process `server` took for one message. The program reads the clock of
// that process itself, at the first and the last moment of the measurement, so neither the opening
// of the connections nor the start of another process is counted.
//
// `short`: each client connects, exchanges one message, closes and connects again, until `count`
// connections have been served or `seconds` are over. The side that closes first keeps the pair of
// addresses and ports for a while, and there are only 28,000 ports. So the clients come from
// `sources` addresses 127.0.0.2, 127.0.0.3 and so on.
//
// `hold`: opens the connections and obeys commands on its standard input, one per line. After each
// it prints a line of JSON. The commands are `use SECONDS` (each connection sends one message; how
// many echoes came in time?), `close N` (the connections that were opened first) and `end`.
//
// The connections are opened one after another, and each 32nd exchanges a message before the next
// is opened. A server accepts in order, so it never has more than 32 to accept. A server
// with a short queue would lose some otherwise, and the kernel would try again a second later.
//
// The clients use epoll whatever the server uses, so that all servers have the same clients.

#include "histogram.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

constexpr int64_t second = 1'000'000'000;
constexpr size_t connections_per_check = 32;

struct Options {
    std::string mode;
    int port = 0;
    size_t connections = 1;
    size_t bytes = 64;
    double seconds = 1;
    double warm_up = 0.2;
    int server = 0;
    int64_t count = 10'000;
    unsigned sources = 16;
};

[[noreturn]] void fail(const char* operation) {
    std::perror(operation);
    std::exit(EXIT_FAILURE);
}

[[noreturn]] void refuse(const char* reason) {
    std::fprintf(stderr, "load: %s\n", reason);
    std::exit(EXIT_FAILURE);
}

int64_t read_clock(clockid_t clock) {
    timespec now{};
    if (::clock_gettime(clock, &now) != 0) fail("clock_gettime");
    return now.tv_sec * second + now.tv_nsec;
}

int64_t now() { return read_clock(CLOCK_MONOTONIC); }

// The processor time of a process with all its threads, or 0 for the process 0.
int64_t processor_time(int process) {
    if (process == 0) return 0;
    clockid_t clock{};
    errno = ::clock_getcpuclockid(process, &clock);
    if (errno != 0) fail("clock_getcpuclockid");
    return read_clock(clock);
}

struct Client {
    int descriptor = -1;
    uint32_t round = 0;
    size_t sent = 0;
    size_t received = 0;
    int64_t since = 0;
};

class Clients {
public:
    explicit Clients(const Options& options)
        : options_(options),
          clients_(options.connections),
          message_(options.bytes),
          input_(options.bytes) {
        for (size_t i = 0; i < message_.size(); ++i) message_[i] = static_cast<char>(i * 7 + 1);
        poller_ = ::epoll_create1(EPOLL_CLOEXEC);
        if (poller_ < 0) fail("epoll_create1");
    }

    // Opens all connections. Returns how many of the messages in between were answered.
    bool open_all() {
        bool all_answered = true;
        for (size_t i = 0; i < clients_.size(); ++i) {
            open(i);
            const bool last = i + 1 == clients_.size();
            // A server without free descriptors answers none of the later ones either.
            if (all_answered && (last || (i + 1) % connections_per_check == 0)) {
                all_answered = exchange(i);
            }
        }
        return all_answered;
    }

    void echo_for(double seconds) {
        again_ = Again::next_message;
        if (idle_) {
            for (size_t i = 0; i < clients_.size(); ++i) begin_message(i);
            idle_ = false;
        }
        pump(now() + static_cast<int64_t>(seconds * static_cast<double>(second)));
    }

    void connect_again_until(int64_t count, double seconds) {
        again_ = Again::next_connection;
        wanted_ = count;
        for (size_t i = 0; i < clients_.size() && i < static_cast<size_t>(count); ++i) {
            open(i);
            begin_message(i);
        }
        pump(now() + static_cast<int64_t>(seconds * static_cast<double>(second)));
    }

    // Every connection sends one message, unless its last one was not answered yet.
    void use_all(double seconds) {
        again_ = Again::nothing;
        wanted_ = messages_ + static_cast<int64_t>(open_connections());
        for (size_t i = 0; i < clients_.size(); ++i) {
            if (clients_[i].descriptor >= 0 && clients_[i].since == 0) begin_message(i);
        }
        pump(now() + static_cast<int64_t>(seconds * static_cast<double>(second)));
    }

    void close_first(size_t count) {
        for (size_t i = 0; i < clients_.size() && count > 0; ++i) {
            if (clients_[i].descriptor < 0) continue;
            close_one(clients_[i]);
            --count;
        }
    }

    [[nodiscard]] size_t open_connections() const {
        size_t open = 0;
        for (const Client& client : clients_) open += client.descriptor >= 0 ? 1 : 0;
        return open;
    }

    [[nodiscard]] int64_t messages() const { return messages_; }
    [[nodiscard]] const Histogram& times() const { return times_; }
    void forget_times() { times_ = Histogram(); }

private:
    enum class Again : uint8_t { nothing, next_message, next_connection };

    void open(size_t index) {
        Client& client = clients_[index];
        client = Client{.descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        if (client.descriptor < 0) fail("socket");
        const int on = 1;
        ::setsockopt(client.descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        ::setsockopt(client.descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + opened_++ % options_.sources);
        const auto* const as_any = reinterpret_cast<const sockaddr*>(&address);
        if (::bind(client.descriptor, as_any, sizeof address) != 0) fail("bind");
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(static_cast<uint16_t>(options_.port));
        if (::connect(client.descriptor, as_any, sizeof address) != 0) fail("connect");
        epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                          .data = {.u64 = index}};
        if (::epoll_ctl(poller_, EPOLL_CTL_ADD, client.descriptor, &event) != 0) fail("epoll_ctl");
    }

    static void close_one(Client& client) {
        ::close(client.descriptor);
        client.descriptor = -1;
        client.since = 0;
    }

    // The message of this connection and round. Only its beginning differs from other messages.
    const char* message_of(size_t index) {
        const uint64_t label = static_cast<uint64_t>(index) << 32 | clients_[index].round;
        std::memcpy(message_.data(), &label, std::min(sizeof label, message_.size()));
        return message_.data();
    }

    void begin_message(size_t index) {
        Client& client = clients_[index];
        ++client.round;
        client.sent = 0;
        client.received = 0;
        client.since = now();
        send_more(index);
    }

    void send_more(size_t index) {
        Client& client = clients_[index];
        const char* const message = message_of(index);
        const ssize_t sent = ::send(client.descriptor, message + client.sent,
                                    options_.bytes - client.sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) fail("send");
        if (sent > 0) client.sent += static_cast<size_t>(sent);
    }

    void receive_more(size_t index) {
        Client& client = clients_[index];
        while (client.since != 0 && client.received < client.sent) {
            const ssize_t got = ::recv(client.descriptor, input_.data(),
                                       options_.bytes - client.received, MSG_DONTWAIT);
            if (got < 0 && errno == EAGAIN) return;
            if (got < 0) fail("recv");
            if (got == 0) refuse("the server closed a connection");
            const auto size = static_cast<size_t>(got);
            if (std::memcmp(input_.data(), message_of(index) + client.received, size) != 0) {
                refuse("an echo differs from its message");
            }
            client.received += size;
            if (client.received == options_.bytes) complete(index);
        }
    }

    void complete(size_t index) {
        Client& client = clients_[index];
        times_.add(now() - client.since);
        ++messages_;
        client.since = 0;
        switch (again_) {
            case Again::nothing: break;
            case Again::next_message: begin_message(index); break;
            case Again::next_connection:
                close_one(client);
                if (static_cast<int64_t>(opened_) < wanted_) {
                    open(index);
                    begin_message(index);
                }
        }
    }

    void pump(int64_t end) {
        epoll_event events[512];
        while (now() < end && (wanted_ == 0 || messages_ < wanted_)) {
            const int ready = ::epoll_wait(poller_, events, 512, 10);
            if (ready < 0 && errno != EINTR) fail("epoll_wait");
            for (int i = 0; i < ready; ++i) {
                const size_t index = events[i].data.u64;
                if (clients_[index].sent < options_.bytes && clients_[index].since != 0) {
                    send_more(index);
                }
                receive_more(index);
            }
        }
    }

    // Sends one message and waits for its echo, for three seconds at most.
    bool exchange(size_t index) {
        again_ = Again::nothing;
        wanted_ = messages_ + 1;
        begin_message(index);
        pump(now() + 3 * second);
        const bool answered = messages_ == wanted_;
        wanted_ = 0;
        return answered;
    }

    Options options_;
    std::vector<Client> clients_;
    std::vector<char> message_;
    std::vector<char> input_;
    Histogram times_;
    Again again_ = Again::nothing;
    bool idle_ = true;
    int poller_ = -1;
    unsigned opened_ = 0;
    int64_t messages_ = 0;
    int64_t wanted_ = 0;  // `pump` ends after so many messages; 0: only its time ends it
};

void print_results(const Clients& clients, int64_t messages, int64_t elapsed, int64_t processor,
                   int64_t own) {
    const auto count = static_cast<double>(messages > 0 ? messages : 1);
    const auto micros = [&](double share) {
        return static_cast<double>(clients.times().percentile(share)) / 1000;
    };
    std::printf("{\"messages\": %lld, \"seconds\": %.4f, \"per_second\": %.0f, "
                "\"cpu_ns\": %.1f, \"load_cpu_ns\": %.1f, "
                "\"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "
                "\"max_us\": %.1f}\n",
                static_cast<long long>(messages), static_cast<double>(elapsed) / second,
                static_cast<double>(messages) * second / static_cast<double>(elapsed),
                static_cast<double>(processor) / count, static_cast<double>(own) / count,
                micros(0.5), micros(0.9), micros(0.99), micros(0.999), micros(1));
}

void measure(Clients& clients, int server, void (*work)(Clients&, const Options&),
             const Options& options) {
    const int64_t messages = clients.messages();
    const int64_t processor = processor_time(server);
    const int64_t own = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    const int64_t start = now();
    work(clients, options);
    const int64_t elapsed = now() - start;
    print_results(clients, clients.messages() - messages, elapsed,
                  processor_time(server) - processor, read_clock(CLOCK_PROCESS_CPUTIME_ID) - own);
}

void run_echo(Clients& clients, const Options& options) {
    if (!clients.open_all()) refuse("the server did not answer while the connections were opened");
    clients.echo_for(options.warm_up);
    clients.forget_times();
    measure(
        clients, options.server,
        [](Clients& all, const Options& chosen) { all.echo_for(chosen.seconds); }, options);
}

void run_short(Clients& clients, const Options& options) {
    const auto work = [](Clients& all, const Options& chosen) {
        all.connect_again_until(chosen.count, chosen.seconds);
    };
    measure(clients, options.server, work, options);
}

void run_hold(Clients& clients) {
    const bool answered = clients.open_all();
    std::printf("{\"open\": %zu, \"answered_all\": %s}\n", clients.open_connections(),
                answered ? "true" : "false");
    std::fflush(stdout);
    char line[64];
    double number = 0;
    while (std::fgets(line, sizeof line, stdin) != nullptr) {
        const int64_t messages = clients.messages();
        if (std::sscanf(line, "use %lf", &number) == 1) {
            clients.use_all(number);
        } else if (std::sscanf(line, "close %lf", &number) == 1) {
            clients.close_first(static_cast<size_t>(number));
        } else {
            return;
        }
        std::printf("{\"open\": %zu, \"answered\": %lld}\n", clients.open_connections(),
                    static_cast<long long>(clients.messages() - messages));
        std::fflush(stdout);
    }
}

double number_of(std::string_view word, std::string_view key) {
    if (!word.starts_with(key) || word.size() == key.size() || word[key.size()] != '=') return -1;
    return std::atof(word.data() + key.size() + 1);
}

Options read_options(int count, char** arguments) {
    Options options;
    if (count > 1) options.mode = arguments[1];
    for (int i = 2; i < count; ++i) {
        const std::string_view word = arguments[i];
        const auto take = [&](std::string_view key, auto& value) {
            const double number = number_of(word, key);
            if (number < 0) return false;
            value = static_cast<std::remove_reference_t<decltype(value)>>(number);
            return true;
        };
        if (!(take("port", options.port) || take("connections", options.connections) ||
              take("bytes", options.bytes) || take("seconds", options.seconds) ||
              take("warm_up", options.warm_up) || take("server", options.server) ||
              take("count", options.count) || take("sources", options.sources))) {
            refuse("an argument is unknown");
        }
    }
    if (options.port == 0 || options.connections == 0 || options.bytes == 0 ||
        options.sources == 0) {
        refuse("port, connections, bytes and sources must not be 0");
    }
    if (options.seconds > 120 || options.count > 10'000'000) refuse("this would take too long");
    return options;
}

}  // namespace

int main(int count, char** arguments) {
    const Options options = read_options(count, arguments);
    Clients clients(options);
    if (options.mode == "echo") {
        run_echo(clients, options);
    } else if (options.mode == "short") {
        run_short(clients, options);
    } else if (options.mode == "hold") {
        run_hold(clients);
    } else {
        refuse("the first argument is echo, short or hold");
    }
}
