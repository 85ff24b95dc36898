#include <asyncio/internal/process_call.h>

#include <asyncio/exceptions.h>

#include <array>
#include <stdexcept>
#include <typeinfo>

#include <cxxabi.h>
#include <link.h>

namespace asyncio::internal {
namespace {

// --- Code ----------------------------------------------------------------------------------------

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

/// Calls `visit(module)` for the executable and its libraries until it answers true.
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
[[noreturn]] void throw_as(const std::string& what) {
    throw Error(what);
}

/// The errors that arrive as what they were.
struct KnownError {
    const std::type_info* type;
    void (*raise)(const std::string& what);
};

template <class... Errors>
constexpr std::array<KnownError, sizeof...(Errors)> known() noexcept {
    return {KnownError{&typeid(Errors), &throw_as<Errors>}...};
}

const auto known_errors =
    known<std::invalid_argument, std::domain_error, std::length_error, std::out_of_range,
          std::logic_error, std::range_error, std::overflow_error, std::underflow_error,
          std::runtime_error, RuntimeError, TimeoutError, SerializationError, CancelledError>();

std::string readable(const char* name) {
    int status = 0;
    char* demangled = abi::__cxa_demangle(name, nullptr, nullptr, &status);
    std::string text = demangled != nullptr ? demangled : name;
    std::free(demangled);
    return text;
}

enum class Answer : unsigned char { value, error };

/// In the handler of the error.
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
        to.put(std::string("an exception that is no std::exception"));
    }
    return to.take();
}

[[noreturn]] void throw_error(ByteReader& from) {
    const std::string type = from.take<std::string>();
    const std::string what = from.take<std::string>();
    for (const KnownError& error : known_errors) {
        if (type == error.type->name()) error.raise(what);
    }
    throw RemoteError(readable(type.c_str()), what);
}

}  // namespace

CodePlace place_of(const void* code) {
    const auto address = reinterpret_cast<std::uintptr_t>(code);
    CodePlace place;
    bool found = false;
    for_each_module([&](const dl_phdr_info& module) {
        if (!contains_code(module, address)) return false;
        place = {module.dlpi_name, address - module.dlpi_addr};
        return found = true;
    });
    if (!found) throw std::invalid_argument("another process does not have this function");
    return place;
}

const void* code_at(const CodePlace& place) {
    std::uintptr_t address = 0;
    for_each_module([&](const dl_phdr_info& module) {
        if (place.module != module.dlpi_name) return false;
        const std::uintptr_t candidate = module.dlpi_addr + place.offset;
        if (contains_code(module, candidate)) address = candidate;
        return true;
    });
    if (address == 0)
        throw SerializationError("a worker process has no such function: " + place.module);
    return reinterpret_cast<const void*>(address);
}

std::string write_request(RemoteInvoke invoke, const void* function, std::string arguments) {
    ByteWriter to;
    for (const void* code : {reinterpret_cast<const void*>(invoke), function}) {
        const CodePlace place = place_of(code);
        to.put(place.module, place.offset);
    }
    to.put_bytes(arguments.data(), arguments.size());
    return to.take();
}

std::string answer_request(std::string_view request) noexcept {
    try {
        ByteReader from(request);
        const void* codes[2];
        for (const void*& code : codes) {
            CodePlace place;
            place.module = from.take<std::string>();
            place.offset = from.take<std::uint64_t>();
            code = code_at(place);
        }
        ByteWriter to;
        to.put(Answer::value);
        reinterpret_cast<RemoteInvoke>(const_cast<void*>(codes[0]))(codes[1], from, to);
        return to.take();
    } catch (...) {
        return describe_error();
    }
}

std::string_view read_answer(std::string_view answer) {
    ByteReader from(answer);
    if (from.take<Answer>() == Answer::error) throw_error(from);
    return from.take_bytes(from.left());
}

}  // namespace asyncio::internal
