// `tail -F`: prints the last lines of files, and then what is added to them, until Ctrl-C.
//
// The program watches the folders and not the files. So it sees that a file is rotated (the name
// goes to a new file), and a file may be missing at first. One task serves any number of files.

#include <asyncio.h>

#include <cstdio>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>

using asyncio::Coro;
using asyncio::File;
using asyncio::FileEvent;

constexpr const char* usage = "usage: tail FILE ...\n";
constexpr std::size_t last_lines = 10;

/// The folder of a plain name is ".".
std::pair<std::string, std::string> split(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return {".", path};
    return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

/// As the watcher names it in its events.
std::string as_in_events(const std::string& path) {
    const auto [folder, name] = split(path);
    return folder == "/" ? folder + name : folder + "/" + name;
}

struct Followed {
    std::string path;  ///< As the user wrote it.
    File file;         ///< Holds no file while there is none of this name.
};

class Tail {
public:
    Coro<> follow(std::vector<std::string> paths) {
        for (const std::string& path : paths) files_[as_in_events(path)].path = path;
        asyncio::FileWatcher watcher;
        for (const std::string& path : paths) {
            // Watched before the file is read, so that nothing is missed that is added in between.
            const std::string folder = split(path).first;
            if (folders_.empty()) watcher = co_await asyncio::watch(folder);
            if (folders_.insert(folder).second) co_await watcher.add(folder);
            Followed& followed = files_[as_in_events(path)];
            co_await open(followed);
            co_await print_last_lines(followed);
        }
        while (auto event = co_await watcher.next()) co_await handle(*event);
    }

private:
    Coro<> handle(FileEvent event) {
        if (event.kind == FileEvent::Kind::overflow) {
            for (auto& [path, followed] : files_) co_await print_rest(followed);
            co_return;
        }
        if (const auto found = files_.find(event.path); found != files_.end()) {
            co_await print_rest(found->second);
            if (event.kind == FileEvent::Kind::created) co_await reopen(found->second);
            if (event.kind == FileEvent::Kind::moved || event.kind == FileEvent::Kind::removed)
                note(found->second, "is gone; waiting for a new file of this name");
        }
        if (const auto target = files_.find(event.to); target != files_.end()) {
            co_await print_rest(target->second);
            co_await reopen(target->second);
        }
    }

    Coro<> open(Followed& followed) {
        try {
            followed.file = co_await File::open(followed.path);
        } catch (const asyncio::OsError& error) {
            fmt::print(stderr, "tail: {}\n", error.what());
        }
    }

    Coro<> reopen(Followed& followed) {
        followed.file = File();
        co_await open(followed);
        if (!followed.file.closed()) note(followed, "is a new file");
        co_await print_rest(followed);
    }

    Coro<> print_last_lines(Followed& followed) {
        if (followed.file.closed()) co_return;
        std::deque<std::string> last;
        auto lines = followed.file.lines();
        while (auto line = co_await lines.next()) {
            last.push_back(std::move(*line));
            if (last.size() > last_lines) last.pop_front();
        }
        std::string text;
        for (const std::string& line : last) text += line;
        print(followed, text);
    }

    /// What was added since the last time. A file that has become shorter was written anew.
    Coro<> print_rest(Followed& followed) {
        if (followed.file.closed()) co_return;
        const auto length = static_cast<std::int64_t>(co_await followed.file.size());
        if (length < followed.file.tell()) {
            note(followed, "was cut off");
            co_await followed.file.seek(0);
        }
        const std::string text = co_await followed.file.read();
        print(followed, text);
    }

    void print(const Followed& followed, const std::string& text) {
        if (text.empty()) return;
        if (files_.size() > 1 && std::exchange(shown_, &followed) != &followed)
            fmt::print("==> {} <==\n", followed.path);
        fmt::print("{}", text);
        std::fflush(stdout);
    }

    static void note(const Followed& followed, const char* what) {
        fmt::print(stderr, "tail: {} {}\n", followed.path, what);
    }

    std::map<std::string, Followed> files_;
    std::set<std::string> folders_;
    /// The file whose text was printed last.
    const Followed* shown_ = nullptr;
};

int main(int argc, char** argv) {
    if (argc < 2) {
        fmt::print("{}", usage);
        return 2;
    }
    Tail tail;
    try {
        asyncio::run(tail.follow({argv + 1, argv + argc}));
    } catch (const asyncio::KeyboardInterrupt&) {
        return 130;
    } catch (const asyncio::OsError& error) {
        fmt::print(stderr, "tail: {}\n", error.what());
        return 1;
    }
}
