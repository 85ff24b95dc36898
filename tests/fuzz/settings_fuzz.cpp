// Goal: the texts that a user gives to the library are read or refused with a message: plans of
// faults, seeds, the name of a back-end.
// Method: the first byte chooses the reader. A plan that was read is written and read again.

#include <asyncio/lowlevel/backend.h>
#include <asyncio/testing/fault_plan.h>
#include <asyncio/testing/seed.h>

#include "fuzz/fuzz.h"

#include <stdexcept>

namespace {

using namespace asyncio;
using fuzz::Input;
using fuzz::require;

void read_plan(const std::string& text) {
    testing::FaultPlan plan;
    try {
        plan = testing::plan_of_text(text);
    } catch (const std::invalid_argument& error) {
        require(std::string_view(error.what()).starts_with("fault plan: "), "the error says where");
        return;
    }
    const std::string written = testing::to_text(plan);
    const testing::FaultPlan again = testing::plan_of_text(written);
    require(again.size() == plan.size(), "what is written is read");
    require(testing::to_text(again) == written, "what is read is written as before");
    for (std::size_t i = 0; i < plan.size(); ++i) {
        require(again[i].when == plan[i].when, "the times stay");
        require(again[i].what.kind == plan[i].what.kind, "the kinds stay");
        require(again[i].what.one == plan[i].what.one, "the hosts stay");
        require(again[i].what.skew == plan[i].what.skew, "the skews stay");
    }
}

/// The value of a variable of the environment, while the object lives.
class Variable {
public:
    Variable(const char* name, const std::string& value) : name_(name) {
        ::setenv(name, value.c_str(), 1);
    }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;
    ~Variable() { ::unsetenv(name_); }

private:
    const char* name_;
};

/// A seed is digits and nothing else. Both readers of the variable have the same rule.
void read_seed(const std::string& value) {
    const std::string word = value.substr(0, value.find('\0'));
    const bool is_digits = word.find_first_not_of("0123456789") == word.npos;
    const Variable seed("ASYNCIO_SEED", word);
    const Variable backend("ASYNCIO_BACKEND", "simulated");
    require(testing::seed_is_given() == !word.empty(), "the empty text is no seed");
    bool is_read = true;
    try {
        const std::uint64_t number = testing::seed_or(7);
        require(is_digits, "a seed is digits");
        if (word.empty()) require(number == 7, "without a seed the usual one counts");
    } catch (const std::invalid_argument&) {
        is_read = false;
        require(!is_digits || word.size() >= 20, "a number of 64 bits is a seed");
    }
    try {
        static_cast<void>(lowlevel::make_backend(lowlevel::BackendKind::automatic));
        require(is_read, "the back-end reads what the tests read");
    } catch (const std::invalid_argument&) {
        require(!is_read, "the back-end refuses what the tests refuse");
    }
}

void read_backend(const std::string& value) {
    const std::string word = value.substr(0, value.find('\0'));
    // These open descriptors, which takes long and tests nothing here.
    if (word.empty() || word == "io_uring" || word == "epoll") return;
    const Variable backend("ASYNCIO_BACKEND", word);
    try {
        static_cast<void>(lowlevel::make_backend(lowlevel::BackendKind::automatic));
        require(word == "simulated", "only a known name is accepted");
    } catch (const std::invalid_argument& error) {
        require(word != "simulated", "a known name is accepted");
        require(std::string_view(error.what()).find(word) != std::string_view::npos, "quoted");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    Input input(bytes, size);
    switch (input.below(4)) {
        case 0: read_seed(input.all()); break;
        case 1: read_backend(input.all()); break;
        default: read_plan(input.all());
    }
    return 0;
}
