// Throws of every kind through coroutines; what is printed must not depend on how the library
// throws, nor on the options of the compiler. quick_throw.sh runs the program twice, with quick
// throws and without, and compares.
//
// Standard output is the trace. On standard error stands how many of the counted throws were quick.

#include <asyncio.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <cxxabi.h>
#include <unwind.h>

using namespace asyncio;
using namespace std::chrono_literals;

namespace {

// --- How the exception being handled was thrown --------------------------------------------------

using Cleanup = _Unwind_Exception_Cleanup_Fn;

Cleanup cleanup_of_the_caught() {
    constexpr std::size_t cleanup_offset = 80 + sizeof(_Unwind_Exception_Class);
    const char* header = nullptr;
    std::memcpy(&header, abi::__cxa_get_globals(), sizeof header);
    Cleanup cleanup = nullptr;
    std::memcpy(&cleanup, header + cleanup_offset, sizeof cleanup);
    return cleanup;
}

Cleanup cleanup_of_the_usual_throw() {
    try {
        std::rethrow_exception(std::make_exception_ptr(0));
    } catch (int) {
        return cleanup_of_the_caught();
    }
}

int counted = 0;
int quick = 0;

void count_throw() {
    static const Cleanup usual = cleanup_of_the_usual_throw();
    ++counted;
    if (cleanup_of_the_caught() != usual) ++quick;
}

// --- What is thrown ------------------------------------------------------------------------------

struct Trace {
    const char* name;
    explicit Trace(const char* n) : name(n) {}
    Trace(const Trace&) = delete;
    Trace& operator=(const Trace&) = delete;
    ~Trace() { std::printf("~%s/%d ", name, std::uncaught_exceptions()); }
    int one() const { return 1; }
};

struct Left {
    virtual ~Left() = default;
    int left = 1;
};
struct Right {
    virtual ~Right() = default;
    int right = 2;
};
struct Root {
    virtual ~Root() = default;
    int root = 3;
};
struct ByOneWay : virtual Root {};
struct ByOtherWay : virtual Root {};
struct Diamond : Left, Right, ByOneWay, ByOtherWay {};
struct Secret : private Right {
    int secret = 5;
};

Diamond diamond;

using Thrower = void (*)();
const std::vector<Thrower> throwers = {
    [] { throw 7; },
    [] { throw 5LL; },
    [] { throw Diamond(); },
    [] { throw &diamond; },
    [] { throw static_cast<const Right*>(&diamond); },
    [] { throw Secret(); },
    [] { throw std::string("text"); },
    [] { throw nullptr; },
    [] { throw "literal"; },
    [] { throw CancelledError("reason"); },
    [] { throw std::runtime_error("runtime"); },
    [] {
        try {
            throw std::logic_error("inner");
        } catch (...) {
            std::throw_with_nested(std::runtime_error("outer"));
        }
    },
};

Coro<int> thrower(Thrower what, bool waits) {
    if (waits) co_await asyncio::sleep(0s);
    what();
    co_return 0;
}

Coro<int> level(Thrower what, bool waits, int depth) {
    const Trace before("before");
    if (depth == 0) co_return co_await thrower(what, waits);
    const int result = co_await level(what, waits, depth - 1);
    const Trace after("after");
    co_return result;
}

// --- Who catches it ------------------------------------------------------------------------------

int sum(int a, int b, int c, int d, int e, int f, int g, int h) {
    return a + b + c + d + e + f + g + h;
}

Coro<> catches_first(Thrower what, bool waits) {
    const Trace outer("outer");
    try {
        const Trace inner("inner");
        const int result =
            sum(1, 2, Trace("argument").one(), 4, 5, 6, 7, co_await level(what, waits, 2));
        std::printf("result %d", result);
    } catch (int number) {
        count_throw();
        std::printf("int %d", number);
    } catch (long long number) {
        count_throw();
        std::printf("long long %lld; ", number);
        throw;
    } catch (const Right& base) {
        count_throw();
        std::printf("Right %d; ", base.right);
        throw;
    } catch (const Right* base) {
        count_throw();
        std::printf("Right* %d", base != nullptr ? base->right : -1);
    } catch (std::string text) {
        count_throw();
        std::printf("string %s; ", text.c_str());
        throw std::string("another");
    } catch (const CancelledError& cancelled) {
        count_throw();
        std::printf("cancelled %s", cancelled.message().c_str());
    }
}

Coro<> catches_rest(Thrower what, bool waits) {
    try {
        co_await catches_first(what, waits);
    } catch (Root by_value) {
        count_throw();
        std::printf("Root %d", by_value.root);
    } catch (const char* text) {
        count_throw();
        std::printf("char* %s", text);
    } catch (const std::exception& error) {
        count_throw();
        std::printf("exception %s", error.what());
        try {
            std::rethrow_if_nested(error);
        } catch (const std::logic_error& nested) {
            std::printf(" around %s", nested.what());
        }
    } catch (...) {
        count_throw();
        std::printf("other %s", abi::__cxa_current_exception_type()->name());
    }
    std::printf(" | %d %d\n", std::uncaught_exceptions(), std::current_exception() != nullptr);
}

int plain_function(const Task<int>& task) {
    auto* room = static_cast<char*>(__builtin_alloca(100 + 300 * std::size_t{task.done()}));
    room[50] = 3;
    const Trace local("plain");
    try {
        return task.result() + room[50];
    } catch (const std::runtime_error& error) {
        count_throw();
        std::printf("plain %s %d ", error.what(), room[50]);
        return -1;
    }
}

Coro<> shared_errors() {
    auto task = create_task(thrower(throwers[10], true));
    for (int i = 0; i < 3; ++i) {
        try {
            co_await task;
        } catch (const std::runtime_error& error) {
            count_throw();
            std::printf("%s ", error.what());
        }
    }
    std::printf("%d\n", plain_function(task));
    const std::exception_ptr kept = std::make_exception_ptr(std::string("kept"));
    try {
        co_await thrower(throwers[2], true);
    } catch (const Left&) {
        count_throw();
        try {
            std::rethrow_exception(kept);
        } catch (const std::string& text) {
            std::printf("%s in a handler\n", text.c_str());
        }
    }
}

Coro<> waits_deep(int depth) {
    const Trace local("deep");
    if (depth > 0) {
        co_await waits_deep(depth - 1);
        co_return;
    }
    try {
        co_await asyncio::sleep(1h);
    } catch (const CancelledError&) {
        count_throw();
        throw;
    }
}

Coro<> cancelled_deep() {
    auto task = create_task(waits_deep(5));
    co_await asyncio::sleep(0s);
    task.cancel("stop");
    try {
        co_await task;
    } catch (const CancelledError& cancelled) {
        count_throw();
        std::printf("cancelled: %s\n", cancelled.message().c_str());
    }
}

Coro<> many(int count) {
    for (int i = 0; i < count; ++i) {
        try {
            co_await thrower(throwers[std::size_t(i) % throwers.size()], i % 3 == 0);
        } catch (...) {
            count_throw();
        }
    }
}

Coro<> everything() {
    for (std::size_t kind = 0; kind < throwers.size(); ++kind) {
        for (const bool waits : {false, true}) {
            std::printf("%zu/%d: ", kind, waits);
            co_await catches_rest(throwers[kind], waits);
        }
    }
    co_await shared_errors();
    co_await cancelled_deep();
    counted = quick = 0;
    co_await many(3000);
}

}  // namespace

int main() {
    run(everything(), {.backend = lowlevel::BackendKind::epoll});
    std::fprintf(stderr, "%d of %d\n", quick, counted);
}
