// What hosts and networks do: numbers for the back-end, tasks for the loop.
//
// The back-end knows hosts by numbers and knows no tasks. The loop knows tasks and no hosts. This
// file joins the two. A host that dies is cut off in the back-end, and the tasks with its number in
// their contexts are cancelled in the loop.
//
// The end of a test. The body runs in a task group, whose other members are the tasks that hosts
// have started. When the body ends, these are cancelled and awaited, and the timers of planned
// faults are cancelled. So the loop is idle afterwards, as `simulate` demands. An error of a member
// cancels the body, as in every group, so a test does not wait for a server that has failed.

#include <asyncio/testing/network.h>

#include <asyncio/exceptions.h>
#include <asyncio/finally.h>

#include <algorithm>
#include <exception>
#include <stdexcept>

namespace asyncio::testing {
namespace internal {

/// Made at its first use, so no order of static objects matters. Code that was started on no host
/// finds the default, which is localhost.
ContextVar<int>& current_host() {
    static ContextVar<int> host("host of the simulated network",
                                lowlevel::SimulatedNetwork::localhost);
    return host;
}

namespace {

/// The back-end calls it in the step of the task that makes a socket, so the context is that of the
/// task.
int number_of_current_host() noexcept { return current_host().get(); }

/// The group keeps every error. A test is easier to read if a single one leaves it as it is.
[[noreturn]] void throw_single(const ExceptionGroup& errors) {
    if (errors.exceptions().size() == 1) std::rethrow_exception(errors.exceptions().front());
    throw errors;
}

}  // namespace
}  // namespace internal

// --- Hosts --------------------------------------------------------------------------------------

/// A handle has a number and no pointer into the list, whose elements move when a host is added.
const std::string& Host::name() const noexcept {
    return network_->hosts_[static_cast<std::size_t>(number_)].name;
}

std::string Host::address() const {
    const auto& addresses = network_->hosts_[static_cast<std::size_t>(number_)].addresses;
    return addresses.empty() ? std::string() : addresses.front();
}

/// The network is cut off first: what the tasks do when they are cancelled reaches no other host.
void Host::die() const {
    if (!is_alive()) return;
    network_->simulated_.power_off(number_);
    network_->cancel_tasks_of(number_);
    network_->note(Fault::die(name()));
}

/// The tasks of before stay cancelled: as on a machine that starts again, the program has to start
/// its services.
void Host::come_back() const {
    network_->simulated_.power_on(number_);
    network_->note(Fault::come_back(name()));
}

bool Host::is_alive() const { return network_->simulated_.is_on(number_); }

/// The clock follows from the virtual time and from what the test has set, so one seed always shows
/// the same dates. The beginning is a fixed day, because today's date would differ from run to run.
/// The drift counts from the moment at which the clock was set.
std::chrono::system_clock::time_point Host::clock_now() const {
    using namespace std::chrono;
    constexpr sys_days beginning = January / 1 / 2000;
    const Duration passed = network_->simulated_.now() - network_->beginning_;
    const auto& state = network_->hosts_[static_cast<std::size_t>(number_)];
    const Duration since_set = network_->simulated_.now() - state.clock_set;
    const auto drifted =
        static_cast<Duration::rep>(static_cast<double>(since_set.count()) * state.clock_drift);
    const Duration skew = state.clock_skew + Duration(drifted);
    return beginning + duration_cast<system_clock::duration>(passed + skew);
}

void Host::set_clock_skew(Duration skew, double drift) const {
    auto& state = network_->hosts_[static_cast<std::size_t>(number_)];
    state.clock_skew = skew;
    state.clock_drift = drift;
    state.clock_set = network_->simulated_.now();
    network_->note(Fault::clock(name(), skew, drift));
}

void Host::set_disk_size(std::uint64_t size_bytes) const {
    network_->simulated_.set_disk_size(number_, size_bytes);
    network_->note(Fault::disk(name(), size_bytes));
}

// --- Networks -----------------------------------------------------------------------------------

/// Numbers of hosts are places in the list. The back-end has localhost as number 0, so it is the
/// first here.
Network::Network(EventLoop& loop, lowlevel::SimulatedNetwork& simulated)
    : loop_(loop), simulated_(simulated), beginning_(simulated.now()) {
    hosts_.push_back({.name = "localhost", .addresses = {}});
    simulated_.set_caller(&internal::number_of_current_host);
}

/// The back-end checks names and addresses. The room in the list is made before, so both lists stay
/// equal. Addresses that the test does not give follow from the number, so they are the same in
/// every run.
Host Network::add_host(std::string name, std::vector<std::string> addresses) {
    const std::string number = std::to_string(hosts_.size());
    if (addresses.empty()) addresses = {"10.0.0." + number, "fd00::" + number};
    std::vector<Address> parsed;
    parsed.reserve(addresses.size());
    for (const std::string& address : addresses) parsed.push_back(Address::ip(address, 0));
    hosts_.reserve(hosts_.size() + 1);
    const Host made(*this, simulated_.add_host(name, parsed));
    hosts_.push_back({.name = std::move(name), .addresses = std::move(addresses)});
    return made;
}

/// A test has a few hosts, so a search is as good as a table.
Host Network::find(std::string_view name) {
    const auto found = std::find_if(hosts_.begin(), hosts_.end(),
                                    [&](const HostState& host) { return host.name == name; });
    if (found == hosts_.end())
        throw std::invalid_argument("the network has no host \"" + std::string(name) + "\"");
    return {*this, static_cast<int>(found - hosts_.begin())};
}

void Network::add_name(std::string name, const Host& host) {
    simulated_.add_name(std::move(name), host.number_);
}

void Network::link(const Host& one, const Host& other, const Link& link) {
    simulated_.set_link(one.number_, other.number_, link);
    simulated_.set_link(other.number_, one.number_, link);
    note(Fault::link(one.name(), other.name(), link));
}

/// A plan has words for both directions together only, so this call is not in the history.
void Network::one_way(const Host& from, const Host& to, const Link& link) {
    simulated_.set_link(from.number_, to.number_, link);
}

/// A setting and no fault, so the history does not have it.
void Network::all_links(const Link& link) { simulated_.set_usual_link(link); }

/// A pair may be cut twice, and heals once: a partition is a state and not a count.
void Network::partition(const Host& one, const Host& other) {
    partitions_.emplace_back(one.number_, other.number_);
    simulated_.cut(one.number_, other.number_);
    simulated_.cut(other.number_, one.number_);
    note(Fault::partition(one.name(), other.name()));
}

void Network::heal(const Host& one, const Host& other) {
    simulated_.mend(one.number_, other.number_);
    simulated_.mend(other.number_, one.number_);
    note(Fault::heal(one.name(), other.name()));
}

/// A pair that was healed by itself is still in the list. Mending it once more changes nothing.
void Network::heal_all() {
    for (const auto& [one, other] : partitions_) {
        simulated_.mend(one, other);
        simulated_.mend(other, one);
    }
    partitions_.clear();
    note(Fault::heal_all());
}

void Network::reset(const Host& one, const Host& other) {
    simulated_.reset_connections(one.number_, other.number_);
    note(Fault::reset(one.name(), other.name()));
}

// --- Faults at their times ----------------------------------------------------------------------

/// The times count from the beginning of the test. So a history that is given as a plan at the
/// beginning makes the same faults happen at the same times.
void Network::note(Fault fault) {
    history_.push_back({simulated_.now() - beginning_, std::move(fault)});
}

/// Planned faults call the functions that a test calls, so both have the same effects and the same
/// history. Without a `default`, the compiler names a kind that is missing.
void Network::happen(const Fault& fault) {
    using Kind = Fault::Kind;
    switch (fault.kind) {
        case Kind::partition: return partition(find(fault.one), find(fault.other));
        case Kind::heal: return heal(find(fault.one), find(fault.other));
        case Kind::heal_all: return heal_all();
        case Kind::reset: return reset(find(fault.one), find(fault.other));
        case Kind::die: return find(fault.one).die();
        case Kind::come_back: return find(fault.one).come_back();
        case Kind::link: return link(find(fault.one), find(fault.other), fault.settings);
        case Kind::clock: return find(fault.one).set_clock_skew(fault.skew, fault.drift);
        case Kind::disk: return find(fault.one).set_disk_size(fault.size_bytes);
    }
}

/// The names are looked up here as well, so that a mistake is an error of this call. All faults are
/// checked before the first timer starts: a plan that is refused does nothing.
void Network::plan(FaultPlan faults) {
    for (const PlannedFault& fault : faults) {
        if (fault.when < Duration::zero())
            throw std::invalid_argument("a fault has a negative time");
        for (const std::string& name : {fault.what.one, fault.what.other}) {
            if (!name.empty()) find(name);
        }
    }
    timers_.reserve(timers_.size() + faults.size());
    for (PlannedFault& fault : faults) {
        timers_.push_back(
            loop_.call_later(fault.when, [this, what = std::move(fault.what)] { happen(what); }));
    }
}

// --- The life of a test -------------------------------------------------------------------------

/// A task that is started outside the body would have no owner to end it.
TaskGroup& Network::tasks() {
    if (group_ == nullptr) throw RuntimeError("Host::start() outside the body of a test");
    return *group_;
}

/// Every task that runs on the host has its number in its context, however it was started.
void Network::cancel_tasks_of(int host) {
    for (const TaskRef& task : all_tasks(loop_)) {
        const Context context = task.get_context();
        if (context.run([] { return internal::current_host().get(); }) == host) task.cancel();
    }
}

/// The cleanup also runs if the body fails or is cancelled.
Coro<> Network::run_and_end(Coro<> body, TaskGroup& group) {
    group_ = &group;
    const auto run = [&]() -> Coro<> { co_await std::move(body); };
    const auto clean_up = [&]() -> Coro<> {
        group_ = nullptr;
        end();
        co_return;
    };
    co_await finally_(run, clean_up);
}

/// The group waits for the tasks of the hosts, so none of them runs when the test has ended.
Coro<> Network::supervise(Coro<> body) {
    const auto run = [&](TaskGroup& group) { return run_and_end(std::move(body), group); };
    try {
        co_await asyncio::task_group(run);
    } catch (const ExceptionGroup& errors) {
        internal::throw_single(errors);
    }
}

/// A task that has ended ignores the request. The timers are cancelled with the tasks, because a
/// planned fault of an ended test would be a timer that is left.
void Network::end() noexcept {
    for (TimerHandle& timer : timers_) timer.cancel();
    timers_.clear();
    for (const TaskRef& task : started_) task.cancel();
    started_.clear();
}

}  // namespace asyncio::testing
