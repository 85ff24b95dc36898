// Starting a program, in such a way that either the child runs and is known by its pidfd, or
// nothing has happened.
//
// Step by step (`spawn`)
//
//  1. `Descriptors` makes the pipes, and whatever else needs a descriptor in this process. An empty
//     slot for the pidfd is part of it.
//  2. `SpawnFileActions` and `SpawnAttributes` list what the child does before exec. `find_program`
//     finds the file.
//  3. posix_spawn(3) makes the child. It returns 0 when exec has succeeded, and otherwise the error
//     of the step that failed.
//  4. The child's ends of the pipes are closed here. This also frees the slot.
//  5. The pidfd is opened. The child may have ended by then: it is a zombie that only this library
//     reaps, so its number still means it.
//
// Why posix_spawn and not fork. glibc's implementation uses vfork semantics: the child borrows the
// memory of the parent and the calling thread waits until exec. No page tables are copied, so a
// program of many gigabytes starts a child as quickly as a small one. And between the two calls
// only a fixed list of system calls runs, with all signals blocked. With fork, code of this library
// would run in a copy of one thread of many, where any lock may be held for ever.
//
// The price is that the error is one number for all steps: the message names the program, and the
// directory if it cannot be entered.
//
// Why the order. A command that was started may have written a file or sent a request. To kill it
// because the parent has no descriptor left for a pidfd, and to report "not started", would be
// wrong. So everything that can run out is acquired before the child exists. Another thread can
// still take the slot between the steps 4 and 5. This race is left open: then the child is killed,
// and the error says so.
//
// All descriptors are close-on-exec from the moment in which they exist, since another thread may
// start a program at any time. The copies that the child makes by dup2 are not.

#include "process/spawn.h"

#include <asyncio/exceptions.h>

#include "base/spawn_setup.h"
#include "process/find_program.h"
#include "process/pidfd.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

namespace asyncio::internal {
namespace {

using lowlevel::Fd;

/// The lowest number that is no standard descriptor.
constexpr int first_free_number = 3;

/// Throws the error of a start that failed. The message names the program as the caller gave it.
[[noreturn]] void refuse(const SpawnRequest& request, int error) {
    std::string what = "spawn " + request.arguments.front();
    // The child reports one number for all its steps. If the directory cannot be entered, that is
    // the reason.
    if (!request.cwd.empty() && ::access(request.cwd.c_str(), X_OK) != 0)
        what += " in " + request.cwd;
    throw OsError(error, what);
}

// --- Descriptors --------------------------------------------------------------------------------

/// The same open file under a number with which the child's standard descriptors cannot collide.
Fd lifted(int fd) { return Fd(::fcntl(fd, F_DUPFD_CLOEXEC, first_free_number)); }

/// The descriptors that exist for one child. Its destructor closes what was not taken out, so an
/// error at any step leaves none open.
class Descriptors {
public:
    explicit Descriptors(const SpawnRequest& request) : request_(request) {
        for (std::size_t i = 0; i < 3; ++i) prepare(i);
        if (!has_pipes_) keep_slot();
    }

    /// The descriptor of this process that becomes number `index` in the child; −1 if there is
    /// none.
    int source(std::size_t index) const noexcept { return sources_[index]; }

    /// Called when the child has its own copies. Leaves a free slot for the pidfd. If this process
    /// kept the writing end of a pipe, its reader would never see the end of the stream.
    void close_childs_ends() noexcept {
        for (Fd& end : childs_) end.reset();
        slot_.reset();
    }
    std::array<Fd, 3> take_ours() noexcept { return std::move(ours_); }

private:
    void prepare(std::size_t index) {
        const Stdio& stdio = request_.standard[index];
        if (stdio.kind() == Stdio::Kind::pipe) {
            make_pipe(index);
        } else if (stdio.kind() == Stdio::Kind::descriptor) {
            take_descriptor(index, stdio.number());
        }
    }

    void make_pipe(std::size_t index) {
        int numbers[2];
        if (::pipe2(numbers, O_CLOEXEC) != 0) refuse(request_, errno);
        Fd ends[2] = {Fd(numbers[0]), Fd(numbers[1])};
        // The numbers 0 to 2 are free in a program that was started without them, and the child's
        // copies would overwrite the ends.
        for (Fd& end : ends) {
            if (end.get() < first_free_number) end = lifted(end.get());
            if (!end) refuse(request_, errno);
        }
        const std::size_t childs = index == 0 ? 0 : 1;
        // The child reads from its stdin and writes to the others; this process has the other end.
        childs_[index] = std::move(ends[childs]);
        ours_[index] = std::move(ends[1 - childs]);
        // The child's end stays in blocking mode, as programs expect. The two ends of a pipe are
        // two open files, so they do not share the mode.
        if (::fcntl(ours_[index].get(), F_SETFL, O_NONBLOCK) != 0) refuse(request_, errno);
        sources_[index] = childs_[index].get();
        has_pipes_ = true;
    }

    /// A standard descriptor of this process that goes to another number in the child is copied
    /// away first: an earlier action may already have replaced it there. (`2>&1 1>&2` in a shell
    /// has this problem.)
    void take_descriptor(std::size_t index, int number) {
        sources_[index] = number;
        if (number >= first_free_number || number == static_cast<int>(index)) return;
        childs_[index] = lifted(number);
        if (!childs_[index]) refuse(request_, errno);
        sources_[index] = childs_[index].get();
    }

    /// Holds a slot for the pidfd. With pipes this is not needed: the child's ends are closed
    /// before the pidfd is opened, and each of them leaves a slot. An eventfd is the cheapest
    /// descriptor.
    void keep_slot() {
        slot_ = lowlevel::clear_of_standard(Fd(::eventfd(0, EFD_CLOEXEC)));
        if (!slot_) refuse(request_, errno);
    }

    // By index of the child's standard descriptor: the ends that this process keeps, and those for
    // the child.
    const SpawnRequest& request_;
    std::array<Fd, 3> ours_;
    std::array<Fd, 3> childs_;
    Fd slot_;
    std::array<int, 3> sources_{-1, -1, -1};
    bool has_pipes_ = false;
};

// --- What the child does before exec ------------------------------------------------------------

/// The operation that an error of the lists names.
constexpr const char* preparation = "prepare a spawn";

/// `inherit` needs no action: the number stays, and the standard descriptors are not closed.
/// `output` copies the child's stdout, which an earlier action has set.
void add_standard(SpawnFileActions& actions, std::size_t index, const Stdio& stdio,
                  const Descriptors& descriptors) {
    const int target = static_cast<int>(index);
    switch (stdio.kind()) {
        case Stdio::Kind::inherit: return;
        case Stdio::Kind::null: return actions.open(target, "/dev/null", O_RDWR);
        case Stdio::Kind::output: return actions.copy(STDOUT_FILENO, target);
        case Stdio::Kind::pipe:
        case Stdio::Kind::descriptor: return actions.copy(descriptors.source(index), target);
    }
}

/// Keeps the descriptors in `passed`, and closes all others from 3 on, whether they are marked
/// close-on-exec or not: a library may have opened some without the flag. (Python:
/// `close_fds=True`.)
///
/// Only one action closes many descriptors: it closes all from some number on. A passed number may
/// be large. So the passed descriptors first move down to 3, 4, 5, …. They are sorted and distinct,
/// so each moves to a number that is not above its own, and none overwrites another. Everything
/// above them is closed. Then they move back, the highest first.
void add_passed(SpawnFileActions& actions, std::vector<int> passed) {
    std::sort(passed.begin(), passed.end());
    passed.erase(std::unique(passed.begin(), passed.end()), passed.end());
    std::erase_if(passed, [](int fd) { return fd < first_free_number; });
    const int count = static_cast<int>(passed.size());
    for (int i = 0; i < count; ++i) actions.copy(passed[i], first_free_number + i);
    actions.close_from(first_free_number + count);
    for (int i = count - 1; i >= 0; --i) {
        const int lowered = first_free_number + i;
        if (passed[i] == lowered) continue;
        actions.copy(lowered, passed[i]);
        if (!std::binary_search(passed.begin(), passed.end(), lowered)) actions.close(lowered);
    }
}

/// The form in which C passes lists of strings. The pointers are not const, by an old convention;
/// `exec` does not write to the strings.
std::vector<char*> pointers_to(const std::vector<std::string>& strings) {
    std::vector<char*> pointers;
    pointers.reserve(strings.size() + 1);
    for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
    pointers.push_back(nullptr);
    return pointers;
}

/// Everything that allocates happens before the child exists.
pid_t start(const SpawnRequest& request, const Descriptors& descriptors) {
    // The child's work between vfork and exec, in order: the standard descriptors, the passed ones,
    // then the directory. posix_spawn carries the list out; no code of this library runs there.
    SpawnFileActions actions(preparation);
    for (std::size_t i = 0; i < 3; ++i) add_standard(actions, i, request.standard[i], descriptors);
    add_passed(actions, request.pass_fds);
    if (!request.cwd.empty()) actions.change_directory(request.cwd);
    SpawnAttributes attributes(preparation);
    // A new session makes a new group by itself, so `process_group` has no effect beside it.
    if (request.start_new_session) {
        attributes.start_session();
    } else if (request.process_group) {
        attributes.join_group(*request.process_group);
    }
    // Found here and not by the child, whose search would have to be safe between vfork and exec.
    const std::string path = find_program(request);
    const std::vector<char*> arguments = pointers_to(request.arguments);
    std::vector<char*> environment;
    if (request.env) environment = pointers_to(*request.env);
    pid_t pid = -1;
    const int error = ::posix_spawn(&pid, path.c_str(), actions.get(), attributes.get(),
                                    arguments.data(), request.env ? environment.data() : ::environ);
    if (error != 0) refuse(request, error);
    return pid;
}

/// Opens the pidfd. Only this library reaps the child, so until then its number means this child
/// and no other process.
Fd pidfd_of(const SpawnRequest& request, pid_t pid) {
    Fd pidfd = lowlevel::clear_of_standard(Fd(open_pidfd(pid)));
    if (pidfd) return pidfd;
    // Another thread took the slot that was kept, or the kernel is older than 5.3. The child is
    // killed and reaped here, since no loop knows it. This wait is short: SIGKILL ends a process
    // that has just begun.
    const int error = errno;
    ::kill(pid, SIGKILL);
    siginfo_t ignored;
    // ECHILD ends the loop as well: then other code has reaped the child.
    while (::waitid(P_PID, static_cast<id_t>(pid), &ignored, WEXITED) != 0 && errno == EINTR) {
    }
    refuse(request, error);
}

/// The kernel takes texts that end at the first zero byte. Cutting one off there would silently run
/// another command.
void require_no_zero(const std::string& text) {
    if (text.find('\0') != std::string::npos)
        throw std::invalid_argument(
            "an argument, the environment or the directory contains a zero byte");
}

}  // namespace

SpawnRequest::SpawnRequest(std::vector<std::string> given, const SubprocessOptions& options)
    : arguments(std::move(given)),
      standard{options.stdin, options.stdout, options.stderr},
      cwd(options.cwd),
      pass_fds(options.pass_fds.begin(), options.pass_fds.end()),
      process_group(options.process_group),
      limit(options.limit),
      start_new_session(options.start_new_session),
      end_group_at_exit(options.end_group_at_exit) {
    if (options.env) env.emplace(options.env->begin(), options.env->end());
}

/// Mistakes of the caller are `invalid_argument`, so a program can distinguish them from refusals
/// of the kernel, which are OsError.
void SpawnRequest::check() const {
    if (arguments.empty())
        throw std::invalid_argument(
            "the list of arguments is empty; its first element is the program");
    // All texts, in the order in which a caller would look for the mistake.
    std::for_each(arguments.begin(), arguments.end(), require_no_zero);
    if (env) std::for_each(env->begin(), env->end(), require_no_zero);
    require_no_zero(cwd);
    if (standard[0].kind() == Stdio::Kind::output || standard[1].kind() == Stdio::Kind::output)
        throw std::invalid_argument("STDOUT can be given for stderr only");
    if (end_group_at_exit && !makes_group())
        throw std::invalid_argument(
            "end_group_at_exit needs start_new_session or process_group = 0");
    const auto negative = [](int fd) { return fd < 0; };
    if (std::any_of(pass_fds.begin(), pass_fds.end(), negative))
        throw std::invalid_argument("pass_fds contains a negative descriptor");
}

/// The five steps at the top of this file. An exception at any of them leaves through
/// `descriptors`, which closes what was made.
Spawned spawn(const SpawnRequest& request) {
    Descriptors descriptors(request);
    Spawned child;
    child.pid = start(request, descriptors);
    descriptors.close_childs_ends();
    child.pidfd = pidfd_of(request, child.pid);
    child.pipes = descriptors.take_ours();
    return child;
}

}  // namespace asyncio::internal
