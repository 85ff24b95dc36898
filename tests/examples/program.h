#pragma once
// Runs an example as its reader would, and tells what it printed and how long it took.

#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace examples {

struct Finished {
    std::vector<std::string> lines;  ///< Of standard output, without their ends.
    std::string errors;              ///< All of standard error.
    int status = -1;                 ///< The exit status; −N if signal N ended the program.
    double seconds = 0;              ///< Of real time.
};

/// Runs the example `name` to its end. `environment` ("NAME=value") is added to ours.
Finished run_example(const std::string& name, const std::vector<std::string>& arguments = {},
                     const std::vector<std::string>& environment = {});

/// In seconds: what has not waited for minutes is quicker, on a busy machine, too.
constexpr double soon = 100;

/// The tests run on a back-end that `ASYNCIO_BACKEND` names, and so do the examples.
bool on_simulated_backend();

/// The number in `text` after `before`; NaN if there is none.
double number_after(const std::string& text, const std::string& before);

/// The program ended as it should, and printed exactly this.
testing::AssertionResult printed(const Finished& run, const std::vector<std::string>& lines);

/// Exact to the millisecond on the simulated clock. On a real one, not early; how late a busy
/// machine makes it nobody knows, and what comes before what is seen from the order of the lines.
testing::AssertionResult is_time(double measured, double expected);

/// The first line of the example's source that contains `text`, counted from 1 and not looked for
/// before the one that contains `behind`; 0 if there is none.
int source_line(const std::string& name, const std::string& behind, const std::string& text);

}  // namespace examples
