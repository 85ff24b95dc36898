// Goal and method: as in things_test.cpp, for files and what watches them.

#include <asyncio.h>

#include "places/places.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

using namespace asyncio;
using places::call;
using places::function;
using places::Made;
using places::refused;
using places::refused_as;
using places::thing;
using places::works;

constexpr const char* own_file = "/proc/self/cmdline";

Made<File> open_file() { co_return std::make_shared<File>(co_await File::open(own_file)); }

Made<FileWatcher> watcher() { co_return std::make_shared<FileWatcher>(co_await watch("/tmp")); }

// clang-format off
//                       no loop     another     closed      gone        callback
const std::vector<places::Row> open_files{
    thing("File::read()", open_file, [](File& it) -> Coro<> { co_await it.read(1); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("File::read_into()", open_file,
          [](File& it) -> Coro<> { co_await it.read_into({}); },
                        {refused_as("File::read"), refused_as("File::read"),
                         refused_as("File::read"), refused_as("File::read"),
                         refused_as("File::read")}),
    thing("File::readline()", open_file, [](File& it) -> Coro<> { co_await it.readline(); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("File::write()", open_file, [](File& it) -> Coro<> { co_await it.write("x"); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("File::read_at()", open_file, [](File& it) -> Coro<> { co_await it.read_at(0, 1); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("File::write_at()", open_file, [](File& it) -> Coro<> { co_await it.write_at(0, "x"); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("File::seek()", open_file, [](File& it) -> Coro<> { co_await it.seek(0); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("File::truncate()", open_file, [](File& it) -> Coro<> { co_await it.truncate(0); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("File::flush()", open_file, [](File& it) -> Coro<> { co_await it.flush(); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("File::sync()", open_file, [](File& it) -> Coro<> { co_await it.sync(); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("File::stat()", open_file, [](File& it) -> Coro<> { co_await it.stat(); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("File::size()", open_file, [](File& it) -> Coro<> { co_await it.size(); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("File::close()", open_file, [](File& it) -> Coro<> { co_await it.close(); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("File, asked", open_file, call<File>([](File& it) {
              if (it.closed() || it.fileno() < 0 || it.tell() != 0 || it.name() != own_file)
                  throw std::logic_error("another file");
          }),           {works,      works,      works,      works,      works}),
    thing("File, destroyed", open_file, call<File>([](File& it) { it = File(); }),
                        {works,      works,      works,      works,      works}),
    thing("FileWatcher::next()", watcher, [](FileWatcher& it) -> Coro<> { co_await it.next(); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("FileWatcher::add()", watcher, [](FileWatcher& it) -> Coro<> { co_await it.add("/"); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("FileWatcher::remove()", watcher,
          call<FileWatcher>([](FileWatcher& it) { it.remove("/tmp"); }),
                        {refused,    refused,    refused,    refused,    works}),
};
// clang-format on

const std::vector<places::Row> functions_of_files{
    function(
        "asyncio::File::open()", []() -> Coro<> { co_await File::open(own_file); }, refused,
        refused),
    function(
        "asyncio::watch()", []() -> Coro<> { co_await watch("/tmp"); }, refused, refused),
    function(
        "asyncio::files::stat()", []() -> Coro<> { co_await files::stat("/tmp"); }, refused,
        refused),
    function(
        "asyncio::files::exists()", []() -> Coro<> { co_await files::exists("/"); }, refused,
        refused),
    function(
        "asyncio::files::scandir()", []() -> Coro<> { co_await files::scandir("/tmp"); }, refused,
        refused),
    function(
        "asyncio::files::mkdir()",
        []() -> Coro<> { co_await files::mkdir("/tmp", {.exist_ok = true}); }, refused, refused),
};

TEST(places, open_files_and_watchers) { places::expect_in_table(open_files); }
TEST(places, functions_on_paths) { places::expect_in_table(functions_of_files); }

}  // namespace
