// Goal: waiting for what cannot come is refused instead of waited for: numbers that mean nothing,
// the back-end's own descriptors, what a file never reports. And no descriptor of the library's
// gets one of the numbers 0 to 2. Method: the list of the process's descriptors before and after a
// back-end is made; a child that is started without standard streams.

#include "conformance/child.h"
#include "conformance/harness.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <set>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace asyncio::lowlevel::conformance {
namespace {

std::set<int> open_numbers() {
    std::set<int> numbers;
    for (int number = 0; number < 256; ++number) {
        if (::fcntl(number, F_GETFD) >= 0) numbers.insert(number);
    }
    return numbers;
}

int result_of(Backend& backend, Operation& operation) {
    if (backend.submit(operation) == Submitted::finished) return operation.result;
    OperationList finished;
    backend.cancel(operation);
    while (operation.state == State::in_flight) backend.wait(internal::never, finished);
    ADD_FAILURE() << "waits for descriptor " << operation.fd;
    return 0;
}

TEST_P(Conformance, the_back_ends_own_descriptors_are_none_of_the_callers) {
    const std::set<int> before = open_numbers();
    auto another = make(GetParam());
    std::set<int> own = open_numbers();
    for (const int number : before) own.erase(number);
    ASSERT_FALSE(own.empty());
    for (const int number : own) {
        char byte = 0;
        Poll poll(number, POLLIN);
        Poll for_errors(number, 0);
        Read reading(number, std::span(&byte, 1));
        Write writing(number, std::string_view("12345678"));
        Close closing(number);
        for (Operation* operation :
             {static_cast<Operation*>(&poll), static_cast<Operation*>(&for_errors),
              static_cast<Operation*>(&reading), static_cast<Operation*>(&writing),
              static_cast<Operation*>(&closing)}) {
            EXPECT_EQ(result_of(*another, *operation), -EBADF) << number;
        }
        EXPECT_GE(::fcntl(number, F_GETFD), 0) << "closed";
    }
}

TEST_P(Conformance, a_poll_of_no_descriptor_is_EBADF) {
    const auto [reader, writer] = real_pipe();
    const int closed = ::dup(reader.get());
    ::close(closed);
    for (const int number : {-1, -7, closed, 1'000'000}) {
        for (const short events : {POLLIN, POLLOUT, 0}) {
            Poll poll(number, events);
            EXPECT_EQ(driver().run(poll), -EBADF) << number;
        }
    }
}

TEST_P(Conformance, what_a_file_never_reports_is_not_waited_for) {
    std::FILE* file = std::tmpfile();
    const Fd folder(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    for (const int number : {::fileno(file), folder.get()}) {
        for (const short events : {POLLPRI, 0}) {
            Poll poll(number, events);
            EXPECT_EQ(result_of(backend(), poll), -EPERM);
        }
        Poll ready(number, POLLIN);
        EXPECT_EQ(result_of(backend(), ready), POLLIN);
    }
    std::fclose(file);
}

TEST_P(Conformance, no_descriptor_gets_the_number_of_a_missing_standard_stream) {
    const Tested tested = GetParam();
    for (const int kept : {-1, 0, 2}) {
        const ChildEnd end = in_child([&]() -> std::string {
            for (int number = 0; number < 3; ++number) {
                if (number != kept) ::close(number);
            }
            std::string low;
            auto another = make(tested);
            MakePipe request;
            OperationList finished;
            if (another->submit(request) == Submitted::in_flight) {
                while (request.state != State::finished) another->wait(internal::never, finished);
            }
            if (request.result != 0) low += "no pipe ";
            Poll poll(request.ends[0], POLLIN);
            another->submit(poll);
            another->wait(internal::at_once, finished);
            for (const int number : open_numbers()) {
                if (number < 3 && number != kept) low += std::to_string(number) + " ";
            }
            return low.empty() ? "none" : low;
        });
        EXPECT_EQ(end.text, "none") << "with " << kept;
        EXPECT_TRUE(WIFEXITED(end.status) && WEXITSTATUS(end.status) == 0) << end.status;
    }
}

}  // namespace
}  // namespace asyncio::lowlevel::conformance
