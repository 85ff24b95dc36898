// From the stack of a thread to lines of source: four parts, which run at different times.
//
//  1. Capturing notes bare addresses. It runs in a signal handler, so it neither allocates nor
//     locks. It uses the unwinder of the runtime library, which finds the frames by the tables that
//     every program has for exceptions. So it needs no frame pointers. backtrace(3) uses the same
//     unwinder, but it cannot stop at a given frame, and it does not tell which frames belong to
//     the signal handler.
//  2. Naming makes the names of functions readable and short.
//  3. Debug information finds file, line and function for an address. This needs memory, files and
//     a lock, so it runs outside the handler, when the report is written.
//  4. The user's code is what a report shows; the other frames are left out. The stack of a step
//     that blocks begins in the C library (the frame of `read` or `nanosleep`) and ends in the
//     loop. The lines that the user can change lie between the two.
//
// A stack is kept as addresses and not as names. Part 1 is one reason. The other is that a stuck
// step is captured several times and reported once: the names of all captures except the last one
// would be thrown away.

#include "machine/call_stack.h"

#include "base/after_fork.h"
#include "machine/inside_unwinder.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <string_view>

#include <cxxabi.h>
#include <dlfcn.h>
#include <unwind.h>

#ifdef ASYNCIO_WITH_BACKTRACE
#include <backtrace.h>
#endif

namespace asyncio::internal {

// --- Capturing -----------------------------------------------------------------------------------

namespace {

/// The argument of the walk: where the addresses go, and the frame at which to stop.
struct Capture {
    RawStack& stack;
    std::uintptr_t end;
};

/// Notes one frame. Called by the unwinder, innermost frame first.
///
/// The unwinder of gcc 12 on glibc 2.35 or later allocates nothing here, and takes no lock except
/// the one that `inside_unwinder.h` is about. So the walk is safe in a signal handler.
_Unwind_Reason_Code note_frame(_Unwind_Context* frame, void* argument) noexcept {
    auto& [stack, end] = *static_cast<Capture*>(argument);
    if (_Unwind_GetCFA(frame) >= end) return _URC_END_OF_STACK;
    int interrupted = 0;
    const std::uintptr_t address = _Unwind_GetIPInfo(frame, &interrupted);
    // The kernel's frame of a signal. All frames noted so far belong to the signal handler.
    if (interrupted != 0) stack.count = 0;
    if (stack.count == RawStack::capacity) return _URC_END_OF_STACK;
    // A return address is the address of the next instruction, which may belong to the next line.
    // The address of an interrupted instruction is exact.
    stack.addresses[stack.count++] = interrupted != 0 ? address : address - 1;
    return _URC_NO_REASON;
}

}  // namespace

void capture_stack(RawStack& stack, const void* end) noexcept {
    // `_Unwind_Backtrace` reports the end of the walk in the same way as an error. Either way the
    // frames noted so far are right.
    stack.count = 0;
    Capture capture{stack, reinterpret_cast<std::uintptr_t>(end)};
    _Unwind_Backtrace(&note_frame, &capture);
}

/// The first walk of a process may load and prepare the unwinder, which allocates. A walk outside
/// the handler does this in advance.
void prepare_to_interrupt() noexcept {
    RawStack ignored;
    capture_stack(ignored, nullptr);
    prepare_unwinder_check();
}

/// `stack` stays untouched if the walk is not safe: an older note of the same step is better than
/// none.
bool capture_interrupted_stack(RawStack& stack, const void* context, const void* end) noexcept {
    if (may_be_inside_unwinder(__builtin_frame_address(0), context, end)) return false;
    capture_stack(stack, end);
    return true;
}

// --- Names ---------------------------------------------------------------------------------------

namespace {

void erase_all(std::string& text, std::string_view part) {
    for (auto at = text.find(part); at != text.npos; at = text.find(part, at)) {
        text.erase(at, part.size());
    }
}

/// The place of the bracket that closes the one at `at`, or the last character. Kinds of brackets
/// are not compared: demangled names have them in pairs.
std::size_t end_of_brackets(std::string_view text, std::size_t at) {
    int depth = 0;
    for (; at < text.size(); ++at) {
        if (text[at] == '(' || text[at] == '<' || text[at] == '{') ++depth;
        if ((text[at] == ')' || text[at] == '>' || text[at] == '}') && --depth == 0) return at;
    }
    return text.size() - 1;
}

/// The length of a name like "operator()", "operator<" or "operator bool" at `at`, whose brackets
/// and blanks are part of the name; 0 if no such name is there. The search for the parameters
/// begins one character later, so that the brackets of "operator()" are not taken for them.
std::size_t operator_length(std::string_view text, std::size_t at) {
    constexpr std::string_view word = "operator";
    if (!text.substr(at).starts_with(word)) return 0;
    const std::size_t parameters = text.find('(', at + word.size() + 1);
    return (parameters == text.npos ? text.size() : parameters) - at;
}

/// `__cxa_demangle` allocates with malloc, so its result needs `free`. A name that is not mangled
/// (a C function) stays as it is.
std::string demangled(const char* name) {
    int status = 0;
    const std::unique_ptr<char, void (*)(void*)> readable(
        abi::__cxa_demangle(name, nullptr, nullptr, &status), &std::free);
    return short_function_name(status == 0 ? readable.get() : name);
}

}  // namespace

std::string short_function_name(std::string name) {
    erase_all(name, "(anonymous namespace)::");
    // The characters outside all brackets are kept, and also the characters inside < > and { }
    // (template arguments, and names like {lambda}). Round brackets hold parameters and are
    // dropped. A blank outside brackets ends the return type, which is then dropped; after the
    // parameters it ends the name, because only a clone suffix follows.
    std::string shortened;
    bool had_parameters = false;
    for (std::size_t at = 0; at < name.size(); ++at) {
        if (name[at] == '(') {
            at = end_of_brackets(name, at);
            had_parameters = true;
        } else if (name[at] == '<' || name[at] == '{') {
            const std::size_t end = end_of_brackets(name, at);
            shortened.append(name, at, end - at + 1);
            at = end;
        } else if (name[at] == ' ') {
            if (had_parameters) break;
            shortened.clear();
        } else if (const std::size_t length = operator_length(name, at); length > 0) {
            shortened.append(name, at, length);
            at += length - 1;
        } else {
            shortened += name[at];
        }
    }
    return shortened;
}

/// Also for a frame of which only the function or only the file is known.
std::string to_string(const SourceFrame& frame) {
    std::string text = frame.file;
    if (frame.line != 0) text += ":" + std::to_string(frame.line);
    if (!frame.function.empty()) text += (text.empty() ? "" : " in ") + frame.function;
    return text.empty() ? "an unknown place" : text;
}

// --- Debug information ---------------------------------------------------------------------------

namespace {

#ifdef ASYNCIO_WITH_BACKTRACE

constexpr bool has_lines = true;

/// libbacktrace reports errors by a callback: no debug information, an unreadable file. A frame
/// without a name is the only consequence.
void ignore_error(void*, const char*, int) noexcept {}

/// Guards the debug information. libbacktrace has locks of its own, but two threads that come at
/// the same time would both read everything. The handlers around `fork` hold the mutex while the
/// process forks; otherwise the child could find it locked by a thread that it does not have.
constinit std::mutex debug_information_mutex;

/// The debug information of the process. It is never freed, because libbacktrace has no function
/// for that.
backtrace_state* debug_information() {
    [[maybe_unused]] static const bool safe =
        (lock_across_forks([] { debug_information_mutex.lock(); },
                           [] { debug_information_mutex.unlock(); }),
         true);
    static backtrace_state* const state =
        backtrace_create_state(nullptr, 0, &ignore_error, nullptr);
    return state;
}

// The next two functions are called by C code, through which nothing may be thrown. Without memory
// they stop, and the frame has fewer names.

int take_line(void* lines, std::uintptr_t, const char* file, int line,
              const char* function) noexcept {
    if (file == nullptr) return 0;
    try {
        static_cast<std::vector<SourceFrame>*>(lines)->push_back(
            {function != nullptr ? demangled(function) : "", file, line});
    } catch (const std::bad_alloc&) {
        return 1;
    }
    return 0;
}

void take_symbol(void* name, std::uintptr_t, const char* symbol, std::uintptr_t,
                 std::uintptr_t) noexcept {
    if (symbol == nullptr) return;
    try {
        *static_cast<std::string*>(name) = demangled(symbol);
    } catch (const std::bad_alloc&) {
        return;
    }
}

/// The lines of an address, innermost first. There is more than one if functions were inlined
/// there.
std::vector<SourceFrame> locate(std::uintptr_t address) {
    std::vector<SourceFrame> lines;
    std::string symbol;
    const std::lock_guard lock(debug_information_mutex);
    backtrace_state* state = debug_information();
    if (state == nullptr) return lines;
    backtrace_pcinfo(state, address, &take_line, &ignore_error, &lines);
    backtrace_syminfo(state, address, &take_symbol, &ignore_error, &symbol);
    // The symbol is the outermost of them. It is always there and always qualified, which the name
    // in the debug information is not.
    if (symbol.empty()) return lines;
    if (lines.empty()) lines.emplace_back();
    lines.back().function = std::move(symbol);
    return lines;
}

#else

constexpr bool has_lines = false;

/// Without libbacktrace: finds the functions that a program exports, which are a shared library's
/// public ones, and an executable's if it was linked with `-rdynamic`. For any other address the
/// answer is what `addr2line -e PROGRAM` takes: the file and the offset in it.
std::vector<SourceFrame> locate(std::uintptr_t address) {
    Dl_info found;
    if (::dladdr(reinterpret_cast<void*>(address), &found) == 0) return {};
    if (found.dli_sname != nullptr) return {{demangled(found.dli_sname), "", 0}};
    const std::string_view path = found.dli_fname;
    char offset[32];
    std::snprintf(offset, sizeof offset, "+0x%zx",
                  std::size_t{address - reinterpret_cast<std::uintptr_t>(found.dli_fbase)});
    return {{std::string(path.substr(path.rfind('/') + 1)) + offset, "", 0}};
}

#endif

}  // namespace

bool knows_lines() noexcept { return has_lines; }

/// Looking up any address reads all of it. The address of this function certainly exists.
void prepare_names() { static_cast<void>(locate(reinterpret_cast<std::uintptr_t>(&knows_lines))); }

// --- The user's code ----------------------------------------------------------------------------

namespace {

template <std::size_t count>
bool begins_with_one_of(std::string_view text,
                        const std::array<std::string_view, count>& beginnings) {
    for (const std::string_view beginning : beginnings) {
        if (text.starts_with(beginning)) return true;
    }
    return false;
}

/// Code from headers of the system or of this library is compiled into the program and is still not
/// the user's.
bool is_foreign_file(std::string_view file) {
    constexpr std::array<std::string_view, 2> systems = {"/usr/include/", "/usr/lib/"};
    return begins_with_one_of(file, systems) || file.find("/include/asyncio/") != file.npos;
}

/// By name, for frames whose file is not known or tells nothing: the standard library, this
/// library, and the functions that sanitizers put in front of those of the C library.
bool is_foreign_function(std::string_view name) {
    constexpr std::array<std::string_view, 7> foreign = {
        "std::",           "asyncio::",   "__gnu_cxx::", "__interceptor_",
        "___interceptor_", "__sanitizer", "__tsan"};
    return begins_with_one_of(name, foreign);
}

/// By the file that the address was loaded from. This saves a lookup, and it also catches the
/// frames of a library without debug information. The vDSO is the kernel's own library
/// (clock_gettime), and has no path.
bool is_in_system_library(std::uintptr_t address) {
    Dl_info found;
    if (::dladdr(reinterpret_cast<void*>(address), &found) == 0 || found.dli_fname == nullptr) {
        return false;
    }
    constexpr std::array<std::string_view, 4> folders = {"/lib", "/usr/lib", "/usr/local/lib",
                                                         "linux-vdso"};
    return begins_with_one_of(found.dli_fname, folders);
}

void append_user_frames(std::vector<SourceFrame>& frames, std::uintptr_t address) {
    if (is_in_system_library(address)) return;
    for (SourceFrame& line : locate(address)) {
        if (!is_foreign_file(line.file) && !is_foreign_function(line.function)) {
            frames.push_back(std::move(line));
        }
    }
}

}  // namespace

std::vector<SourceFrame> user_frames(std::span<const std::uintptr_t> addresses) {
    std::vector<SourceFrame> frames;
    for (const std::uintptr_t address : addresses) append_user_frames(frames, address);
    // A statically linked C library is no file of its own, and has no debug information either. If
    // some frames have it, the user's code is among these, so the innermost frames without it are
    // dropped. The source file is what tells: a compiler also makes instructions that belong to no
    // line, but to a file and a function.
    std::size_t first = 0;
    while (first < frames.size() && frames[first].file.empty()) ++first;
    if (first < frames.size()) frames.erase(frames.begin(), frames.begin() + std::ptrdiff_t(first));
    return frames;
}

SourceFrame function_at(const void* code) {
    std::vector<SourceFrame> lines = locate(reinterpret_cast<std::uintptr_t>(code));
    // The outermost: a function that is inlined at the very beginning has a name of its own, which
    // is not the name of this function.
    return lines.empty() ? SourceFrame{} : std::move(lines.back());
}

}  // namespace asyncio::internal
