#pragma once
// The `main` of a program that is a coroutine, in one line:
//
//   int main() { return asyncio::main(amain()); }

#include <asyncio/run.h>

#include <concepts>
#include <type_traits>

namespace asyncio {

/// Runs `amain` (a Coro, or a function that returns one) as `run` does. Returns the program's exit
/// status: the result of `amain`, or 0 if it has none.
///
/// Throws: what `run` throws. In the line above no code catches it, so it ends the program.
/// Python: `sys.exit(asyncio.run(amain()))`.
template <internal::Startable Main>
int main(Main&& amain, RunOptions options = {}) {
    using Value = decltype(run(std::forward<Main>(amain), options));
    if constexpr (std::is_void_v<Value>) {
        run(std::forward<Main>(amain), options);
        return 0;
    } else {
        static_assert(std::convertible_to<Value, int>,
                      "a program ends with an exit status: the main coroutine must be a Coro<int> "
                      "or a Coro<>");
        return run(std::forward<Main>(amain), options);
    }
}

}  // namespace asyncio
