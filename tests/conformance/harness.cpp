#include "conformance/harness.h"

#include <asyncio/exceptions.h>

#include "backend/make_backend.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <ostream>

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace asyncio::lowlevel::conformance {

std::string name_of(Tested tested) {
    switch (tested) {
        case Tested::io_uring: return "io_uring";
        case Tested::io_uring_plain: return "io_uring_plain";
        case Tested::epoll: return "epoll";
        case Tested::simulated: return "simulated";
        case Tested::simulated_seeded: return "simulated_seeded";
        case Tested::io_uring_owned: return "io_uring_owned";
        case Tested::epoll_owned: return "epoll_owned";
    }
    return "?";
}

void PrintTo(Tested tested, std::ostream* out) { *out << name_of(tested); }

std::unique_ptr<Backend> make(Tested tested) {
    switch (tested) {
        case Tested::io_uring:
        case Tested::io_uring_owned: return make_io_uring_backend();
        case Tested::io_uring_plain: return make_io_uring_backend(RingFlags::none_wished);
        case Tested::epoll:
        case Tested::epoll_owned: return make_epoll_backend();
        case Tested::simulated: return make_simulated_backend(SimulationOptions{});
        case Tested::simulated_seeded:
            return make_simulated_backend(SimulationOptions{.seed = simulation_seed});
    }
    return nullptr;
}

namespace {

bool is_socket(int fd) {
    struct stat about{};
    return ::fstat(fd, &about) == 0 && S_ISSOCK(about.st_mode);
}

}  // namespace

bool Driver::submit(Operation& operation) {
    EXPECT_NE(operation.state, State::in_flight);
    if (owns_sockets_ && operation.kind != OperationKind::poll && is_socket(operation.fd))
        operation.blocking = Blocking::owned;
    if (backend_.submit(operation) == Submitted::finished) {
        EXPECT_EQ(operation.state, State::finished);
        EXPECT_FALSE(operation.linked());
        return false;
    }
    EXPECT_EQ(operation.state, State::in_flight);
    EXPECT_TRUE(in_flight_.insert(&operation).second);
    return true;
}

void Driver::cancel(Operation& operation) {
    backend_.cancel(operation);
    EXPECT_EQ(operation.state, State::in_flight) << "a cancelled operation is reported by `wait`";
}

std::size_t Driver::wait(TimePoint deadline) {
    OperationList finished;
    EXPECT_EQ(backend_.wait(deadline, finished), Backend::Waited::ok);
    std::size_t reported = 0;
    while (!finished.empty()) {
        Operation& operation = finished.pop_front();
        ++reported;
        EXPECT_EQ(in_flight_.erase(&operation), 1u) << "reported, and not in flight";
        EXPECT_EQ(operation.state, State::finished);
        EXPECT_NE(operation.result, -EINTR);
        EXPECT_NE(operation.result, -EAGAIN);
    }
    return reported;
}

void Driver::finish(Operation& operation) {
    const TimePoint end = backend_.now() + patience;
    while (is_in_flight(operation) && backend_.now() < end) wait(end);
    ASSERT_FALSE(is_in_flight(operation)) << "never reported";
}

void Driver::finish_all() {
    const TimePoint end = backend_.now() + patience;
    while (!in_flight_.empty() && backend_.now() < end) wait(end);
    ASSERT_EQ(in_flight_.size(), 0u) << "never reported";
}

int Driver::run(Operation& operation) {
    if (submit(operation)) finish(operation);
    return operation.result;
}

int Driver::wait_out(TimePoint deadline) {
    int waits = 0;
    while (backend_.now() < deadline) {
        wait(deadline);
        ++waits;
    }
    return waits;
}

void Conformance::SetUp() {
    try {
        backend_ = make(GetParam());
    } catch (const OsError& refused) {
        const bool a_ring = name_of(GetParam()).starts_with("io_uring");
        if (!a_ring) throw;
        GTEST_SKIP() << "NOT TESTED: io_uring is not available: " << refused.what();
    }
    const bool owns = GetParam() == Tested::io_uring_owned || GetParam() == Tested::epoll_owned;
    driver_ = std::make_unique<Driver>(*backend_, owns);
}

void Conformance::TearDown() {
    if (!driver_) return;
    EXPECT_EQ(driver_->in_flight(), 0u) << "the test left operations in flight";
    while (!open_.empty()) {
        int number = open_.back();
        close_end(number);
    }
}

Pipe Conformance::open_pipe() {
    MakePipe request;
    EXPECT_EQ(driver_->run(request), 0);
    open_.insert(open_.end(), {request.ends[0], request.ends[1]});
    return {request.ends[0], request.ends[1]};
}

void Conformance::close_end(int& number) {
    Close request(number);
    EXPECT_EQ(driver_->run(request), 0);
    std::erase(open_, number);
    number = -1;
}

int Conformance::write(int fd, std::string_view text) {
    Write request(fd, text);
    return driver_->run(request);
}

std::string Conformance::read(int fd, std::size_t size) {
    std::string bytes(size, '\0');
    Read request(fd, bytes);
    const int count = driver_->run(request);
    EXPECT_GE(count, 0);
    bytes.resize(static_cast<std::size_t>(std::max(count, 0)));
    return bytes;
}

std::size_t Conformance::fill(int fd) {
    const std::string block(4096, '.');
    std::size_t written = 0;
    for (;;) {
        Write request(fd, block);
        if (driver_->submit(request)) driver_->wait_out(soon());
        const bool full = driver_->is_in_flight(request);
        if (full) {
            driver_->cancel(request);
            driver_->finish(request);
        }
        if (request.result > 0) written += static_cast<std::size_t>(request.result);
        if (full) return written;
    }
}

std::string Conformance::read_exactly(int fd, std::size_t count) {
    std::string all;
    while (all.size() < count) {
        const std::string part = read(fd, count - all.size());
        EXPECT_FALSE(part.empty());
        if (part.empty()) break;
        all += part;
    }
    return all;
}

void Conformance::drain(int fd, std::size_t count) { static_cast<void>(read_exactly(fd, count)); }

int Sockets::run(const OperationRequest& request) {
    Asked asked(request);
    return driver_->run(asked);
}

int Sockets::keep(int fd) {
    EXPECT_GT(fd, 2);
    open_.push_back(fd);
    return fd;
}

int Sockets::close(int fd) {
    std::erase(open_, fd);
    Close request(fd);
    return driver_->run(request);
}

int Sockets::make_socket(int family, int type) {
    return keep(run({.kind = OperationKind::socket,
                     .events = static_cast<std::int16_t>(family),
                     .flags = type}));
}

namespace {

SocketAddress loopback() {
    SocketAddress address;
    auto& inet = reinterpret_cast<sockaddr_in&>(address.storage);
    inet.sin_family = AF_INET;
    inet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.length = sizeof inet;
    return address;
}

}  // namespace

int Sockets::bound_datagram_socket(SocketAddress& address) {
    const int fd = make_socket(AF_INET, SOCK_DGRAM);
    address = loopback();
    EXPECT_EQ(run({.kind = OperationKind::bind,
                   .fd = fd,
                   .buffer = address.get(),
                   .size = address.length}),
              0);
    EXPECT_EQ(run({.kind = OperationKind::getsockname,
                   .fd = fd,
                   .buffer = address.get(),
                   .size = sizeof address.storage}),
              0);
    return fd;
}

int Sockets::listener(SocketAddress& address, int backlog) {
    const int fd = make_socket(AF_INET, SOCK_STREAM);
    address = loopback();
    EXPECT_EQ(run({.kind = OperationKind::bind,
                   .fd = fd,
                   .buffer = address.get(),
                   .size = address.length}),
              0);
    EXPECT_EQ(
        run({.kind = OperationKind::listen, .fd = fd, .size = static_cast<std::size_t>(backlog)}),
        0);
    EXPECT_EQ(run({.kind = OperationKind::getsockname,
                   .fd = fd,
                   .buffer = address.get(),
                   .size = sizeof address.storage}),
              0);
    return fd;
}

int Sockets::connect(int fd, SocketAddress& to) {
    return run({.kind = OperationKind::connect, .fd = fd, .buffer = to.get(), .size = to.length});
}

int Sockets::accept(int listening) {
    return keep(run({.kind = OperationKind::accept, .fd = listening}));
}

std::pair<int, int> Sockets::connection() {
    SocketAddress address;
    const int listening = listener(address);
    const int connecting = make_socket(AF_INET, SOCK_STREAM);
    EXPECT_EQ(connect(connecting, address), 0);
    const int accepted = accept(listening);
    EXPECT_EQ(close(listening), 0);
    return {connecting, accepted};
}

int Sockets::send(int fd, std::string_view text, int flags) {
    int sent = 0;
    do {
        const int count = run({.kind = OperationKind::send,
                               .fd = fd,
                               .flags = flags,
                               .buffer = const_cast<char*>(text.data()),
                               .size = text.size()});
        if (count < 0) return count;
        sent += count;
        text.remove_prefix(static_cast<std::size_t>(count));
    } while (!text.empty());
    return sent;
}

std::string Sockets::recv_exactly(int fd, std::size_t size) {
    std::string bytes;
    while (bytes.size() < size) {
        const std::string more = recv(fd, size - bytes.size());
        if (more.empty()) break;
        bytes += more;
    }
    return bytes;
}

std::string Sockets::recv(int fd, std::size_t size) {
    std::string bytes(size, '\0');
    const int count =
        run({.kind = OperationKind::recv, .fd = fd, .buffer = bytes.data(), .size = size});
    EXPECT_GE(count, 0);
    bytes.resize(static_cast<std::size_t>(std::max(count, 0)));
    return bytes;
}

void Files::SetUp() {
    Conformance::SetUp();
    if (!driver_) return;
    folder_ = "/tmp";
    if (std::string_view(backend_->name()) == "simulated") return;
    folder_ = std::filesystem::temp_directory_path() / "asyncio_files_XXXXXX";
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
}

void Files::TearDown() {
    Conformance::TearDown();
    std::error_code ignored;
    const bool is_real = driver_ && std::string_view(backend_->name()) != "simulated";
    if (is_real) std::filesystem::remove_all(folder_, ignored);
}

const char* Files::path(std::string_view name) {
    return paths_.emplace_back(folder_ + "/" + std::string(name)).c_str();
}

int Files::run(const OperationRequest& request) {
    Asked asked(request);
    return driver_->run(asked);
}

int Files::open(const char* path, int flags, unsigned mode) {
    return run({.kind = OperationKind::open,
                .fd = AT_FDCWD,
                .flags = flags,
                .buffer = const_cast<char*>(path),
                .size = mode});
}

int Files::opened(const char* path, int flags, unsigned mode) {
    const int fd = open(path, flags, mode);
    EXPECT_GT(fd, 2) << path;
    open_.push_back(fd);
    return fd;
}

int Files::close(int fd) {
    std::erase(open_, fd);
    Close request(fd);
    return driver_->run(request);
}

void Files::make_file(const char* path, std::string_view content) {
    const int fd = opened(path, O_WRONLY | O_CREAT | O_TRUNC);
    std::int64_t written = 0;
    while (!content.empty()) {
        const int count = pwrite(fd, content, written);
        ASSERT_GT(count, 0);
        written += count;
        content.remove_prefix(static_cast<std::size_t>(count));
    }
    EXPECT_EQ(close(fd), 0);
}

std::string Files::content(const char* path) {
    const int fd = open(path, O_RDONLY);
    if (fd < 0) return "error " + std::to_string(-fd);
    std::string all;
    char part[10'000];
    for (int count = 1; count > 0; all.append(part, static_cast<std::size_t>(count))) {
        Read reading(fd, part);
        count = std::max(driver_->run(reading), 0);
        EXPECT_GE(reading.result, 0);
    }
    EXPECT_EQ(close(fd), 0);
    return all;
}

int Files::pread(int fd, std::span<char> into, std::int64_t offset) {
    return run({.kind = OperationKind::pread,
                .fd = fd,
                .buffer = into.data(),
                .size = into.size(),
                .offset = offset});
}

int Files::pwrite(int fd, std::string_view bytes, std::int64_t offset) {
    return run({.kind = OperationKind::pwrite,
                .fd = fd,
                .buffer = const_cast<char*>(bytes.data()),
                .size = bytes.size(),
                .offset = offset});
}

int Files::stat(const char* path, struct statx& about) {
    return run({.kind = OperationKind::statx,
                .fd = AT_FDCWD,
                .buffer = const_cast<char*>(path),
                .size = STATX_BASIC_STATS,
                .second = &about});
}

bool Files::exists(const char* path) {
    struct statx about{};
    return stat(path, about) == 0;
}

int Files::unlink(const char* path, int flags) {
    return run({.kind = OperationKind::unlink,
                .fd = AT_FDCWD,
                .flags = flags,
                .buffer = const_cast<char*>(path)});
}

int Files::mkdir(const char* path) {
    return run({.kind = OperationKind::mkdir,
                .fd = AT_FDCWD,
                .buffer = const_cast<char*>(path),
                .size = 0700});
}

int Files::rename(const char* from, const char* to, int flags) {
    return run({.kind = OperationKind::rename,
                .fd = AT_FDCWD,
                .second_fd = AT_FDCWD,
                .flags = flags,
                .buffer = const_cast<char*>(from),
                .second = const_cast<char*>(to)});
}

std::vector<std::string> Files::names_in(const char* path) {
    std::vector<std::string> names;
    const int fd = opened(path, O_RDONLY | O_DIRECTORY);
    // Room for a few records only, so that a folder takes several calls.
    alignas(dirent64) char records[128];
    for (;;) {
        const int size = run(
            {.kind = OperationKind::getdents, .fd = fd, .buffer = records, .size = sizeof records});
        EXPECT_GE(size, 0);
        if (size <= 0) break;
        for (int at = 0; at < size;) {
            const auto* record = reinterpret_cast<const dirent64*>(records + at);
            const std::string name = record->d_name;
            if (name != "." && name != "..") names.push_back(name);
            at += record->d_reclen;
        }
    }
    EXPECT_EQ(close(fd), 0);
    std::sort(names.begin(), names.end());
    return names;
}

Conformance::Anchor::Anchor(Driver& driver)
    : driver_(driver), ends_(real_pipe()), poll_(ends_.first.get(), POLLIN) {
    EXPECT_TRUE(driver_.submit(poll_));
}

Conformance::Anchor::~Anchor() {
    driver_.cancel(poll_);
    driver_.finish(poll_);
}

std::pair<Fd, Fd> real_pipe(int flags) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::pipe2(ends, flags), 0);
    return {Fd(ends[0]), Fd(ends[1])};
}

std::pair<Fd, Fd> real_sockets() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    return {Fd(ends[0]), Fd(ends[1])};
}

namespace {

std::string name_of_instance(const testing::TestParamInfo<Tested>& info) {
    return name_of(info.param);
}

constexpr Tested all[] = {Tested::io_uring, Tested::io_uring_plain, Tested::epoll,
                          Tested::simulated, Tested::simulated_seeded};
/// How a socket is used matters for the back-ends of the kernel.
constexpr Tested with_owned[] = {
    Tested::io_uring,         Tested::io_uring_plain, Tested::epoll,      Tested::simulated,
    Tested::simulated_seeded, Tested::io_uring_owned, Tested::epoll_owned};
constexpr Tested on_kernel[] = {Tested::io_uring, Tested::io_uring_plain, Tested::epoll};

}  // namespace

INSTANTIATE_TEST_SUITE_P(, Conformance, testing::ValuesIn(all), name_of_instance);
INSTANTIATE_TEST_SUITE_P(, Sockets, testing::ValuesIn(with_owned), name_of_instance);
INSTANTIATE_TEST_SUITE_P(, OwnedSockets,
                         testing::Values(Tested::io_uring_owned, Tested::epoll_owned),
                         name_of_instance);
INSTANTIATE_TEST_SUITE_P(, Files, testing::ValuesIn(all), name_of_instance);
INSTANTIATE_TEST_SUITE_P(, OnKernel, testing::ValuesIn(on_kernel), name_of_instance);

}  // namespace asyncio::lowlevel::conformance
