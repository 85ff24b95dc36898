// The functions that look up names: what is answered at once, what is asked, what errors say.
//
// A question goes through three sieves: numbers are answered here (`net/numeric_names.h`), known
// names by the loop (`net/loop_names.h`), and only the rest by a thread or by the back-end. A plain
// number never reaches the kept answers, so a program that connects to many of them does not push
// its names out of them.
//
// The port is taken out of a question where the answer does not depend on it, and added to the
// answer. So one lookup of a host serves all of its ports.
//
// An error quotes the question in the words of the program. The number that getaddrinfo(3) returns
// does not say what was asked.

#include <asyncio/names.h>

#include <asyncio/exceptions.h>
#include <asyncio/executor.h>
#include <asyncio/sleep.h>

#include "loop/live_loop.h"
#include "net/lookup.h"
#include "net/loop_names.h"
#include "net/name_pool.h"
#include "net/numeric_names.h"
#include "net/system_names.h"

#include <optional>
#include <stdexcept>
#include <utility>

#include <netdb.h>
#include <sys/socket.h>

namespace asyncio {
namespace internal {
namespace {

using lowlevel::Names;

/// The function that the program has called, and its loop; null for a free function.
struct Called {
    const char* function;
    EventLoop* loop = nullptr;
};

/// The loop of the running task. Throws: RuntimeError if there is no task, or if it belongs to
/// another loop than the function.
EventLoop& loop_of(Called called) {
    EventLoop& loop = face_of(running_task(called.function).loop());
    if (called.loop != nullptr && called.loop != &loop)
        throw RuntimeError(std::string(called.function) +
                           " must be awaited in a task of that loop");
    return loop;
}

/// EAI_SYSTEM means that errno has the reason. Then it is an error of the system, and not an answer
/// about a name.
[[noreturn]] void throw_gai_error(int error, int system_error, const std::string& operation,
                                  const std::string& host) {
    if (error == EAI_SYSTEM) throw OsError(system_error, operation);
    throw GaiError(error, operation, host);
}

/// `look up "example.com", port 80`, or `look up "example.com", service "http"`.
std::string operation_text(const std::string& host, const std::string& service) {
    std::string text =
        host.empty() ? "look up the addresses of this machine" : "look up \"" + host + '"';
    if (service.empty()) return text;
    return text + (port_number(service) ? ", port " + service : ", service \"" + service + '"');
}

/// The C library would take the text only up to the NUL, and look up another name.
void require_no_nul(const std::string& text) {
    if (text.find('\0') != text.npos)
        throw std::invalid_argument("the name of a host or of a service has a NUL in it");
}

/// The port, if the lookup can do without it and serves every port. Without a host, and for raw
/// sockets, the port decides whether there is an answer at all.
std::optional<std::uint16_t> port_to_add(const std::string& host, const std::string& service,
                                         const AddressHints& hints) {
    const bool is_usual = hints.type == 0 || hints.type == SOCK_STREAM || hints.type == SOCK_DGRAM;
    if (host.empty() || !is_usual) return {};
    return port_number(service);
}

/// All checks come before the first wait. The answer is copied, because other tasks and the loop
/// share it, and because the port differs from task to task.
Coro<std::vector<AddressInfo>> look_up(Called called, std::string host, std::string service,
                                       AddressHints hints) {
    EventLoop& loop = loop_of(called);
    require_no_nul(host);
    require_no_nul(service);
    if (auto numbers = addresses_of_numbers(host, service, hints)) {
        if (numbers->error != 0)
            throw_gai_error(numbers->error, 0, operation_text(host, service), host);
        co_return std::move(numbers->list);
    }
    const std::optional<std::uint16_t> port = port_to_add(host, service, hints);
    const Ref<Lookup> lookup =
        LoopNames::of(loop).ask(Question{host, port ? std::string() : service, hints});
    co_await LookupWait(*lookup);
    const Names::Addresses& answer = lookup->answer().value();
    if (answer.error != 0)
        throw_gai_error(answer.error, answer.system_error, operation_text(host, service), host);
    std::vector<AddressInfo> list = answer.list;
    if (port) {
        for (AddressInfo& info : list) info.address = info.address.with_port(*port);
    }
    co_return list;
}

/// A port as a text, which is how getaddrinfo(3) takes it. That function would take any number and
/// cut it to 16 bits.
std::string checked_port(int port) {
    if (port < 0 || port > 65535)
        throw std::invalid_argument("port " + std::to_string(port) + " is not between 0 and 65535");
    return std::to_string(port);
}

/// A job of a thread. The address is a copy: the task may be cancelled, and the job goes on.
Names::Name ask_system_for_name(Address address, int flags) {
    return system_names().name_of(address, flags);
}

/// The job of a thread, or the answer of a back-end with its delay. Such answers are neither shared
/// nor kept: a program asks for the name of an address rarely, usually for its log.
Coro<Names::Name> ask_for_name(EventLoop& loop, Address address, int flags) {
    if (Names* names = loop.names()) {
        Names::Name answer = names->name_of(address, flags);
        if (answer.delay > Duration::zero()) co_await sleep(answer.delay);
        co_return answer;
    }
    co_return co_await loop.run_in_executor(name_executor(), &ask_system_for_name, address, flags);
}

Coro<NameInfo> look_up_name(Called called, Address address, int flags) {
    EventLoop& loop = loop_of(called);
    if (auto numbers = name_of_numbers(address, flags)) co_return std::move(numbers->name);
    Names::Name answer = co_await ask_for_name(loop, address, flags);
    if (answer.error != 0) {
        const std::string text = address.to_string();
        throw_gai_error(answer.error, answer.system_error, "look up the name of " + text, text);
    }
    co_return std::move(answer.name);
}

}  // namespace
}  // namespace internal

namespace no_adl {

Coro<std::vector<AddressInfo>> getaddrinfo(std::string host, std::string service,
                                           AddressHints hints) {
    return internal::look_up({"asyncio::getaddrinfo()"}, std::move(host), std::move(service),
                             hints);
}

Coro<std::vector<AddressInfo>> getaddrinfo(std::string host, int port, AddressHints hints) {
    return internal::look_up({"asyncio::getaddrinfo()"}, std::move(host),
                             internal::checked_port(port), hints);
}

Coro<NameInfo> getnameinfo(Address address, int flags) {
    return internal::look_up_name({"asyncio::getnameinfo()"}, address, flags);
}

}  // namespace no_adl

/// The members check the loop in the call, and not in the coroutine that they return: so a wrong
/// use is reported where it stands, also if the coroutine is never awaited.
Coro<std::vector<AddressInfo>> EventLoop::getaddrinfo(std::string host, std::string service,
                                                      AddressHints hints) {
    constexpr auto function = "EventLoop::getaddrinfo()";
    check_open(function);
    return internal::look_up({function, this}, std::move(host), std::move(service), hints);
}

Coro<std::vector<AddressInfo>> EventLoop::getaddrinfo(std::string host, int port,
                                                      AddressHints hints) {
    constexpr auto function = "EventLoop::getaddrinfo()";
    check_open(function);
    return internal::look_up({function, this}, std::move(host), internal::checked_port(port),
                             hints);
}

Coro<NameInfo> EventLoop::getnameinfo(Address address, int flags) {
    constexpr auto function = "EventLoop::getnameinfo()";
    check_open(function);
    return internal::look_up_name({function, this}, address, flags);
}

/// The thread is checked here, too, so a wrong use is reported where the handle is made.
NameCache EventLoop::name_cache() {
    check_open("EventLoop::name_cache()");
    check_thread();
    return NameCache(*this);
}

// --- The answers that a loop keeps ---------------------------------------------------------------

NameCache::NameCache(EventLoop& loop) noexcept : loop_(&loop), loop_number_(loop.number()) {}

/// The number tells the loop from a later one at the same address. A handle does not hold its loop,
/// and a program may keep it longer than the loop.
internal::LoopNames& NameCache::names(const char* function) const {
    if (!internal::loop_exists(loop_number_) || loop_->is_closed())
        throw RuntimeError(std::string("NameCache::") + function + "(): the event loop is closed");
    loop_->check_thread();
    return internal::LoopNames::of(*loop_);
}

NameCacheOptions NameCache::options() const { return names("options").options(); }

void NameCache::set_options(NameCacheOptions options) const {
    names("set_options").set_options(options);
}

void NameCache::clear() const { names("clear").clear(); }
void NameCache::forget(std::string_view host) const { names("forget").forget(host); }
std::size_t NameCache::size() const { return names("size").size(); }

/// Without a thread every lookup would wait for ever.
void set_max_name_threads(std::size_t count) {
    if (count == 0) throw std::invalid_argument("names need at least one thread");
    internal::limit_name_threads(count);
}

}  // namespace asyncio
