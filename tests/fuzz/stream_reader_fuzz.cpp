// Goal: every read of a StreamReader returns what a simple reader of the whole text returns,
// however the bytes come: lines, separators of several lengths, numbers of bytes, and their limits.
// Method: the input has the pieces in which a task writes, the reads, and the text. A separator is
// made of few letters, so separators overlap and begin within each other.

#include <asyncio.h>
#include <asyncio/testing/memory_stream.h>

#include "fuzz/fuzz.h"

#include <vector>

namespace {

using namespace asyncio;
using fuzz::Input;
using fuzz::require;

struct Scene {
    std::size_t limit = 0;
    std::vector<std::size_t> pieces = {};
    Input reads;
    std::string text = {};
    /// How many bytes of the text were read.
    std::size_t at = 0;

    std::string_view rest() const { return std::string_view(text).substr(at); }
    void expect(const std::string& got, std::size_t size) {
        require(got == rest().substr(0, size), "a read returns the next bytes");
        at += got.size();
    }
};

Coro<> write_pieces(Scene& scene, StreamWriter writer) {
    std::size_t sent = 0;
    for (std::size_t i = 0; sent < scene.text.size(); ++i) {
        const std::size_t size = scene.pieces[i % scene.pieces.size()];
        co_await writer.send(scene.text.substr(sent, size + 1));
        sent += size + 1;
        if (size % 3 != 0) co_await sleep(Duration::zero());
    }
    writer.write_eof();
}

/// Where the chunk ends, for a simple reader, and whether it is too long.
std::pair<std::size_t, bool> find_simply(const Scene& scene,
                                         const std::vector<std::string>& separators) {
    std::size_t longest = 0;
    for (const std::string& separator : separators) longest = std::max(longest, separator.size());
    for (std::size_t end = 1; end <= scene.rest().size(); ++end)
        for (const std::string& separator : separators)
            if (scene.rest().substr(0, end).ends_with(separator))
                return {end, end - separator.size() > scene.limit};
    return {std::string::npos, scene.rest().size() + 1 > longest + scene.limit};
}

/// The lines are those of `readuntil("\n")`, except at the end.
Coro<> read_chunk(Scene& scene, const StreamReader& reader, std::vector<std::string> separators,
                  bool is_line) {
    const auto [end, is_long] = find_simply(scene, separators);
    const std::vector<std::string_view> views(separators.begin(), separators.end());
    try {
        const std::string got =
            is_line ? co_await reader.readline() : co_await reader.readuntil(views);
        require(is_line || end != std::string::npos, "only a line ends without an end");
        require(!is_long, "the limit is checked");
        scene.expect(got, std::min(end, scene.rest().size()));
    } catch (const LimitOverrunError& error) {
        require(is_long, "the limit is not reached");
        require(error.consumed() <= scene.rest().size(), "what was consumed is there");
    } catch (const IncompleteReadError& error) {
        require(!is_line && end == std::string::npos && !is_long, "no separator");
        scene.expect(error.partial(), std::string::npos);
    }
}

Coro<> read_exactly(Scene& scene, const StreamReader& reader, std::size_t size) {
    try {
        scene.expect(co_await reader.readexactly(size), size);
    } catch (const IncompleteReadError& error) {
        require(size > scene.rest().size(), "there were not enough bytes");
        scene.expect(error.partial(), std::string::npos);
    }
}

Coro<> read_all(Scene& scene, StreamReader reader) {
    while (!scene.reads.at_end()) {
        const std::size_t what = scene.reads.below(6);
        std::vector<std::string> separators = {"\n"};
        if (what == 1) separators = {scene.reads.text(1 + scene.reads.below(4))};
        for (std::size_t i = 0; what == 2 && i < 3; ++i)
            separators.push_back(scene.reads.text(1 + scene.reads.below(5)));
        std::erase(separators, "");
        if (separators.empty()) co_return;
        if (what <= 2) co_await read_chunk(scene, reader, separators, what == 0);
        if (what == 3) co_await read_exactly(scene, reader, scene.reads.byte());
        if (what < 4) continue;
        const std::size_t most = what == 4 ? 1 + scene.reads.byte() : 0;
        const std::string some = most > 0 ? co_await reader.read(most) : reader.take_buffered();
        require(most == 0 || some.size() <= most, "at most so many");
        require(most == 0 || !some.empty() || scene.rest().empty(), "nothing only at the end");
        scene.expect(some, some.size());
    }
}

Coro<> play(Scene& scene) {
    testing::MemoryChannels ends = testing::memory_channels(get_running_loop(), {64});
    StreamWriter writer(get_running_loop(), ends.first);
    StreamReader reader(get_running_loop(), ends.second, {.limit = scene.limit});
    Task<> writing = create_task(write_pieces(scene, std::move(writer)));
    co_await read_all(scene, std::move(reader));
    writing.cancel();
    co_await internal::settle(std::move(writing));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    static EventLoop loop(lowlevel::make_simulated_backend({}));
    Input input(bytes, size);
    Scene scene{.limit = input.below(32), .reads = {nullptr, 0}};
    for (std::size_t count = input.below(8) + 1; count > 0; --count)
        scene.pieces.push_back(input.below(16));
    const std::string reads = input.short_text();
    scene.reads = Input(reinterpret_cast<const std::uint8_t*>(reads.data()), reads.size());
    scene.text = input.all();
    loop.run_until_complete(play(scene));
    return 0;
}
