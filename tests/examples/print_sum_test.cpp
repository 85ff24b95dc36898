// One coroutine awaits another, which waits for a second.

#include "examples/program.h"

namespace {

using examples::run_example;

TEST(print_sum, computes_for_a_second_and_prints) {
    const examples::Finished run = run_example("print_sum");
    EXPECT_TRUE(examples::printed(run, {"Compute 1 + 2 ...", "1 + 2 = 3"}));
    if (!examples::on_simulated_backend()) {
        EXPECT_GE(run.seconds, 1);
    }
    EXPECT_LT(run.seconds, examples::soon);
}

}  // namespace
