// The trial of the quick throw: one error, thrown both ways, caught by the same function.
//
// The trial must not be able to crash. The risk is a runtime library with another layout of its
// headers: reading such a header is harmless, and writing one is not. So the order is: throw the
// usual way, read the header, compare it with what is expected. Only if every field is at its place
// is a header ever written by this library. Then the same function throws the same error the quick
// way, and the two catches have to agree in everything that a program or the runtime library can
// see.
//
// The probe is chosen to be difficult. The handler is for a second base class, so the address of
// the object has to be adjusted. A destructor between throw and handler counts the uncaught
// exceptions, so cleanups and counts are tested, too.
//
// Threads. The first thread that asks makes the trial, and the others throw the usual way until the
// answer is there: waiting for it inside a throw could deadlock with whatever that thread holds.
// The trial itself calls `rethrow`, which asks again; because of `is_trying`, the answer is yes for
// this thread alone.

#include "machine/rethrow_check.h"

#ifdef ASYNCIO_WITH_QUICK_THROW

#include <asyncio/internal/machine/rethrow.h>

#include "machine/exception_header.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include <cxxabi.h>

namespace asyncio::internal {
namespace {

enum class Answer : unsigned char { unknown, being_found, no, yes };

constinit std::atomic<Answer> answer{Answer::unknown};
/// Whether this thread is in the trial, and so throws the quick way although the answer is not
/// known.
constinit thread_local bool is_trying = false;

/// The probe: the handler sees a base class that does not lie at the beginning of the object.
struct FirstBase {
    virtual ~FirstBase() = default;
    int first = 1;
};
struct SecondBase {
    virtual ~SecondBase() = default;
    int second = 2;
};
struct Probe final : FirstBase, SecondBase {};

/// The handler's view of the error, and the notes of the runtime library about it. Compared as a
/// whole.
struct Sight {
    bool caught = false;
    bool is_known = false;
    int second = 0;
    const void* object = nullptr;
    bool is_current = false;
    int uncaught_in_destructor = 0;
    int uncaught_in_handler = 0;
    // From the header.
    int selector = 0;
    int handler_count = 0;
    const void* action = nullptr;
    const void* lsda = nullptr;
    std::uintptr_t landing = 0;
    std::terminate_handler terminate_handler = nullptr;

    bool operator==(const Sight&) const = default;
};

/// The exception being handled.
const DependentException& caught_exception() noexcept {
    const auto* of_thread = reinterpret_cast<const ThreadExceptions*>(abi::__cxa_get_globals());
    return *static_cast<const DependentException*>(of_thread->caught);
}

/// Notes how many exceptions are uncaught while the stack is being left.
struct CountsUncaught {
    int& count;
    ~CountsUncaught() { count = std::uncaught_exceptions(); }
};

using Throw = void (*)(std::exception_ptr& error);

void throw_usually(std::exception_ptr& error) {
    std::rethrow_exception(std::exchange(error, nullptr));
}

/// Throws and catches. Both ways go through the same call of the same function, so the notes about
/// the place have to be equal. Not inlined, for the same reason.
[[gnu::noinline]] Sight see(Throw throw_it, std::exception_ptr error) noexcept {
    Sight sight;
    const void* const before =
        reinterpret_cast<const ThreadExceptions*>(abi::__cxa_get_globals())->caught;
    const std::exception_ptr kept = error;
    try {
        const CountsUncaught counter{sight.uncaught_in_destructor};
        throw_it(error);
    } catch (const SecondBase& base) {
        const DependentException& header = caught_exception();
        sight.caught = true;
        sight.second = base.second;
        sight.object = &base;
        sight.is_current = std::current_exception() == kept;
        sight.uncaught_in_handler = std::uncaught_exceptions();
        sight.is_known = is_as_expected(header, {&base, before, reinterpret_cast<void*>(&see)});
        sight.selector = header.selector;
        sight.handler_count = header.handler_count;
        sight.action = header.action;
        sight.lsda = header.lsda;
        sight.landing = header.landing;
        sight.terminate_handler = header.terminate_handler;
    } catch (...) {
    }
    return sight;
}

bool is_ruled_out() noexcept {
    const char* wanted = std::getenv("ASYNCIO_QUICK_THROW");
    return wanted != nullptr && std::string_view(wanted) == "0";
}

bool find_out() noexcept {
    if (is_ruled_out()) return false;
    try {
        const std::exception_ptr error = std::make_exception_ptr(Probe());
        // Volatile: a compiler that knew both arguments would make two functions of `see`, each
        // with tables of its own, and the comparison would fail.
        volatile Throw throw_it = &throw_usually;
        const Sight usual = see(throw_it, error);
        if (!usual.caught || !usual.is_known) return false;
        throw_it = &rethrow;
        is_trying = true;
        const Sight quick = see(throw_it, error);
        is_trying = false;
        return quick == usual;
    } catch (...) {
        return false;  // without memory for one more exception
    }
}

}  // namespace

bool is_as_expected(const DependentException& header, const ExpectedException& expected) noexcept {
    const auto distance = header.landing - reinterpret_cast<std::uintptr_t>(expected.function);
    // The landing must be near the function that caught: code of one function, or its part for
    // unusual paths, lies within 2 GiB of its beginning.
    constexpr std::uintptr_t far_away = std::uintptr_t{1} << 31;
    return header.caught_object == expected.object && header.next_caught == expected.next_caught &&
           header.primary != nullptr && header.primary == std::current_exception() &&
           header.handler_count == 1 && header.selector > 0 && header.action != nullptr &&
           header.lsda != nullptr && distance + far_away < 2 * far_away &&
           header.terminate_handler == std::get_terminate() &&
           header.unwind.exception_class == dependent_class &&
           header.unwind.exception_cleanup != nullptr;
}

bool may_throw_quickly() noexcept {
    const Answer known = answer.load(std::memory_order_acquire);
    if (known == Answer::yes) [[likely]]
        return true;
    if (known == Answer::no) return false;
    // The thread that wins this exchange makes the trial. A thread that loses is either in the
    // trial already, or must throw the usual way.
    Answer unknown = Answer::unknown;
    if (!answer.compare_exchange_strong(unknown, Answer::being_found)) return is_trying;
    const bool found = find_out();
    answer.store(found ? Answer::yes : Answer::no, std::memory_order_release);
    return found;
}

}  // namespace asyncio::internal

#else

bool asyncio::internal::may_throw_quickly() noexcept { return false; }

#endif
