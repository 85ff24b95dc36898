// A room where people talk: `chat server PORT` is the room, `chat HOST PORT NAME` goes there.
//
// The server gives each line to all other people in the room. A person whose connection is slow
// must not stop the others. So each person has a queue of lines that wait for the connection. A
// person whose queue is full has to leave, and the others are told so.

#include <asyncio.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>

using namespace asyncio;

namespace {

constexpr const char* usage =
    "usage: chat server PORT     the room; port 0 lets the system choose\n"
    "       chat HOST PORT NAME  goes there, and says the lines of standard input\n";

struct Person {
    std::string name;
    StreamWriter connection;
    Queue<std::string> lines{100};
    bool is_too_slow = false;
};

using Room = std::vector<Person*>;

/// Never waits. The connection of a person who has to leave is aborted; the task that serves the
/// person sees that, and ends.
void tell(const Room& room, const std::string& line, const Person* except = nullptr) {
    for (Person* person : room) {
        if (person == except || person->is_too_slow || person->lines.try_put(line)) continue;
        person->is_too_slow = true;
        person->connection.abort();
    }
}

/// The person is in the room for as long as this object lives.
struct Visit {
    Visit(Room& to, Person& of) : room(to), person(of) {
        tell(room, fmt::format("* {} has come\n", person.name));
        room.push_back(&person);
    }
    ~Visit() {
        std::erase(room, &person);
        const char* what = person.is_too_slow ? "was too slow, and had to leave" : "has left";
        tell(room, fmt::format("* {} {}\n", person.name, what));
    }

    Room& room;
    Person& person;
};

Coro<> send_lines(Person& person) {
    for (;;) co_await person.connection.send(co_await person.lines.get());
}

/// A read that finds its line in the buffer does not wait. So after each line the other tasks run
/// once. Otherwise a thousand short lines that come at once would fill every queue.
Coro<> receive_lines(const Room& room, const Person& person, Lines lines) {
    while (const auto line = co_await lines.next()) {
        const char* end = line->ends_with('\n') ? "" : "\n";
        tell(room, fmt::format("{}: {}{}", person.name, *line, end), &person);
        co_await sleep(Duration::zero());
    }
}

/// The first line of a connection is the name.
Coro<> serve_person(Room& room, StreamReader reader, StreamWriter writer) {
    std::string name = co_await reader.readline();
    if (name.size() < 2) co_return;
    name.pop_back();
    Person person{std::move(name), std::move(writer)};
    const Visit visit(room, person);
    const auto talk = [&](TaskGroup& group) -> Coro<> {
        Task<> sending = group.create_task(send_lines(person));
        co_await receive_lines(room, person, reader.lines());
        sending.cancel();
    };
    try {
        co_await task_group(talk);
    } catch (const ExceptionGroup& errors) {
        fmt::print(stderr, "chat: {}: {}\n", person.name, errors.what());
    }
}

Coro<> serve_room(int port) {
    Room room;
    const auto serve = [&room](StreamReader reader, StreamWriter writer) {
        return serve_person(room, std::move(reader), std::move(writer));
    };
    const Server server = co_await start_server(serve, "127.0.0.1", port);
    fmt::print("listening on {}\n", server.addresses().front().to_string());
    co_await server.serve_forever();
}

/// At the end of the input the room sees the end of the connection, and closes it.
Coro<> copy(const StreamReader& from, const StreamWriter& to) {
    for (;;) {
        std::string part = co_await from.read(4096);
        if (part.empty()) break;
        co_await to.send(std::move(part));
    }
    to.write_eof();
}

Coro<> go_there(std::string host, int port, std::string name, StreamReader input,
                StreamWriter output) {
    const Stream room = co_await open_connection(host, port);
    co_await room.send(name + "\n");
    const auto talk = [&](TaskGroup& group) -> Coro<> {
        Task<> speaking = group.create_task(copy(input, room.writer));
        co_await copy(room.reader, output);
        if (speaking.cancel()) fmt::print(stderr, "chat: the room has closed\n");
    };
    co_await task_group(talk);
}

bool is_number(const std::string& text) {
    return !text.empty() && text.size() < 6 && text.find_first_not_of("0123456789") == text.npos;
}

}  // namespace

int main(int argc, char** argv) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    const bool is_room = arguments.size() == 2 && arguments[0] == "server";
    if ((!is_room && arguments.size() != 3) || !is_number(arguments[1])) {
        fmt::print("{}", usage);
        return arguments == std::vector<std::string>{"--help"} ? 0 : 2;
    }
    try {
        const auto chat = [&, port = std::stoi(arguments[1])] {
            if (is_room) return serve_room(port);
            return go_there(arguments[0], port, arguments[2], open_stdin(), open_stdout());
        };
        run(chat, {.terminate_on = {SIGTERM}});
    } catch (const std::exception& error) {
        fmt::print(stderr, "chat: {}\n", error.what());
        return 1;
    }
    return 0;
}
