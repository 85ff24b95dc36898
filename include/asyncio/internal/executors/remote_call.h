#pragma once
// How a function of this program is named to another process of the same program, and called there.
//
// The other process is the same executable file, started again. The system loads each start of a
// program at another address, so a function is at another address there. Within the program, and
// within each of its libraries, the distances are the same. So a function is named by the file that
// contains it and its distance from the load address of that file. Nothing needs to be registered.
//
// Two functions are named for a call: the one to be called, and a piece of code made for its
// signature, which reads the arguments, calls, and writes the result.

#include <asyncio/serialize.h>

#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace asyncio::internal {

/// Reads the arguments, calls `function`, writes the result. An exception of the function passes
/// through.
using RemoteInvoke = void (*)(const void* function, ByteReader& arguments, ByteWriter& result);

/// The address of a function, in a form that another process of the program understands.
struct CodeName {
    std::string module;  ///< Empty: the executable.
    std::uint64_t offset = 0;
};

/// Throws: `std::invalid_argument` if no file contains it: code that was made at run time.
CodeName name_of(const void* code);
/// Throws: SerializationError if there is no such code here.
const void* code_at(const CodeName& name);

/// The bytes that a worker process gets, and the bytes it answers with.
std::string write_request(RemoteInvoke invoke, const void* function, std::string arguments);
std::string answer_request(std::string_view request) noexcept;
/// The bytes of the result. Throws: what the function threw, or RemoteError.
std::string_view read_answer(std::string_view answer);

/// The functions that a worker process can be asked to call: plain functions, and closures that
/// capture nothing. A capture would be data of this process.
template <class Function>
struct RemoteSignature;

/// The call of one signature: the program's side writes the arguments, the worker's side reads them
/// and calls. Signatures whose values cannot be sent are refused when the program is compiled.
template <class Closure, class R, class... P>
struct RemoteCallOf {
    using Result = std::decay_t<R>;
    static_assert(std::is_void_v<R> || Serializable<Result>,
                  "the result has no asyncio::Serializer");
    static_assert((Serializable<std::decay_t<P>> && ...), "an argument has no asyncio::Serializer");
    static_assert(
        (!(std::is_lvalue_reference_v<P> && !std::is_const_v<std::remove_reference_t<P>>) && ...),
        "the function changes an argument, but the change would stay in the other process");

    /// Each argument is converted to the parameter's type before it is written: the worker reads
    /// that type and knows no other.
    template <class... Given>
    static std::string write_arguments(const Given&... given) {
        ByteWriter writer;
        (writer.put<std::decay_t<P>>(static_cast<const std::decay_t<P>&>(given)), ...);
        return writer.take();
    }

    /// The address of this instance stands for the signature, so no description of types is sent. A
    /// closure that captures nothing is made anew in the worker; `function` is then only its name.
    static void invoke(const void* function, [[maybe_unused]] ByteReader& from, ByteWriter& to) {
        // In a braced list the arguments are evaluated from left to right, in the order in which
        // they were written.
        std::tuple<std::decay_t<P>...> arguments{from.take<std::decay_t<P>>()...};
        const auto call = [&](auto&... values) -> R {
            if constexpr (std::is_void_v<Closure>) {
                return reinterpret_cast<R (*)(P...)>(const_cast<void*>(function))(
                    std::forward<P>(values)...);
            } else {
                return Closure{}(std::forward<P>(values)...);
            }
        };
        if constexpr (std::is_void_v<R>) {
            std::apply(call, arguments);
        } else {
            to.put<Result>(std::apply(call, arguments));
        }
    }
};

template <class R, class... P>
struct RemoteSignature<R (*)(P...)> {
    using Call = RemoteCallOf<void, R, P...>;
};
template <class R, class... P>
struct RemoteSignature<R (*)(P...) noexcept> : RemoteSignature<R (*)(P...)> {};

template <class Closure, class Operator>
struct RemoteClosure;
template <class Closure, class R, class... P>
struct RemoteClosure<Closure, R (Closure::*)(P...) const> {
    using Call = RemoteCallOf<Closure, R, P...>;
};
template <class Closure, class R, class... P>
struct RemoteClosure<Closure, R (Closure::*)(P...) const noexcept> {
    using Call = RemoteCallOf<Closure, R, P...>;
};

template <class Closure>
concept StatelessClosure =
    std::is_class_v<Closure> && std::is_empty_v<Closure> &&
    std::is_default_constructible_v<Closure> && requires { &Closure::operator(); };

template <StatelessClosure Closure>
struct RemoteSignature<Closure> : RemoteClosure<Closure, decltype(&Closure::operator())> {};

template <class Function>
concept RemoteCallable = requires { typename RemoteSignature<std::decay_t<Function>>::Call; };

}  // namespace asyncio::internal
