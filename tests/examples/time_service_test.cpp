// A lost question is asked again, and the answers come in order.

#include "examples/program.h"

namespace {

using examples::Finished;
using examples::number_after;
using examples::run_example;

TEST(time_service, asks_again_when_a_question_was_lost) {
    const Finished run = run_example("time_service");
    ASSERT_EQ(run.status, 0) << run.errors;
    ASSERT_EQ(run.lines.size(), 5u);
    // Every third datagram is lost: the third question, and its second attempt is the fourth.
    int attempts = 0;
    double last_time = 0;
    for (std::size_t line = 0; line < run.lines.size(); ++line) {
        const std::string& text = run.lines[line];
        EXPECT_EQ(number_after(text, "answer "), static_cast<double>(line + 1)) << text;
        attempts += static_cast<int>(number_after(text, "attempt "));
        const double time = number_after(text, ": ");
        EXPECT_GE(time, last_time) << text;
        last_time = time;
    }
    if (examples::on_simulated_backend()) {
        EXPECT_EQ(attempts, 7);
    }
    EXPECT_GE(attempts, 7);
    EXPECT_LT(run.seconds, examples::soon);
}

TEST(time_service, a_service_that_is_not_there_is_an_error) {
    // The port for discarded data, where no program of a test machine listens.
    const Finished run = run_example("time_service", {"ask", "127.0.0.1", "9"});
    EXPECT_EQ(run.status, 1);
    EXPECT_NE(run.errors.find("Connection refused"), std::string::npos) << run.errors;
}

TEST(time_service, says_how_it_is_used) {
    EXPECT_EQ(run_example("time_service", {"--help"}).status, 2);
    EXPECT_EQ(run_example("time_service", {"serve"}).status, 2);
    EXPECT_EQ(run_example("time_service", {"ask", "127.0.0.1", "70000"}).status, 2);
}

}  // namespace
