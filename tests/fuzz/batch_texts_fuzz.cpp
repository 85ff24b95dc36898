// Goal: what the command `asyncio batch` reads from files and options is read as a simple reader
// reads it, or refused: durations, limits, lines and items of inputs, job logs.
// Method: the first byte chooses the reader. The other bytes are the text.

#include <asyncio.h>

#include "batch/input/input.h"
#include "batch/job/halt.h"
#include "batch/report/joblog.h"
#include "fuzz/fuzz.h"
#include "terminal/duration.h"
#include "terminal/text.h"

#include <chrono>

namespace {

using namespace tool;
using fuzz::Input;
using fuzz::require;

void read_option(const std::string& text) {
    if (const auto duration = parse_duration(text)) {
        require(*duration >= asyncio::Duration::zero(), "a duration is not negative");
        require(*duration <= std::chrono::hours(24 * 36526), "a hundred years at most");
        require(text.find_first_of("0123456789") != text.npos, "a duration has a digit");
    }
    if (const auto halt = batch::parse_halt(text))
        require((halt->when == batch::Halt::When::never) == (halt->count == 0),
                "a rule has a number");
}

/// The lines, cut as a reader with the whole text does it. Nothing if there is a NUL.
std::optional<std::vector<std::string>> lines_of(std::string text) {
    if (text.find('\0') != text.npos) return {};
    std::vector<std::string> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string line = text.substr(0, end);
        if (line.ends_with('\r')) line.pop_back();
        if (lines.empty() && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
        lines.push_back(line);
        text.erase(0, end + 1);
    }
    return lines;
}

void read_input(std::string text) {
    static asyncio::EventLoop loop(asyncio::lowlevel::make_simulated_backend({}));
    batch::ItemReader reader(batch::input_of_text("input", text), batch::ItemEnd::line, "command");
    const auto expected = lines_of(std::move(text));
    std::vector<std::string> lines;
    try {
        loop.run_until_complete([](auto& from, auto& into) -> asyncio::Coro<> {
            while (auto line = co_await from.next()) into.push_back(std::move(*line));
        }(reader, lines));
        require(expected.has_value() && lines == *expected, "the lines are those of the text");
    } catch (const batch::InputError&) {
        require(!expected.has_value(), "a text without a NUL is read");
        require(lines.empty(), "nothing of a file with a NUL is read");
    }
}

/// A log is read, and each entry is found again in a log that holds only its line.
void read_log(const std::string& text) {
    const std::vector<batch::LogEntry> entries = batch::parse_job_log(text);
    require(entries.size() <= text.size(), "an entry has bytes");
    for (const batch::LogEntry& entry : entries) {
        batch::Job job;
        job.number = entry.number;
        job.command = entry.command;
        job.exit_code = entry.exit_value;
        job.signal = entry.signal;
        job.status = batch::Status::exited;
        const auto again = batch::parse_job_log(batch::log_line(job) + "\n");
        require(again.size() == 1, "a written line is read");
        require(again[0].number == entry.number && again[0].exit_value == entry.exit_value &&
                    again[0].signal == entry.signal && again[0].command == entry.command,
                "as it was");
    }
}

void show(const std::string& text, std::size_t limit) {
    for (const Charset charset : {Charset::ascii, Charset::utf8}) {
        const std::string line = shortened(text, limit, charset);
        require(line.find('\n') == line.npos && line.find('\x1b') == line.npos, "it can be shown");
        require(columns(line, charset) <= std::max<std::size_t>(limit, 3), "it fits");
        require(columns(padded(text, limit, charset), charset) >= limit, "it is filled");
    }
    const std::string valid = valid_utf8(text);
    require(valid_utf8(valid) == valid, "valid text stays as it is");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    Input input(bytes, size);
    switch (input.below(4)) {
        case 0: read_option(input.all()); break;
        case 1: read_input(input.all()); break;
        case 2: read_log(input.all()); break;
        default: {
            const std::size_t limit = input.below(80);
            show(input.all(), limit);
        }
    }
    return 0;
}
