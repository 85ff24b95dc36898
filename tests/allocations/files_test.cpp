// Files, folders and a watcher, with every allocation failing once on each back-end. How it is done
// is told in sweep.cpp.

#include <asyncio/file.h>
#include <asyncio/files.h>
#include <asyncio/watch.h>

#include "parts.h"
#include "sweep.h"

#include <string>
#include <utility>

#include <unistd.h>

using namespace asyncio;
using namespace allocations;

namespace {

/// A name of this process in a folder that both file systems have.
std::string path_of(const char* name) {
    return "/tmp/asyncio_allocations_" + std::to_string(::getpid()) + "_" + name;
}

}  // namespace

SCENARIO_EVERYWHERE(file_written_and_read) {
    {
        const File file = co_await File::open(path_of("file"), "w+");
        require(co_await file.write(std::string(long_text) + "\nrest") != 0, "written");
        require(co_await file.seek(0) == 0, "start");
        require(co_await file.readline() == std::string(long_text) + "\n", "line");
        require(co_await file.read() == "rest", "rest");
        require(co_await file.read_at(0, 1) == std::string(long_text).substr(0, 1), "place");
        co_await file.truncate(1);
        co_await file.close();
    }
    co_await files::write_text(path_of("file"), long_text, {.atomic = true});
    require(co_await files::read_text(path_of("file")) == long_text, "text");
    co_await files::remove(path_of("file"));
}

SCENARIO_EVERYWHERE(folder_watched_and_listed) {
    const std::string folder = path_of("folder");
    co_await files::mkdir(folder, {.parents = true, .exist_ok = true});
    const FileWatcher watcher = co_await watch(folder);
    co_await files::write_text(folder + "/a file with a long name", "x");
    const auto event = co_await watcher.next();
    require(event.has_value(), "event");
    require((co_await files::listdir(folder)).size() == 1, "names");
    co_await files::remove(folder + "/a file with a long name");
    co_await files::rmdir(folder);
}
