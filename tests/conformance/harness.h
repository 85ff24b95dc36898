#pragma once
// What the conformance suite is built with: operations that are filled in as they are declared, a
// driver that holds every back-end to "reported exactly once", and the list of back-ends.
//
// Every rule is tested on all of them. `io_uring_plain` is a ring as an old kernel grants it,
// without any of the flags that make it cheaper, which changes when completions appear.
// `simulated_seeded` is the simulated back-end with a seed under which it delays, shortens and
// shuffles, as the contract permits. `…_owned` are the back-ends with sockets that say that they
// are owned (`Blocking::owned`). A test that needs the kernel (signals in a waiting call,
// descriptors running out) belongs to `OnKernel`, which leaves the simulated ones out.

#include <asyncio/lowlevel/backend.h>
#include <asyncio/lowlevel/fd.h>

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

namespace asyncio::lowlevel::conformance {

using namespace std::chrono_literals;
using Submitted = Backend::Submitted;
using State = Operation::State;

/// The seed of `simulated_seeded`.
inline constexpr std::uint64_t simulation_seed = 20240229;

enum class Tested : std::uint8_t {
    io_uring,
    io_uring_plain,
    epoll,
    simulated,
    simulated_seeded,
    io_uring_owned,
    epoll_owned,
};

std::string name_of(Tested tested);
std::unique_ptr<Backend> make(Tested tested);

struct Read : Operation {
    Read(int descriptor, std::span<char> into) {
        kind = OperationKind::read;
        fd = descriptor;
        buffer = into.data();
        size = into.size();
    }
};

struct Write : Operation {
    Write(int descriptor, std::span<const char> from) {
        kind = OperationKind::write;
        fd = descriptor;
        buffer = const_cast<char*>(from.data());
        size = from.size();
    }
};

struct Poll : Operation {
    Poll(int descriptor, short asked) {
        kind = OperationKind::poll;
        fd = descriptor;
        events = asked;
    }
};

struct Close : Operation {
    explicit Close(int descriptor) {
        kind = OperationKind::close;
        fd = descriptor;
    }
};

struct MakePipe : Operation {
    MakePipe() {
        kind = OperationKind::pipe;
        buffer = ends;
    }
    int ends[2] = {-1, -1};
};

/// Any other request, as `Asked({.kind = OperationKind::accept, .fd = listener})`.
struct Asked : Operation {
    explicit Asked(const OperationRequest& request) {
        static_cast<OperationRequest&>(*this) = request;
    }
};

/// Drives a back-end and checks, at every step, what must hold at every step: states change when
/// the contract says so, and nothing is reported that is not in flight.
class Driver {
public:
    /// With `owns_sockets` every operation on a socket says that the socket is owned, except polls.
    explicit Driver(Backend& backend, bool owns_sockets = false)
        : backend_(backend), owns_sockets_(owns_sockets) {}
    Driver(const Driver&) = delete;
    Driver& operator=(const Driver&) = delete;

    /// Whether the operation is in flight now (else it is finished).
    bool submit(Operation& operation);
    void cancel(Operation& operation);

    /// One `wait`. Returns how many operations it reported.
    std::size_t wait(TimePoint deadline);

    /// Waits until the operation is reported. Fails the test after a minute of the back-end's
    /// time.
    void finish(Operation& operation);
    void finish_all();

    /// Submits and finishes; the result.
    int run(Operation& operation);

    /// Waits until `deadline` has passed, however early the single waits return. Returns how many
    /// of them there were.
    int wait_out(TimePoint deadline);

    bool is_in_flight(const Operation& operation) const { return in_flight_.contains(&operation); }
    std::size_t in_flight() const { return in_flight_.size(); }

private:
    static constexpr Duration patience = 60s;

    Backend& backend_;
    bool owns_sockets_;
    std::unordered_set<const Operation*> in_flight_;
};

/// The two ends of a pipe of the back-end's own.
struct Pipe {
    int reader = -1;
    int writer = -1;
};

class Conformance : public testing::TestWithParam<Tested> {
protected:
    void SetUp() override;
    void TearDown() override;

    Backend& backend() { return *backend_; }
    Driver& driver() { return *driver_; }
    TimePoint soon() { return backend_->now() + 1ms; }

    Pipe open_pipe();
    void close_end(int& number);

    int write(int fd, std::string_view text);
    /// One read of at most `size` bytes.
    std::string read(int fd, std::size_t size = 4096);
    /// Writes until the pipe is full. Returns how many bytes it took.
    std::size_t fill(int fd);
    /// Reads until `count` bytes have come.
    std::string read_exactly(int fd, std::size_t count);
    /// Reads `count` bytes and throws them away.
    void drain(int fd, std::size_t count);

    /// An operation on a real descriptor, in flight as long as the object lives. It keeps a
    /// simulated world in real time, so that it waits for other threads.
    class Anchor {
    public:
        explicit Anchor(Driver& driver);
        ~Anchor();

    private:
        Driver& driver_;
        std::pair<Fd, Fd> ends_;
        Poll poll_;
    };

    std::unique_ptr<Backend> backend_;
    std::unique_ptr<Driver> driver_;

    /// The descriptors that `TearDown` closes.
    std::vector<int> open_;
};

/// For rules that only a back-end on the kernel can break.
class OnKernel : public Conformance {};

/// A socket address of any family, with the length that the calls give it.
struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;

    sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

/// Sockets that the back-end makes.
class Sockets : public Conformance {
protected:
    /// A number ≥ 0 that `TearDown` closes.
    int make_socket(int family, int type);
    /// A listener on the loopback address and a port that the system chooses.
    int listener(SocketAddress& address, int backlog = 16);
    /// A connected pair over TCP: the one that connected, and the accepted one.
    std::pair<int, int> connection();
    /// A datagram socket bound to a port of the loopback address.
    int bound_datagram_socket(SocketAddress& address);

    int run(const OperationRequest& request);
    int connect(int fd, SocketAddress& to);
    int accept(int listening);
    /// Sends everything, in as many calls as that takes. The number of bytes, or the first error.
    int send(int fd, std::string_view text, int flags = 0);
    /// One receive: what has come, or a datagram.
    std::string recv(int fd, std::size_t size = 4096);
    /// As many receives as it takes; less only at the end of the stream.
    std::string recv_exactly(int fd, std::size_t size);
    int close(int fd);
    /// To be closed in the end, if the test has not done so.
    int keep(int fd);
};

/// Files in an empty folder: a real one, or a folder of the simulated world.
class Files : public Conformance {
protected:
    void SetUp() override;
    void TearDown() override;

    /// The path of a name in the folder. Lives as long as the test.
    const char* path(std::string_view name);

    int run(const OperationRequest& request);
    int open(const char* path, int flags, unsigned mode = 0600);
    /// An open that must succeed. `TearDown` closes the number.
    int opened(const char* path, int flags, unsigned mode = 0600);
    int close(int fd);
    /// Makes a file with this content.
    void make_file(const char* path, std::string_view content);
    /// All that the file holds; "error N" if it cannot be opened.
    std::string content(const char* path);
    int pread(int fd, std::span<char> into, std::int64_t offset);
    int pwrite(int fd, std::string_view bytes, std::int64_t offset);
    /// Asks for all that is known of a file. Returns the result of the call.
    int stat(const char* path, struct statx& about);
    bool exists(const char* path);
    int unlink(const char* path, int flags = 0);
    int mkdir(const char* path);
    int rename(const char* from, const char* to, int flags = 0);
    /// The names in a folder, sorted, without "." and "..".
    std::vector<std::string> names_in(const char* path);

private:
    std::string folder_;
    /// A deque, because the texts must stay where they are.
    std::deque<std::string> paths_;
};

/// For what a back-end remembers of owned sockets.
class OwnedSockets : public Sockets {};

/// A real pipe, non-blocking unless asked otherwise: read end, write end.
std::pair<Fd, Fd> real_pipe(int flags = O_NONBLOCK | O_CLOEXEC);
/// A connected pair of non-blocking stream sockets.
std::pair<Fd, Fd> real_sockets();

}  // namespace asyncio::lowlevel::conformance
