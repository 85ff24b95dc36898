// The chat: a room and people in one process, in the simulation as well as on the network, and the
// program.

#define main chat_main
#include "../../examples/chat.cpp"
#undef main

#include "examples/running.h"
#include "support/run_test.h"

namespace {

using examples::Output;
using namespace std::chrono_literals;

/// A room on a port of its own. Its people are tasks of the test.
class TestRoom {
public:
    Coro<> open() {
        const auto serve = [this](StreamReader reader, StreamWriter writer) {
            return serve_person(room_, std::move(reader), std::move(writer));
        };
        server_ = co_await start_server(serve, "127.0.0.1", 0);
    }
    /// The people who are still there see the end.
    Coro<> close() {
        server_.close();
        server_.close_clients();
        co_await server_.wait_closed();
    }

    int port() const { return server_.port(); }
    std::size_t people() const { return room_.size(); }

private:
    Room room_;
    Server server_;
};

/// A person whose input and output the test has.
struct TestPerson {
    Task<> task;
    StreamWriter says;
    StreamReader hears;
};

Coro<TestPerson> let_come(const TestRoom& room, std::string name) {
    Pipe input = co_await open_pipe();
    Pipe output = co_await open_pipe();
    const std::size_t before = room.people();
    TestPerson person;
    person.task = create_task(go_there("127.0.0.1", room.port(), std::move(name),
                                       std::move(input.reader), std::move(output.writer)));
    person.says = std::move(input.writer);
    person.hears = std::move(output.reader);
    while (room.people() == before) co_await sleep(1ms);
    co_return person;
}

Coro<> expect_line(const StreamReader& reader, std::string expected) {
    const std::string line = co_await reader.readline();
    EXPECT_EQ(line, expected);
}

TEST(chat, gives_each_line_to_all_others) {
    support::run_test([]() -> Coro<> {
        TestRoom room;
        co_await room.open();
        TestPerson ann = co_await let_come(room, "ann");
        TestPerson bob = co_await let_come(room, "bob");
        TestPerson eve = co_await let_come(room, "eve");
        co_await ann.says.send("hello\n");
        co_await expect_line(ann.hears, "* bob has come\n");
        co_await expect_line(ann.hears, "* eve has come\n");
        co_await expect_line(bob.hears, "* eve has come\n");
        co_await expect_line(bob.hears, "ann: hello\n");
        co_await expect_line(eve.hears, "ann: hello\n");
        co_await bob.says.send("good bye");
        bob.says.close();
        co_await bob.task;
        co_await expect_line(ann.hears, "bob: good bye\n");
        co_await expect_line(ann.hears, "* bob has left\n");
        co_await expect_line(eve.hears, "bob: good bye\n");
        ann.says.close();
        co_await ann.task;
        co_await room.close();
        co_await eve.task;
        co_await expect_line(eve.hears, "* bob has left\n");
        co_await expect_line(eve.hears, "* ann has left\n");
        co_await expect_line(eve.hears, "");
    });
}

TEST(chat, many_lines_at_once_lose_nothing) {
    support::run_test([]() -> Coro<> {
        TestRoom room;
        co_await room.open();
        TestPerson ann = co_await let_come(room, "ann");
        TestPerson bob = co_await let_come(room, "bob");
        std::string lines;
        for (int i = 0; i < 2000; ++i) lines += std::to_string(i) + "\n";
        Task<> saying = create_task([](const StreamWriter& to, std::string text) -> Coro<> {
            co_await to.send(text);
        }(ann.says, lines));
        co_await expect_line(ann.hears, "* bob has come\n");
        for (int i = 0; i < 2000; ++i)
            co_await expect_line(bob.hears, "ann: " + std::to_string(i) + "\n");
        co_await saying;
        ann.says.close();
        bob.says.close();
        co_await ann.task;
        co_await bob.task;
        co_await room.close();
    });
}

TEST(chat, a_person_who_does_not_read_has_to_leave_and_stops_nobody) {
    support::run_test([]() -> Coro<> {
        TestRoom room;
        co_await room.open();
        TestPerson ann = co_await let_come(room, "ann");
        TestPerson bob = co_await let_come(room, "bob");
        const Stream slow = co_await open_connection("127.0.0.1", room.port());
        co_await slow.send("slow\n");
        co_await expect_line(ann.hears, "* bob has come\n");
        co_await expect_line(ann.hears, "* slow has come\n");
        co_await expect_line(bob.hears, "* slow has come\n");
        // More than a connection and the queue hold together.
        const std::string line(50'000, 'x');
        int heard = 0;
        for (bool has_left = false; !has_left && heard < 1000; ++heard) {
            co_await ann.says.send(line + "\n");
            std::string got = co_await bob.hears.readline();
            if (got.starts_with("* slow")) {
                EXPECT_EQ(got, "* slow was too slow, and had to leave\n");
                has_left = true;
                got = co_await bob.hears.readline();
            }
            EXPECT_TRUE(got == "ann: " + line + "\n");
        }
        EXPECT_LT(heard, 1000);
        co_await expect_line(ann.hears, "* slow was too slow, and had to leave\n");
        EXPECT_EQ(room.people(), 2U);
        ann.says.close();
        bob.says.close();
        co_await ann.task;
        co_await bob.task;
        co_await room.close();
    });
}

TEST(chat, a_connection_without_a_name_is_not_told_to_the_others) {
    support::run_test([]() -> Coro<> {
        TestRoom room;
        co_await room.open();
        TestPerson ann = co_await let_come(room, "ann");
        const Stream nameless = co_await open_connection("127.0.0.1", room.port());
        nameless.write("\n");
        nameless.write_eof();
        const std::string answer = co_await nameless.read();
        EXPECT_EQ(answer, "");
        EXPECT_EQ(room.people(), 1U);
        ann.says.close();
        co_await ann.task;
        co_await expect_line(ann.hears, "");
        co_await room.close();
    });
}

TEST(chat, is_a_program_for_the_room_and_for_people) {
    if (examples::on_simulated_backend()) return;
    support::run_test([]() -> Coro<> {
        std::vector<std::string> words{"server", "0"};
        auto room = co_await examples::start_server_example("chat", words);
        std::vector<std::string> ann_words{"127.0.0.1", room.port, "ann"};
        std::vector<std::string> bob_words{"127.0.0.1", room.port, "bob"};
        const Stream eve = co_await open_connection("127.0.0.1", std::stoi(room.port));
        co_await eve.send("eve\n");
        Process ann = co_await examples::start_example("chat", ann_words);
        co_await expect_line(eve.reader, "* ann has come\n");
        Process bob = co_await examples::start_example("chat", bob_words);
        co_await expect_line(ann.stdout, "* bob has come\n");
        co_await ann.stdin.send("hello bob\n");
        co_await expect_line(bob.stdout, "ann: hello bob\n");
        const auto farewell = co_await bob.communicate("good bye\n");
        EXPECT_EQ(bob.returncode(), 0) << farewell.stderr;
        co_await expect_line(ann.stdout, "bob: good bye\n");
        co_await expect_line(ann.stdout, "* bob has left\n");
        const Output end = co_await examples::stop(std::move(room.process), SIGTERM);
        EXPECT_EQ(end.status, -SIGTERM);
        const auto closed = co_await ann.communicate();
        EXPECT_EQ(closed.stderr, "chat: the room has closed\n");
    });
}

TEST(chat, says_how_it_is_used) {
    EXPECT_EQ(examples::run_example("chat", {"--help"}).status, 0);
    EXPECT_EQ(examples::run_example("chat", {"server"}).status, 2);
    EXPECT_EQ(examples::run_example("chat", {"localhost", "port", "ann"}).status, 2);
}

}  // namespace
