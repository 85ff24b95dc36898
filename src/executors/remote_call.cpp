// A call in another process of the same program: finding the name of a function and the function of
// a name, and the format of requests and answers.
//
// A request is: file and offset of the code that unpacks the call, file and offset of the function,
// the arguments. An answer is: one byte, then the bytes of the result, or the type name and the
// text of the error. Lengths are not needed at the ends, because the channel keeps messages apart.
//
// An error arrives as itself if its type is one of `known_errors`, whose constructors take a text.
// An error of any other type arrives as a RemoteError with the name of the type: the program's own
// types could only be made from their text if each of them were registered. Python sends the object
// itself by pickle, which C++ does not have.

#include <asyncio/internal/executors/remote_call.h>

#include <asyncio/exceptions.h>

#include <array>
#include <stdexcept>
#include <typeinfo>

#include <cxxabi.h>
#include <link.h>

namespace asyncio::internal {
namespace {

// --- Code ----------------------------------------------------------------------------------------

/// Only segments that can be executed count, so that the address of a variable is never taken for a
/// function's.
bool contains_code(const dl_phdr_info& module, std::uintptr_t address) noexcept {
    for (int i = 0; i < module.dlpi_phnum; ++i) {
        const ElfW(Phdr)& part = module.dlpi_phdr[i];
        const std::uintptr_t begin = module.dlpi_addr + part.p_vaddr;
        if (part.p_type == PT_LOAD && (part.p_flags & PF_X) != 0 && address >= begin &&
            address - begin < part.p_memsz)
            return true;
    }
    return false;
}

/// Calls `visit(module)` for the executable and its libraries until it answers true. The loader's
/// own list is asked and not `/proc/self/maps`: it gives the load addresses, and needs no file.
template <class Visit>
void for_each_module(Visit visit) {
    ::dl_iterate_phdr(
        [](dl_phdr_info* module, std::size_t, void* data) -> int {
            return (*static_cast<Visit*>(data))(*module) ? 1 : 0;
        },
        &visit);
}

// --- Errors --------------------------------------------------------------------------------------

template <class Error>
/// Makes the error from its text alone: the only thing that all types in `known_errors` can be made
/// from.
[[noreturn]] void throw_as(const std::string& what) {
    throw Error(what);
}

/// An error that arrives as itself: its type, and a function that throws one with a text.
struct KnownError {
    const std::type_info* type;
    void (*raise)(const std::string& what);
};

template <class... Errors>
constexpr std::array<KnownError, sizeof...(Errors)> known() noexcept {
    return {KnownError{&typeid(Errors), &throw_as<Errors>}...};
}

/// Compared by name, since the `type_info` objects are at other addresses in the other process.
const auto known_errors =
    known<std::invalid_argument, std::domain_error, std::length_error, std::out_of_range,
          std::logic_error, std::range_error, std::overflow_error, std::underflow_error,
          std::runtime_error, RuntimeError, TimeoutError, SerializationError, CancelledError>();

/// The name as a C++ programmer writes it; the name as the compiler writes it if that fails.
std::string readable(const char* name) {
    int status = 0;
    char* demangled = abi::__cxa_demangle(name, nullptr, nullptr, &status);
    std::string text = demangled != nullptr ? demangled : name;
    std::free(demangled);
    return text;
}

enum class Answer : unsigned char { value, error };

/// Called in the handler of the error. A text that needs memory may fail here; the worker process
/// then ends, and the program sees that.
std::string describe_error() {
    ByteWriter to;
    to.put(Answer::error);
    const std::type_info* type = abi::__cxa_current_exception_type();
    to.put(std::string(type != nullptr ? type->name() : "unknown"));
    try {
        throw;
    } catch (const std::exception& error) {
        to.put(std::string(error.what()));
    } catch (const CancelledError& error) {
        to.put(error.message());
    } catch (...) {
        to.put(std::string("an exception that is not a std::exception"));
    }
    return to.take();
}

/// Runs in the program, on the pool's thread. The error reaches the awaiting task as the result of
/// the job.
[[noreturn]] void throw_error(ByteReader& from) {
    const std::string type = from.take<std::string>();
    const std::string what = from.take<std::string>();
    for (const KnownError& error : known_errors) {
        if (type == error.type->name()) error.raise(what);
    }
    throw RemoteError(readable(type.c_str()), what);
}

}  // namespace

/// The name is the module that contains the code, and the offset in it. A function that was made at
/// run time is in no file, so it has no name.
CodeName name_of(const void* code) {
    const auto address = reinterpret_cast<std::uintptr_t>(code);
    CodeName name;
    bool found = false;
    for_each_module([&](const dl_phdr_info& module) {
        if (!contains_code(module, address)) return false;
        name = {module.dlpi_name, address - module.dlpi_addr};
        return found = true;
    });
    if (!found)
        throw std::invalid_argument(
            "the function is in no file of the program, so a worker process cannot find it");
    return name;
}

/// The offset comes from another process, and is checked before it is called: a shared library may
/// have been replaced on disk since the program was started.
const void* code_at(const CodeName& name) {
    std::uintptr_t address = 0;
    for_each_module([&](const dl_phdr_info& module) {
        if (name.module != module.dlpi_name) return false;
        const std::uintptr_t candidate = module.dlpi_addr + name.offset;
        if (contains_code(module, candidate)) address = candidate;
        return true;
    });
    if (address == 0)
        throw SerializationError("the worker process cannot find the function in " + name.module);
    return reinterpret_cast<const void*>(address);
}

/// Both addresses are written as names, in the order in which `answer_request` reads them.
std::string write_request(RemoteInvoke invoke, const void* function, std::string arguments) {
    ByteWriter to;
    for (const void* code : {reinterpret_cast<const void*>(invoke), function}) {
        const CodeName name = name_of(code);
        to.put(name.module, name.offset);
    }
    to.put_bytes(arguments.data(), arguments.size());
    return to.take();
}

/// The worker's side. An error while reading the request is an answer too, so the program learns of
/// it and the worker continues.
std::string answer_request(std::string_view request) noexcept {
    try {
        ByteReader from(request);
        const void* codes[2];
        for (const void*& code : codes) {
            CodeName name;
            name.module = from.take<std::string>();
            name.offset = from.take<std::uint64_t>();
            code = code_at(name);
        }
        ByteWriter to;
        to.put(Answer::value);
        reinterpret_cast<RemoteInvoke>(const_cast<void*>(codes[0]))(codes[1], from, to);
        return to.take();
    } catch (...) {
        return describe_error();
    }
}

/// The result is not unpacked here: its type is known to the caller only.
std::string_view read_answer(std::string_view answer) {
    ByteReader from(answer);
    if (from.take<Answer>() == Answer::error) throw_error(from);
    return from.take_bytes(from.left());
}

}  // namespace asyncio::internal
