#pragma once
// The `main` of a program that is a coroutine, in one line:
//
//   int main() { return asyncio::main(amain()); }

#include <asyncio/run.h>

#include <concepts>
#include <type_traits>

namespace asyncio {

/// Runs `amain` (a Coro, or a function that returns one) as `run` does, and returns the program's
/// exit status: what it returns, or 0 if it returns nothing.
///
/// Throws: what `run` throws. Left uncaught, as in the line above, that ends the program.
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
