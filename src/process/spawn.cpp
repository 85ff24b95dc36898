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

constexpr int first_free_number = 3;

[[noreturn]] void refuse(const SpawnRequest& request, int error) {
    std::string what = "spawn " + request.arguments.front();
    // The child reports one number for all it does. If the directory cannot be entered, that is it.
    if (!request.cwd.empty() && ::access(request.cwd.c_str(), X_OK) != 0)
        what += " in " + request.cwd;
    throw OsError(error, what);
}

// --- Descriptors --------------------------------------------------------------------------------

/// The same open file under a number the child's standard descriptors cannot collide with.
Fd lifted(int fd) { return Fd(::fcntl(fd, F_DUPFD_CLOEXEC, first_free_number)); }

/// The descriptors that exist on behalf of one child.
class Descriptors {
public:
    explicit Descriptors(const SpawnRequest& request) : request_(request) {
        for (std::size_t i = 0; i < 3; ++i) prepare(i);
        if (!has_pipes_) keep_slot();
    }

    /// What becomes the child's descriptor `index`; −1 for those that need none of ours.
    int source(std::size_t index) const noexcept { return sources_[index]; }

    /// Called when the child has its own. Leaves a free slot.
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
        // The numbers 0 to 2 are free in a program that was started without them.
        for (Fd& end : ends) {
            if (end.get() < first_free_number) end = lifted(end.get());
            if (!end) refuse(request_, errno);
        }
        const std::size_t childs = index == 0 ? 0 : 1;
        childs_[index] = std::move(ends[childs]);
        ours_[index] = std::move(ends[1 - childs]);
        // The child's end blocks, as programs expect; the two ends do not share their flags.
        if (::fcntl(ours_[index].get(), F_SETFL, O_NONBLOCK) != 0) refuse(request_, errno);
        sources_[index] = childs_[index].get();
        has_pipes_ = true;
    }

    /// One of the child's standard descriptors may have been replaced before it is copied to
    /// another, unless it is copied from elsewhere.
    void take_descriptor(std::size_t index, int number) {
        sources_[index] = number;
        if (number >= first_free_number || number == static_cast<int>(index)) return;
        childs_[index] = lifted(number);
        if (!childs_[index]) refuse(request_, errno);
        sources_[index] = childs_[index].get();
    }

    /// With pipes, the ends that are the child's alone are closed before the pidfd is opened, so
    /// there is a slot for it. Without any, this holds one.
    void keep_slot() {
        slot_ = lowlevel::clear_of_standard(Fd(::eventfd(0, EFD_CLOEXEC)));
        if (!slot_) refuse(request_, errno);
    }

    const SpawnRequest& request_;
    std::array<Fd, 3> ours_;
    std::array<Fd, 3> childs_;
    Fd slot_;
    std::array<int, 3> sources_{-1, -1, -1};
    bool has_pipes_ = false;
};

// --- What the child does before exec ------------------------------------------------------------

constexpr const char* preparation = "prepare a spawn";

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

/// Keeps the descriptors in `passed`, closes all others from 3 on, marked for exec or not.
///
/// There is one action that closes many, all numbers from some number on, and a passed number may
/// be large. So the passed ones first move down to 3, 4, 5, …, where none of them can be in the way
/// of another: sorted and distinct, each moves to a number that is not above its own. What follows
/// them is closed, and they move back, the highest first.
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

/// The form in which C passes lists of strings. `exec` does not write to them.
std::vector<char*> pointers_to(const std::vector<std::string>& strings) {
    std::vector<char*> pointers;
    pointers.reserve(strings.size() + 1);
    for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
    pointers.push_back(nullptr);
    return pointers;
}

pid_t start(const SpawnRequest& request, const Descriptors& descriptors) {
    SpawnFileActions actions(preparation);
    for (std::size_t i = 0; i < 3; ++i) add_standard(actions, i, request.standard[i], descriptors);
    add_passed(actions, request.pass_fds);
    if (!request.cwd.empty()) actions.change_directory(request.cwd);
    SpawnAttributes attributes(preparation);
    if (request.start_new_session) {
        attributes.start_session();
    } else if (request.process_group) {
        attributes.join_group(*request.process_group);
    }
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

/// The child is ours to reap, so until then its number means it and nobody else.
Fd pidfd_of(const SpawnRequest& request, pid_t pid) {
    Fd pidfd = lowlevel::clear_of_standard(Fd(open_pidfd(pid)));
    if (pidfd) return pidfd;
    // Another thread took the slot that was kept, or the kernel is older than 5.3.
    const int error = errno;
    ::kill(pid, SIGKILL);
    siginfo_t ignored;
    while (::waitid(P_PID, static_cast<id_t>(pid), &ignored, WEXITED) != 0 && errno == EINTR) {
    }
    refuse(request, error);
}

void require_no_zero(const std::string& text) {
    if (text.find('\0') != std::string::npos)
        throw std::invalid_argument("a zero byte in an argument, the environment or the directory");
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

void SpawnRequest::check() const {
    if (arguments.empty()) throw std::invalid_argument("there is no program to start");
    std::for_each(arguments.begin(), arguments.end(), require_no_zero);
    if (env) std::for_each(env->begin(), env->end(), require_no_zero);
    require_no_zero(cwd);
    if (standard[0].kind() == Stdio::Kind::output || standard[1].kind() == Stdio::Kind::output)
        throw std::invalid_argument("STDOUT is for stderr alone");
    if (end_group_at_exit && !makes_group())
        throw std::invalid_argument("end_group_at_exit needs a group of the child's own");
    const auto negative = [](int fd) { return fd < 0; };
    if (std::any_of(pass_fds.begin(), pass_fds.end(), negative))
        throw std::invalid_argument("a negative descriptor in pass_fds");
}

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
