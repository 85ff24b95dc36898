// Random programs, run here and by CPython: the same words, the same trace. What the words mean and
// how the programs are made is told in random_programs.py.
//
// ASYNCIO_ORACLE_PROGRAMS=N runs N of them, ASYNCIO_ORACLE_FIRST_SEED=N begins elsewhere than at 1.

#include <asyncio/queue.h>
#include <asyncio/sync.h>

#include "oracle/clock.h"
#include "oracle/oracle.h"
#include "support/log_capture.h"

#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <sstream>
#include <vector>

namespace {

using namespace oracle;

constexpr std::size_t tasks = 4;
constexpr std::size_t others = 2;

// Reading programs --------------------------------------------------------------------------------

struct Statement;
using Block = std::vector<Statement>;

struct Statement {
    char kind = 0;
    std::vector<int> numbers;
    std::vector<Block> blocks;

    std::string name() const {
        std::string text(1, kind);
        for (const int number : numbers) text += " " + std::to_string(number);
        return text;
    }
};

std::size_t numbers_of(char kind) {
    if (kind == 'B' || kind == 'H') return 2;
    return std::string_view("RVZY").find(kind) == std::string_view::npos ? 1 : 0;
}

std::size_t blocks_of(const Statement& statement) {
    if (statement.kind == 'G') return static_cast<std::size_t>(statement.numbers[0]) + 1;
    if (statement.kind == 'Y') return 2;
    return std::string_view("TVZLK").find(statement.kind) == std::string_view::npos ? 0 : 1;
}

Block read_block(std::istream& words) {
    Block block;
    std::string word;
    words >> word;  // "("
    while (words >> word && word != ")") {
        Statement statement;
        statement.kind = word[0];
        statement.numbers.resize(numbers_of(statement.kind));
        for (int& number : statement.numbers) words >> number;
        const std::size_t count = blocks_of(statement);
        for (std::size_t i = 0; i < count; ++i) statement.blocks.push_back(read_block(words));
        block.push_back(std::move(statement));
    }
    return block;
}

// Running them ------------------------------------------------------------------------------------

class World {
public:
    explicit World(const std::string& text) {
        std::istringstream words(text);
        for (std::size_t i = 0; i < tasks; ++i) program_.push_back(read_block(words));
        for (std::size_t i = 0; i < others; ++i) {
            locks_.emplace_back();
            semaphores_.emplace_back(static_cast<std::ptrdiff_t>(1 + i));
            queues_.emplace_back(static_cast<std::ptrdiff_t>(1 + i));
            events_.emplace_back();
        }
    }

    Coro<> main() {
        for (std::size_t i = 0; i < others; ++i) futures_.push_back(new_future());
        for (std::size_t i = 0; i < tasks; ++i)
            tasks_.push_back(spawn("t" + std::to_string(i), run_block(program_[i])));
        co_await sleep(100s);
        for (;;) {
            const auto left = asyncio::all_tasks();
            if (left.size() == 1) break;
            for (const asyncio::TaskRef& task : left) {
                if (task != asyncio::current_task()) task.cancel();
            }
            co_await sleep(1s);
        }
        for (std::size_t i = 0; i < tasks; ++i) co_await end_of("t" + std::to_string(i), tasks_[i]);
    }

private:
    Coro<> run_block(const Block& block) {
        for (const Statement& statement : block) co_await run(statement);
    }

    Coro<> run(const Statement& statement) {
        std::string said;
        try {
            // g++ 12 destroys twice what a condition inside an awaited expression chooses.
            if (statement.blocks.empty()) {
                said = co_await simple(statement);
            } else {
                said = co_await nested(statement);
            }
        } catch (...) {
            say(statement.name() + ": " + text_of(std::current_exception()));
            throw;
        }
        say(statement.name() + (said.empty() ? "" : ": ") + said);
    }

    Coro<std::string> simple(const Statement& statement) {
        const auto first =
            static_cast<std::size_t>(statement.numbers.empty() ? 0 : statement.numbers[0]);
        switch (statement.kind) {
            case 'S': co_await sleep(std::chrono::seconds(first)); break;
            case 'A': co_await tasks_[first]; break;
            case 'C': co_return yes_no(tasks_[first].cancel());
            case 'B': cancel_later(first, static_cast<std::size_t>(statement.numbers[1])); break;
            case 'W': co_await futures_[first]; break;
            case 'F':
                if (!futures_[first].done()) futures_[first].set_result();
                break;
            case 'X':
                if (!futures_[first].done()) futures_[first].set_exception(Error("future"));
                break;
            case 'R': throw Error("thrown");
            case 'D': co_await shield(tasks_[first]); break;
            case 'H': co_return co_await gather_two(statement);
            case 'P': co_await queues_[first].put(1); break;
            case 'Q': co_await queues_[first].get(); break;
            case 'N':
                events_[first].set();
                events_[first].clear();
                break;
            case 'I': co_await events_[first].wait(); break;
            default: throw std::logic_error("no such statement: " + statement.name());
        }
        co_return "";
    }

    Coro<std::string> nested(const Statement& statement) {
        const auto first =
            static_cast<std::size_t>(statement.numbers.empty() ? 0 : statement.numbers[0]);
        const Block& block = statement.blocks[0];
        switch (statement.kind) {
            case 'T': {
                const auto body = [&] { return run_block(block); };
                co_await timeout(std::chrono::seconds(first), body);
                break;
            }
            case 'G': co_await group(statement); break;
            case 'V':
            case 'Z': co_return co_await swallow(block, statement.kind == 'Z');
            case 'Y': co_await clean_up_after(block, statement.blocks[1]); break;
            case 'L': {
                const auto held = co_await locks_[first].acquire();
                co_await run_block(block);
                break;
            }
            case 'K': {
                const auto held = co_await semaphores_[first].acquire();
                co_await run_block(block);
                break;
            }
            default: throw std::logic_error("no such statement: " + statement.name());
        }
        co_return "";
    }

    void cancel_later(std::size_t seconds, std::size_t task) {
        call_later(std::chrono::seconds(seconds), [&target = tasks_[task]] { target.cancel(); });
    }

    Coro<std::string> gather_two(const Statement& statement) {
        const auto& first = tasks_[static_cast<std::size_t>(statement.numbers[0])];
        const auto& second = tasks_[static_cast<std::size_t>(statement.numbers[1])];
        const auto ends = co_await gather_settled(first, second);
        const auto text = [](const asyncio::Outcome<void>& end) {
            return end.failed() ? text_of(end.error()) : std::string("value");
        };
        co_return text(std::get<0>(ends)) + ", " + text(std::get<1>(ends));
    }

    Coro<> group(const Statement& statement) {
        const auto body = [&](TaskGroup& own) -> Coro<> {
            const std::string name = asyncio::current_task().get_name() + ".";
            const std::size_t children = statement.blocks.size() - 1;
            for (std::size_t i = 0; i < children; ++i) {
                own.create_task(run_block(statement.blocks[i]), {.name = name + std::to_string(i)});
            }
            co_await run_block(statement.blocks[children]);
        };
        co_await task_group(body);
    }

    Coro<std::string> swallow(const Block& block, bool cancellations_too) {
        try {
            co_await run_block(block);
            co_return "";
        } catch (const CancelledError&) {
            if (!cancellations_too) throw;
        } catch (...) {  // said where it was thrown
        }
        co_return "swallowed";
    }

    Coro<> clean_up_after(const Block& block, const Block& cleanup) {
        std::exception_ptr cancellation;
        try {
            co_await run_block(block);
        } catch (const CancelledError&) {
            cancellation = std::current_exception();
        }
        if (cancellation == nullptr) co_return;
        co_await run_block(cleanup);
        std::rethrow_exception(cancellation);
    }

    std::vector<Block> program_;
    std::vector<Future<>> futures_;
    std::vector<Task<>> tasks_;
    // Deques, for none of these can be moved.
    std::deque<asyncio::Lock> locks_;
    std::deque<asyncio::Semaphore> semaphores_;
    std::deque<asyncio::Queue<int>> queues_;
    std::deque<asyncio::Event> events_;
};

/// The time, and the ticks since the first line at that time (see random_programs.py).
class Moment {
public:
    static void begin(EventLoop& loop) {
        began_ = loop.time();
        now_ = -1;
        set_position(&tell);
    }

private:
    static std::string tell(EventLoop& loop) {
        const auto passed = std::chrono::round<std::chrono::seconds>(loop.time() - began_).count();
        if (passed != now_) {
            now_ = passed;
            first_tick_ = loop.iterations();
        }
        return std::to_string(now_) + "+" + std::to_string(loop.iterations() - first_tick_);
    }

    static inline asyncio::TimePoint began_;
    static inline std::int64_t now_ = -1;
    static inline std::uint64_t first_tick_ = 0;
};

std::string run_program(const std::string& text) {
    clear_trace();
    EventLoop loop(std::make_unique<JumpingClock>(asyncio::lowlevel::make_backend()));
    loop.set_exception_handler([](EventLoop&, const asyncio::ErrorContext&) {});
    World world(text);
    Moment::begin(loop);
    loop.run_until_complete(loop.create_task(world.main(), {.name = "main"}));
    loop.close();
    set_position(nullptr);
    return trace_so_far();
}

int number_from_environment(const char* name, int otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::atoi(text);
}

struct Sample {
    std::string heading;
    std::string trace;
};

std::vector<Sample> parse(const std::string& output) {
    std::vector<Sample> samples;
    std::istringstream lines(output);
    for (std::string line; std::getline(lines, line);) {
        if (line.rfind("== ", 0) == 0) {
            samples.push_back({line.substr(3), {}});
        } else if (!samples.empty()) {
            samples.back().trace += line + "\n";
        }
    }
    return samples;
}

TEST(oracle_random_programs, leave_the_trace_that_cpython_leaves) {
    if (!python_is_here()) GTEST_SKIP() << "SKIPPED: the oracle needs python3, 3.11 or newer";
    const int count = number_from_environment("ASYNCIO_ORACLE_PROGRAMS", 300);
    const int first = number_from_environment("ASYNCIO_ORACLE_FIRST_SEED", 1);
    int status = 0;
    const std::string output =
        output_of("python3 -B '" ASYNCIO_SOURCE_DIR "/tests/oracle/random_programs.py' " +
                      std::to_string(first) + " " + std::to_string(count) + " 2>&1",
                  status);
    ASSERT_EQ(status, 0) << output.substr(output.size() > 3000 ? output.size() - 3000 : 0);
    const std::vector<Sample> samples = parse(output);
    ASSERT_EQ(samples.size(), static_cast<std::size_t>(count));
    const support::LogCapture log(asyncio::LogLevel::error);
    int different = 0;
    for (const Sample& sample : samples) {
        const std::string text = sample.heading.substr(sample.heading.find('('));
        const std::string ours = run_program(text);
        if (ours == sample.trace) continue;
        ADD_FAILURE() << "program " << sample.heading << "\n--- Python\n"
                      << sample.trace << "--- C++\n"
                      << ours;
        if (++different == 3) break;
    }
    // Futures that failed and were awaited by nobody, which is no concern here.
    support::LogCapture::take();
}

}  // namespace
