#pragma once
// A network of several hosts in one test: every host is in this process and on this loop.
//
//     simulate([](Network& network) -> Coro<> {
//         Host server = network.host("server");
//         Host client = network.host("client");
//         server.start(my_server());
//         co_await client.run(my_client("server"));
//     });
//
// A host is a set of addresses, ports and names, and a disk. Code runs on a host if it was started
// there (`run`, `start`), and so does every task that such code creates. Sockets belong to the host
// on which the code runs that makes them. All other code runs on `localhost`. Between the hosts are
// links with latency, loss and other properties. Tests set these, or take them from the seed.
//
// How a socket learns its host. The number of the host is a context variable. A new task inherits
// it, as it inherits all context variables. The back-end asks for it when it makes a socket, in the
// step of the task that asked. A parameter in every function that makes a socket would do the same,
// but then only programs that were written for it could be tested.
//
// What every host has for itself: a tree of files with a disk of limited size, the Unix sockets in
// this tree and their abstract names, ports, and a clock on the wall. The clock of the loop, by
// which everything waits, is the same for all hosts.
//
// Faults. A test makes them happen by hand (`partition`, `reset`, `die`, …), at written times
// (`plan`), or lets the seed decide (`fail_at_random`). All of them stand in `history`, and the
// error of `simulate_seeds` shows them as a text. This text is a plan: pasted into a test, it makes
// the same faults happen under any seed. Faults are executed by timers of the loop, so they stand
// in the same order of time as all that the program does.
//
// What a seed changes without being asked. Operations finish later or in another order, reads and
// writes move fewer bytes, and packets take up to a tenth of a millisecond longer. A correct
// program does not notice. Everything worse (loss, partitions, resets, deaths) happens only if the
// test has asked for it, because a test must know what its program is expected to survive.
//
// What is simpler than in a real network. Acknowledgements of TCP take no time and are never lost,
// so a sender knows what its peer has got. There is no congestion control: a flow is limited by its
// buffers (SO_SNDBUF, SO_RCVBUF) and by the bandwidth of its link. Keep-alive probes are not sent,
// and a closed connection does not keep its port (TIME_WAIT). There are no broadcasts and no
// multicasts. Each host has one network interface. Names are found at once.
//
// What is as in a real network, to the second where Linux has a number for it: a connect without an
// answer is repeated after 1, 2, 4, … seconds and fails after 127; a stream sends lost bytes again
// after 0.2, 0.4, … seconds, at most every two minutes, and gives up after 15 attempts; the peer of
// a host that has died learns nothing until it sends; a host that is back answers with a reset.
//
// Lifetime. Code must not hold a `Host` or use a network after its test has ended. What tasks of
// hosts do when the test ends still happens on the network, as it is then: a partition that was not
// healed makes the close of a stream slow, in virtual time.
//
// Thread-safety: loop thread only.

#include <asyncio/context.h>
#include <asyncio/coro.h>
#include <asyncio/event_loop.h>
#include <asyncio/loop_handle.h>
#include <asyncio/lowlevel/simulated_network.h>
#include <asyncio/task.h>
#include <asyncio/task_group.h>
#include <asyncio/testing/fault_plan.h>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace asyncio::testing {

class Network;

namespace internal {

/// The number of the host on which the calling code runs.
ContextVar<int>& current_host();

/// Runs the code of a scope on a host.
class OnHost {
public:
    explicit OnHost(int host) : token_(current_host().set(host)) {}
    OnHost(const OnHost&) = delete;
    OnHost& operator=(const OnHost&) = delete;
    ~OnHost() { current_host().reset(token_); }

private:
    ContextToken<int> token_;
};

template <class T>
Coro<T> run_on_host(int host, Coro<T> coroutine) {
    const OnHost here(host);
    co_return co_await std::move(coroutine);
}

}  // namespace internal

/// A host of a simulated network: a handle, copies of which mean the same host.
class Host {
public:
    const std::string& name() const noexcept;
    /// The first address, as a text: "10.0.0.1". Empty for localhost, which has no address that
    /// others can reach.
    std::string address() const;

    /// Runs a coroutine on this host, in the calling task.
    /// Returns, throws, cancellation: as the coroutine.
    template <class T>
    Coro<T> run(Coro<T> coroutine) const {
        return internal::run_on_host(number_, std::move(coroutine));
    }

    /// Starts a task on this host. The network owns it: it cancels the task at the end of the test,
    /// and when the host dies. An error of the task ends the test with this error.
    template <class T>
    Task<T> start(Coro<T> coroutine) const;

    /// The host loses its power. Its tasks are cancelled, and the rest of what they do reaches no
    /// other host. (These are all tasks that run on the host, however they were started.) Peers
    /// hear nothing: a peer that sends gets ETIMEDOUT after a quarter of an hour, a peer that only
    /// reads waits for ever, and a connect fails after two minutes. A second call has no effect.
    void die() const;
    /// The host is on again, with its disk, and without its tasks and sockets. Peers that send to a
    /// connection of before get ECONNRESET.
    void come_back() const;
    bool is_alive() const;

    /// What a clock on the wall of this host shows: the virtual time since the beginning of the
    /// year 2000, plus the skew of the clock. A program that compares the times of several hosts
    /// takes its clock from here in a test.
    std::chrono::system_clock::time_point clock_now() const;
    /// How much this clock differs from the right time now, and by how many seconds more in every
    /// second from now on. A drift of 0.0001 gains almost nine seconds a day; −1 is a clock that
    /// stands still. Other clocks, the loop's time and the dates of files do not change: all hosts
    /// are on one loop, and a loop has one clock.
    void set_clock_skew(Duration skew, double drift = 0) const;

    /// How many bytes the files of this host may hold together from now on. Zero: the disk is full.
    /// The files keep what they hold. A write for which there is no room fails with ENOSPC.
    void set_disk_size(std::uint64_t size_bytes) const;

    friend bool operator==(const Host&, const Host&) = default;

private:
    friend Network;
    Host(Network& network, int number) noexcept : network_(&network), number_(number) {}

    Network* network_;
    int number_;
};

/// What `Network::fail_at_random` does.
struct RandomFaults {
    /// For how long faults happen. When this time is over, everything is healed.
    Duration duration = std::chrono::seconds(60);
    /// The time between two faults, on average.
    Duration pause = std::chrono::seconds(5);
    /// No partition lasts longer, and no host is dead for longer.
    Duration longest = std::chrono::seconds(10);
    /// No link is worse than this in any respect; `bytes_per_second` and `largest_piece_bytes` are
    /// set to these values or not at all.
    Link worst_link = {.latency = std::chrono::milliseconds(200),
                       .jitter = std::chrono::milliseconds(100),
                       .bytes_per_second = 1'000'000,
                       .largest_piece_bytes = 1000,
                       .loss = 0.1,
                       .duplication = 0.1,
                       .reordering = 0.1};
    bool partitions = true;
    bool resets = true;
    /// Hosts die and come back. The program must start again what ran there.
    bool deaths = false;
    /// Disks are full for a while. Then they have the size of the beginning again.
    bool full_disks = false;
    /// Every host gets a clock that is wrong by this at most, and by `worst_drift` seconds more in
    /// every second. Zero: the clocks are right.
    Duration worst_skew{};
    double worst_drift = 0;
};

/// The network of a test. `simulate` makes it.
class Network {
public:
    /// For a loop that stands on a simulated back-end, whose network is `simulated`.
    Network(EventLoop& loop, lowlevel::SimulatedNetwork& simulated);
    Network(const Network&) = delete;
    Network& operator=(const Network&) = delete;

    /// Adds a host. Without addresses it gets one of each family: 10.0.0.1 and fd00::1 the first
    /// one, and so on. Other hosts find it by its name (`getaddrinfo`, `open_connection`).
    /// Throws: `std::invalid_argument` if the name or an address is used, or is none.
    template <std::convertible_to<std::string>... Addresses>
    Host host(std::string name, Addresses&&... addresses) {
        return add_host(std::move(name), {std::string(std::forward<Addresses>(addresses))...});
    }
    /// The host of code that was started on no other. Its addresses are 127.0.0.0/8 and ::1, which
    /// no other host can reach.
    Host localhost() noexcept { return {*this, lowlevel::SimulatedNetwork::localhost}; }
    /// The host of a name that was given to `host`. Throws: `std::invalid_argument`.
    Host find(std::string_view name);
    /// Gives a host a further name. Throws: `std::invalid_argument` if the name is used.
    void add_name(std::string name, const Host& host);

    /// How many sockets, files and other descriptors of the simulated world are open, on all hosts
    /// together. A test that ends its programs and finds some left has found a leak.
    std::size_t open_descriptors() const noexcept { return simulated_.open_descriptors(); }

    // What happens now. `plan` lets the same happen later.

    /// How packets travel between two hosts, in both directions.
    void link(const Host& one, const Host& other, const Link& link);
    /// The same for one direction.
    void one_way(const Host& from, const Host& to, const Link& link);
    /// The same between all hosts for which the functions above were not called.
    void all_links(const Link& link);
    /// No packet passes between the two, until `heal`.
    void partition(const Host& one, const Host& other);
    /// Ends a partition. A stream tries again what was lost, and does so later and later: up to two
    /// minutes after the heal.
    void heal(const Host& one, const Host& other);
    /// Ends all partitions.
    void heal_all();
    /// Both ends of every TCP connection between the two get ECONNRESET.
    void reset(const Host& one, const Host& other);

    /// Lets faults happen at their times, which count from now. Plans add up.
    /// Throws: `std::invalid_argument` for an unknown host or a negative time.
    void plan(FaultPlan faults);
    /// The same for the text of a plan (`plan_of_text`).
    void plan(std::string_view text) { plan(plan_of_text(text)); }
    /// Draws a plan from the seed, and lets it happen. With the seed 0 nothing happens. All hosts
    /// must have been added before; localhost has no part in it.
    /// Returns the plan.
    FaultPlan fail_at_random(const RandomFaults& faults = {});

    /// All faults that have happened, by their times since the beginning of the test. Given to
    /// `plan`, they happen again. The error of `simulate_seeds` shows them.
    const FaultPlan& history() const noexcept { return history_; }

    /// Runs the body of a test, and then ends the tasks that `Host::start` has started. `simulate`
    /// does this.
    template <class T>
    Coro<T> run_test(Coro<T> body) {
        if constexpr (std::is_void_v<T>) {
            co_await supervise(std::move(body));
        } else {
            std::optional<T> result;
            co_await supervise(keep(std::move(body), result));
            co_return std::move(*result);
        }
    }

private:
    friend Host;

    struct HostState {
        std::string name;
        std::vector<std::string> addresses;
        /// The skew at the moment at which it was set.
        Duration clock_skew{};
        double clock_drift = 0;
        TimePoint clock_set{};
    };

    template <class T>
    static Coro<> keep(Coro<T> body, std::optional<T>& result) {
        result.emplace(co_await std::move(body));
    }

    Host add_host(std::string name, std::vector<std::string> addresses);
    Coro<> supervise(Coro<> body);
    Coro<> run_and_end(Coro<> body, TaskGroup& group);
    TaskGroup& tasks();
    void cancel_tasks_of(int host);
    void happen(const Fault& fault);
    void note(Fault fault);
    void end() noexcept;

    EventLoop& loop_;
    lowlevel::SimulatedNetwork& simulated_;
    /// By number. The addresses of localhost are not here.
    std::vector<HostState> hosts_;
    std::vector<std::pair<int, int>> partitions_;
    FaultPlan history_;
    TimePoint beginning_;
    std::vector<TimerHandle> timers_;
    /// The tasks that `Host::start` has started. Null outside `run_test`.
    TaskGroup* group_ = nullptr;
    std::vector<TaskRef> started_;
};

template <class T>
Task<T> Host::start(Coro<T> coroutine) const {
    Task<T> task = network_->tasks().create_task(run(std::move(coroutine)));
    network_->started_.push_back(task);
    return task;
}

}  // namespace asyncio::testing
