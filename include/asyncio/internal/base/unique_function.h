#pragma once
// A callable that is moved, never copied, and called once or more:
// `std::move_only_function<void()>` of C++23.
//
// `std::function` cannot be used, because it demands that its callable can be copied, and callbacks
// capture tasks, sockets and unique pointers.

#include <memory>
#include <type_traits>
#include <utility>

namespace asyncio::internal {

template <class Signature>
class UniqueFunction;

/// The callable is always on the heap. Small ones could be kept inside the object, but every use in
/// the library is part of an allocated block anyway, and callbacks are not on the fast path.
template <class Result, class... Arguments>
class UniqueFunction<Result(Arguments...)> {
public:
    UniqueFunction() noexcept = default;

    template <class Function>
        requires(!std::is_same_v<std::decay_t<Function>, UniqueFunction> &&
                 std::is_invocable_r_v<Result, std::decay_t<Function>&, Arguments...>)
    UniqueFunction(Function&& function)
        : target_(
              std::make_unique<Holder<std::decay_t<Function>>>(std::forward<Function>(function))) {}

    explicit operator bool() const noexcept { return target_ != nullptr; }

    Result operator()(Arguments... arguments) {
        return target_->call(std::forward<Arguments>(arguments)...);
    }

private:
    struct Target {
        virtual ~Target() = default;
        virtual Result call(Arguments... arguments) = 0;
    };

    template <class Function>
    struct Holder final : Target {
        template <class Given>
        explicit Holder(Given&& given) : function(std::forward<Given>(given)) {}
        Result call(Arguments... arguments) override {
            return function(std::forward<Arguments>(arguments)...);
        }
        Function function;
    };

    std::unique_ptr<Target> target_;
};

}  // namespace asyncio::internal
