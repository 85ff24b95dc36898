#include "peers/conversation.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iterator>
#include <random>
#include <sstream>
#include <utility>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace peers_test {
namespace {

constexpr std::size_t chunk_bytes = 64 * 1024;
/// No divisor of the size of a record.
constexpr std::size_t period_bytes = 65537;

/// The check sum of Python's zlib.crc32.
class Crc32 {
public:
    void add(std::string_view bytes) {
        for (const char byte : bytes)
            state_ = table()[(state_ ^ static_cast<unsigned char>(byte)) & 255] ^ (state_ >> 8);
    }
    std::uint32_t value() const { return ~state_; }

private:
    static const std::array<std::uint32_t, 256>& table() {
        static const auto made = [] {
            std::array<std::uint32_t, 256> entries{};
            for (std::uint32_t i = 0; i < 256; ++i) {
                std::uint32_t entry = i;
                for (int bit = 0; bit < 8; ++bit)
                    entry = (entry & 1) != 0 ? (entry >> 1) ^ 0xedb88320U : entry >> 1;
                entries[i] = entry;
            }
            return entries;
        }();
        return made;
    }

    std::uint32_t state_ = 0xffffffffU;
};

/// Numbers go over the wire with the highest byte first.
std::string bytes_of(std::uint64_t number, std::size_t size) {
    std::string bytes(size, '\0');
    for (std::size_t i = size; i-- > 0; number >>= 8) bytes[i] = static_cast<char>(number & 255);
    return bytes;
}
std::uint64_t number_of(std::string_view bytes) {
    std::uint64_t number = 0;
    for (const char byte : bytes) number = (number << 8) | static_cast<unsigned char>(byte);
    return number;
}

std::string block_of(std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::string block(period_bytes, '\0');
    for (char& byte : block) byte = static_cast<char>(random() & 255);
    return block;
}

/// Returns the check sum of what was sent.
Coro<std::uint32_t> send_data(const Stream& stream, std::uint64_t size) {
    const std::string block = block_of(size);
    Crc32 crc;
    co_await stream.send(bytes_of(size, 8));
    for (std::uint64_t left = size; left > 0;) {
        const std::string_view part = std::string_view(block).substr(0, left);
        crc.add(part);
        left -= part.size();
        co_await stream.send(part);
    }
    co_return crc.value();
}

std::vector<std::string> words_of(const std::string& command) {
    std::istringstream stream(command);
    return {std::istream_iterator<std::string>(stream), std::istream_iterator<std::string>()};
}

}  // namespace

bool is_installed(const std::string& program) {
    const char* path = std::getenv("PATH");
    std::istringstream folders(path != nullptr ? path : "/usr/bin:/bin");
    for (std::string folder; std::getline(folders, folder, ':');)
        if (::access((folder + "/" + program).c_str(), X_OK) == 0) return true;
    return false;
}

int free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
    ::close(fd);
    return ntohs(address.sin_port);
}

Coro<Peer> Peer::start(std::string command) {
    const SubprocessOptions options{.stdin = PIPE, .stdout = PIPE, .stderr = STDOUT};
    Process process = co_await create_subprocess_exec(words_of(command), options);
    co_return Peer(std::move(process));
}

Coro<> Peer::say(std::string text) { co_await process_.stdin.send(std::move(text)); }

/// The program writes what is wrong before it ends.
Coro<std::string> Peer::output_until(std::string text) {
    std::string output;
    try {
        output = co_await process_.stdout.readuntil(text);
    } catch (const IncompleteReadError& error) {
        throw std::runtime_error("no \"" + text + "\" in: " + error.partial());
    }
    co_return output;
}

Coro<std::string> Peer::end() {
    Process::Output output = co_await process_.communicate();
    EXPECT_EQ(process_.returncode(), 0) << output.stdout;
    co_return std::move(output.stdout);
}

Coro<> Peer::stop() {
    process_.kill();
    co_await process_.communicate();
}

Coro<bool> ask(const Stream& stream, std::uint64_t size) {
    Task<std::uint32_t> sending = create_task(send_data(stream, size));
    Crc32 echoed;
    for (std::uint64_t left = size; left > 0;) {
        const std::string data = co_await stream.read(
            static_cast<std::size_t>(std::min<std::uint64_t>(left, chunk_bytes)));
        if (data.empty()) throw std::runtime_error(std::to_string(left) + " bytes are missing");
        echoed.add(data);
        left -= data.size();
    }
    const std::string seen = co_await stream.readexactly(4);
    const std::uint32_t sent = co_await sending;
    co_return sent == echoed.value() && sent == number_of(seen);
}

Coro<std::uint64_t> answer(const Stream& stream) {
    const std::string header = co_await stream.readexactly(8);
    const std::uint64_t size = number_of(header);
    Crc32 crc;
    for (std::uint64_t left = size; left > 0;) {
        const std::string data = co_await stream.read(
            static_cast<std::size_t>(std::min<std::uint64_t>(left, chunk_bytes)));
        if (data.empty()) throw std::runtime_error(std::to_string(left) + " bytes are missing");
        crc.add(data);
        left -= data.size();
        co_await stream.send(data);
    }
    co_await stream.send(bytes_of(crc.value(), 4));
    co_return size;
}

}  // namespace peers_test
