// A program that uses `ProcessPoolExecutor` is started again as its worker. The user need not write
// anything into `main` for that: the library has a constructor that runs before `main`, sees that
// this process is a worker, serves, and ends the process.
//
// The jobs are the user's functions, and may use the program's static objects. Static objects are
// initialised by constructors too, in the order in which the linker has put them, some before the
// library's and some behind it. So the library's constructor first runs the executable's remaining
// constructors, as the loader would do next. (Where the library is a shared one it is initialised
// before the executable, and runs all of the executable's constructors.)
//
// A worker knows what it is by a variable in the environment (`executors/worker_process.cpp`). The
// variable is removed at once, so that programs which a job starts do not take themselves for
// workers.

#include "executors/worker_main.h"

#include <asyncio/internal/executors/remote_call.h>

#include "executors/worker_process.h"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <new>
#include <span>
#include <string>

#include <link.h>

namespace asyncio::internal {
namespace {

/// As the loader calls them: glibc passes the arguments of `main` to each constructor.
using Constructor = void (*)(int, char**, char**);

void serve_if_worker(int argc, char** argv, char** environment);

/// The constructors of the executable, from its dynamic section; none if it has no such section.
std::span<const Constructor> constructors_of_executable() noexcept {
    struct Found {
        const Constructor* first = nullptr;
        std::size_t bytes = 0;
    } found;
    ::dl_iterate_phdr(
        [](dl_phdr_info* executable, std::size_t, void* data) -> int {
            auto& result = *static_cast<Found*>(data);
            for (int i = 0; i < executable->dlpi_phnum; ++i) {
                const ElfW(Phdr)& part = executable->dlpi_phdr[i];
                if (part.p_type != PT_DYNAMIC) continue;
                const auto* entry =
                    reinterpret_cast<const ElfW(Dyn)*>(executable->dlpi_addr + part.p_vaddr);
                for (; entry->d_tag != DT_NULL; ++entry) {
                    if (entry->d_tag == DT_INIT_ARRAY)
                        result.first = reinterpret_cast<const Constructor*>(executable->dlpi_addr +
                                                                            entry->d_un.d_ptr);
                    if (entry->d_tag == DT_INIT_ARRAYSZ) result.bytes = entry->d_un.d_val;
                }
            }
            return 1;  // the executable comes first; its libraries are initialised
        },
        &found);
    return {found.first, found.bytes / sizeof(Constructor)};
}

/// The constructors behind the library's own; all, if it is not among them.
std::span<const Constructor> constructors_left() noexcept {
    const std::span<const Constructor> all = constructors_of_executable();
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (all[i] == &serve_if_worker) return all.subspan(i + 1);
    }
    return all;
}

/// Runs in every start of a program that uses a pool. In all but the workers the first line
/// returns, at the cost of one look into the environment.
[[gnu::constructor]] void serve_if_worker(int argc, char** argv, char** environment) {
    const int socket = enter_worker_process();
    if (socket < 0) return;
    // From here on this process never returns to the program: `main` does not run.
    const WorkerChannel channel(socket);
    for (const Constructor construct : constructors_left()) construct(argc, argv, environment);
    // The loop ends when the program closes the socket or has ended.
    std::string request;
    try {
        while (channel.receive_message(request)) {
            const std::string answer = answer_request(request);
            std::fflush(nullptr);  // what a job has printed is visible when its result is
            if (!channel.send_message(answer)) break;
        }
    } catch (const std::bad_alloc&) {
        // The program sees the end of the process.
    }
    leave_worker_process();
}

}  // namespace

/// An archive gives the linker a file only if a symbol of it is used. This is the symbol.
void require_worker_hook() noexcept {}

}  // namespace asyncio::internal
