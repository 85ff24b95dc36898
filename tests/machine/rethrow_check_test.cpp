// Goal: the quick throw is used only where the runtime library keeps its notes about an exception
// as the quick throw writes them. Method: the header of an exception that was thrown the usual way
// passes the check, and each change of it is found. That the environment rules quick throws out is
// shown by tests/consumer/quick_throw.sh, which starts programs.

#include "machine/rethrow_check.h"

#include <cstdlib>
#include <string_view>

#include <gtest/gtest.h>

#ifdef ASYNCIO_WITH_QUICK_THROW

#include "machine/exception_header.h"

#include <cstring>
#include <utility>

#include <cxxabi.h>

namespace {

using asyncio::internal::DependentException;
using asyncio::internal::ExpectedException;
using asyncio::internal::is_as_expected;
using asyncio::internal::ThreadExceptions;

/// A header that is a copy, and gives nothing back.
class Copy {
public:
    explicit Copy(const DependentException& header) {
        std::memcpy(bytes_, static_cast<const void*>(&header), sizeof bytes_);
    }
    DependentException& operator*() { return *reinterpret_cast<DependentException*>(bytes_); }
    DependentException* operator->() { return &**this; }

private:
    alignas(DependentException) unsigned char bytes_[sizeof(DependentException)];
};

/// Calls `look(header, expected)` in a handler of an error that was thrown the usual way.
template <class Look>
[[gnu::noinline]] void in_handler(Look look) {
    const auto* thread = reinterpret_cast<const ThreadExceptions*>(abi::__cxa_get_globals());
    const void* const before = thread->caught;
    const std::exception_ptr error = std::make_exception_ptr(7);
    try {
        std::rethrow_exception(error);
    } catch (const int& caught) {
        look(*static_cast<const DependentException*>(thread->caught),
             ExpectedException{&caught, before, reinterpret_cast<void*>(&in_handler<Look>)});
    }
}

TEST(rethrow_check, the_runtime_librarys_own_exception_is_as_expected) {
    in_handler([](const DependentException& header, const ExpectedException& expected) {
        EXPECT_TRUE(is_as_expected(header, expected));
    });
}

TEST(rethrow_check, every_field_that_is_elsewhere_is_noticed) {
    in_handler([](const DependentException& header, const ExpectedException& expected) {
        const auto is_noticed = [&](auto change) {
            Copy copy(header);
            change(*copy);
            return !is_as_expected(*copy, expected);
        };
        using Header = DependentException;
        EXPECT_FALSE(is_noticed([](Header&) {}));
        EXPECT_TRUE(is_noticed([](Header& h) { h.caught_object = &h; }));
        EXPECT_TRUE(is_noticed([](Header& h) { h.next_caught = &h; }));
        EXPECT_TRUE(is_noticed([](Header& h) { h.handler_count = 2; }));
        EXPECT_TRUE(is_noticed([](Header& h) { h.selector = 0; }));
        EXPECT_TRUE(is_noticed([](Header& h) { h.action = nullptr; }));
        EXPECT_TRUE(is_noticed([](Header& h) { h.lsda = nullptr; }));
        EXPECT_TRUE(is_noticed([](Header& h) { h.landing = 1; }));
        EXPECT_TRUE(is_noticed([](Header& h) { h.terminate_handler = nullptr; }));
        EXPECT_TRUE(is_noticed([](Header& h) { ++h.unwind.exception_class; }));
        EXPECT_TRUE(is_noticed([](Header& h) { h.unwind.exception_cleanup = nullptr; }));
        EXPECT_TRUE(is_noticed([](Header& h) {
            // The copy owns nothing, so its pointer is overwritten and not assigned to.
            std::memset(static_cast<void*>(&h.primary), 0, sizeof h.primary);
        }));
    });
}

TEST(rethrow_check, here_quick_throws_pass_the_trial) {
    const char* wanted = std::getenv("ASYNCIO_QUICK_THROW");
    const bool is_ruled_out = wanted != nullptr && std::string_view(wanted) == "0";
    EXPECT_EQ(asyncio::internal::may_throw_quickly(), !is_ruled_out);
}

}  // namespace

#else

TEST(rethrow_check, a_build_without_quick_throws_never_uses_them) {
    EXPECT_FALSE(asyncio::internal::may_throw_quickly());
}

#endif
