// The Future object: every transition, and everything that is refused, in order.

#include "examples/program.h"

namespace {

using examples::Finished;
using examples::on_simulated_backend;
using examples::run_example;

TEST(future_object, shows_every_transition_and_every_refusal) {
    const Finished run = run_example("future_object");
    EXPECT_TRUE(examples::printed(
        run, {"pending: done false, cancelled false",
              "  result() of a pending one: InvalidStateError: the result is not set yet",
              "  exception() of a pending one: InvalidStateError: the result is not set yet",
              "  second one removed: true",
              "with a result: done true, cancelled false",
              "  callbacks run in the next iteration of the loop",
              "  first callback",
              "  third callback, result 42",
              "  awaited: 42",
              "  a second set_result: InvalidStateError: the future is done already",
              "  set_exception after it: InvalidStateError: the future is done already",
              "  cancel() after it: false",
              "  result() = 42, exception() is null: true",
              "  a callback of one that is done runs, too",
              "with an exception: done true, cancelled false",
              "  result(): it is broken",
              "  exception() is null: false",
              "cancel(): true",
              "cancelled: done true, cancelled true",
              "  result(): CancelledError",
              "  set_result: InvalidStateError: the future is done already",
              "  cancel() again: false",
              "task: done false",
              "  result() of a running task: InvalidStateError: the result is not set yet",
              "  the task answer is done",
              "  awaited: 42",
              "task: done true, result 42"}));
    EXPECT_GE(run.seconds, on_simulated_backend() ? 0.0 : 1.0);
    EXPECT_LT(run.seconds, examples::soon);
}

}  // namespace
