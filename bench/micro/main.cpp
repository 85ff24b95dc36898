// `micro`: nanoseconds per operation of the library's hot paths, one line each.
//
//   micro                      every benchmark
//   micro [--filter] WORD      those whose names contain WORD
//   micro --list               their names
//   micro --once NAME COUNT    one run of COUNT operations and no output but its time, for
//                              callgrind and perf
//
// A line shows the best run, the median and the worst. On a quiet machine the three are close. If
// they are not, the best run is the one with the least disturbance.

#include <asyncio.h>

#include "benchmark.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

namespace bench {
namespace {

constexpr const char* usage =
    "usage: micro [[--filter] WORD] | --list | --once NAME COUNT\n"
    "Prints nanoseconds per operation: best, median and worst of several runs.\n"
    "ASYNCIO_BACKEND=io_uring|epoll|simulated chooses the back-end.\n";

#if defined(__clang__)
constexpr const char* compiler = "clang " __clang_version__;
#else
constexpr const char* compiler = "g++ " __VERSION__;
#endif

#if defined(__OPTIMIZE__) && defined(NDEBUG)
constexpr const char* build = "optimised, without assertions";
#elif defined(__OPTIMIZE__)
constexpr const char* build = "optimised, but with assertions: not for comparing";
#else
constexpr const char* build = "not optimised: not for comparing";
#endif

/// `spawn_benchmarks` come first: `gather_spawn_fresh` among them needs a process that has not used
/// much memory yet.
std::vector<Benchmark> all_benchmarks() {
    std::vector<Benchmark> all;
    for (const auto group : {spawn_benchmarks(), await_benchmarks(), time_benchmarks(),
                             cancel_benchmarks(), sync_benchmarks(), thread_benchmarks(),
                             pipe_benchmarks(), datagram_benchmarks(), bare_benchmarks()}) {
        all.insert(all.end(), group.begin(), group.end());
    }
    return all;
}

asyncio::Coro<std::string> backend_name() { co_return asyncio::get_running_loop().backend_name(); }

void print_header() {
    std::printf("# asyncio for C++, %s, %s, back-end %s\n", compiler, build,
                asyncio::run(backend_name()).c_str());
    std::printf("# %-18s %9s %9s %9s\n", "ns per operation", "best", "median", "worst");
}

void measure(const Benchmark& benchmark) {
    std::vector<double> each;
    double bytes = 0;
    for (int i = 0; i < benchmark.repetitions; ++i) {
        const Cost cost = benchmark.run(benchmark.count);
        each.push_back(cost.nanoseconds / static_cast<double>(benchmark.count));
        bytes = cost.bytes / static_cast<double>(benchmark.count);
    }
    std::ranges::sort(each);
    std::printf("%-20s %9.1f %9.1f %9.1f  %s", std::string(benchmark.name).c_str(), each.front(),
                each[each.size() / 2], each.back(), std::string(benchmark.operation).c_str());
    if (bytes > 0) std::printf("; %.0f bytes each", bytes);
    std::printf("\n");
    std::fflush(stdout);
}

int run_matching(std::string_view word) {
    std::vector<Benchmark> chosen = all_benchmarks();
    std::erase_if(chosen, [word](const Benchmark& each) {
        return each.name.find(word) == std::string_view::npos;
    });
    if (chosen.empty()) {
        std::fprintf(stderr, "micro: no benchmark is called like \"%s\"\n",
                     std::string(word).c_str());
        return EXIT_FAILURE;
    }
    print_header();
    for (const Benchmark& benchmark : chosen) measure(benchmark);
    return EXIT_SUCCESS;
}

int list() {
    for (const Benchmark& benchmark : all_benchmarks()) {
        std::printf("%s\n", std::string(benchmark.name).c_str());
    }
    return EXIT_SUCCESS;
}

int run_once(std::string_view name, const std::string& count_text) {
    const std::uint64_t count = std::strtoull(count_text.c_str(), nullptr, 10);
    for (const Benchmark& benchmark : all_benchmarks()) {
        if (benchmark.name != name || count == 0) continue;
        const Cost cost = benchmark.run(count);
        std::printf("%.1f\n", cost.nanoseconds / static_cast<double>(count));
        return EXIT_SUCCESS;
    }
    std::fprintf(stderr, "micro: --once wants a name from --list and a count above zero\n");
    return EXIT_FAILURE;
}

int main_with(const std::vector<std::string>& arguments) {
    const std::string first = arguments.empty() ? "" : arguments[0];
    if (first == "--list" && arguments.size() == 1) return list();
    if (first == "--once" && arguments.size() == 3) return run_once(arguments[1], arguments[2]);
    if (first == "--filter" && arguments.size() == 2) return run_matching(arguments[1]);
    if (arguments.empty()) return run_matching("");
    if (arguments.size() == 1 && !first.starts_with("-")) return run_matching(first);
    const bool asked = first == "--help" || first == "-h";
    std::fputs(usage, asked ? stdout : stderr);
    return asked ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace bench

int main(int count, char** arguments) {
    try {
        return bench::main_with({arguments + 1, arguments + count});
    } catch (const std::exception& error) {
        std::fprintf(stderr, "micro: %s\n", error.what());
        return EXIT_FAILURE;
    }
}
