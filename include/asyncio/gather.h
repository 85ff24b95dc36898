#pragma once
// Running several awaitables together and collecting what they return.

#include <asyncio/internal/future_watch.h>
#include <asyncio/internal/handles.h>
#include <asyncio/task.h>

#include <optional>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <vector>

namespace asyncio {
namespace internal {

/// What does not depend on the types of a gather: who has ended, and what that means.
///
/// The parts' futures each hold one of our nodes. Until the last of them has reported, the gather
/// keeps itself alive, and with it the parts: nobody else need hold either. A part that nobody sets
/// never reports, so a loop that closes ends this.
class GatherBase : AtClose, public CancelRelay, FutureWatch<GatherBase> {
public:
    FutureBase* awaited(std::size_t index) const noexcept final {
        return index < watched_count() ? watched(index) : nullptr;
    }

protected:
    explicit GatherBase(std::size_t count) : FutureWatch(count), unfinished_(count) {
        AtClose::run = &loop_closes;
    }
    virtual ~GatherBase() = default;

    /// Takes the gather's own reference to itself.
    void keep_until_reported() noexcept;
    /// The handles of the derived class keep the futures alive.
    using FutureWatch::watch;

    virtual FutureBase& outer() noexcept = 0;
    virtual void collect() = 0;
    virtual void set_error(std::exception_ptr error) = 0;

    /// Errors of children are results (`gather_settled`).
    bool errors_are_results_ = false;

private:
    friend FutureWatch;

    void future_ended(std::size_t index, FutureBase& child) noexcept;
    static void loop_closes(AtClose& listener) noexcept;
    FutureBase* receive(std::string_view message) noexcept final;
    FutureBase* answered(bool will_end, std::string_view message) noexcept final;
    bool answer() noexcept final { return any_will_end_; }
    void child_failed(FutureBase& child);
    void conclude();

    std::size_t unfinished_;
    /// Somebody has cancelled the gather: it ends, with this or the first error, when every child
    /// has.
    bool cancel_requested_ = false;
    /// Of a request that is being handed on: which part is asked, and whether one will end of it.
    std::size_t asked_ = 0;
    bool any_will_end_ = false;
    std::exception_ptr first_error_;
};

/// How a value stands in a tuple or vector.
template <class T>
using Element = std::conditional_t<std::is_void_v<T>, None, T>;

/// The value of a finished child: moved out if nobody else can ask for it.
template <class Handle>
Element<typename Handle::value_type> take_value_of(Handle& handle) {
    if constexpr (std::is_void_v<typename Handle::value_type>) {
        handle.state()->hand_over().value();
        return None{};
    } else {
        return handle.state()->hand_over().value();
    }
}

/// A tuple of handles as children, and a tuple of values as result; nothing if no child returns a
/// value.
template <class... Handles>
struct TupleParts {
    using Values = std::conditional_t<(std::is_void_v<typename Handles::value_type> && ...), void,
                                      std::tuple<Element<typename Handles::value_type>...>>;
    using Outcomes = std::tuple<Outcome<typename Handles::value_type>...>;

    std::tuple<Handles...> handles;

    std::size_t count() const noexcept { return sizeof...(Handles); }

    template <class Visit>
    void visit(Visit&& visit) {
        std::size_t index = 0;
        std::apply([&](Handles&... handle) { (visit(index++, *handle.state()), ...); }, handles);
    }
    void collect(Outcome<Values>& outcome) {
        if constexpr (std::is_void_v<Values>) {
            outcome.emplace();
        } else {
            std::apply(
                [&](Handles&... handle) { outcome.emplace(Values{take_value_of(handle)...}); },
                handles);
        }
    }
    void collect_settled(Outcome<Outcomes>& outcome) {
        std::apply(
            [&](Handles&... handle) { outcome.emplace(Outcomes{handle.state()->hand_over()...}); },
            handles);
    }
};

/// A vector of handles as children, and a vector of values as result.
template <class Handle>
struct VectorParts {
    using T = typename Handle::value_type;
    using Values = std::conditional_t<std::is_void_v<T>, void, std::vector<Element<T>>>;
    using Outcomes = std::vector<Outcome<T>>;

    std::vector<Handle> handles;

    std::size_t count() const noexcept { return handles.size(); }
    template <class Visit>
    void visit(Visit&& visit) {
        for (std::size_t index = 0; index < handles.size(); ++index)
            visit(index, *handles[index].state());
    }
    void collect(Outcome<Values>& outcome) {
        if constexpr (std::is_void_v<Values>) {
            outcome.emplace();
        } else {
            Values values;
            values.reserve(handles.size());
            for (Handle& handle : handles) values.push_back(take_value_of(handle));
            outcome.emplace(std::move(values));
        }
    }
    void collect_settled(Outcome<Outcomes>& outcome) {
        Outcomes outcomes;
        outcomes.reserve(handles.size());
        for (Handle& handle : handles) outcomes.push_back(handle.state()->hand_over());
        outcome.emplace(std::move(outcomes));
    }
};

template <class Parts, bool settled>
class GatherState final
    : public FutureState<
          std::conditional_t<settled, typename Parts::Outcomes, typename Parts::Values>>,
      public GatherBase {
    using Result = std::conditional_t<settled, typename Parts::Outcomes, typename Parts::Values>;

public:
    GatherState(EventLoop& loop, Parts parts)
        : FutureState<Result>(loop), GatherBase(parts.count()), children_(std::move(parts)) {
        errors_are_results_ = settled;
        if (children_.count() == 0) {
            collect();
            return;
        }
        keep_until_reported();
        children_.visit([this](std::size_t index, FutureBase& future) { watch(index, future); });
    }

    bool cancel(std::string_view message) override {
        if (!this->done()) this->require_loop("cancel");
        return CancelWalk(message).ask(*this);
    }
    CancelRelay* relay() noexcept override { return this; }

private:
    FutureBase& outer() noexcept override { return *this; }
    void set_error(std::exception_ptr error) override {
        this->set(Outcome<Result>::failure(std::move(error)));
    }
    void collect() override {
        Outcome<Result> result;
        if constexpr (settled) {
            children_.collect_settled(result);
        } else {
            children_.collect(result);
        }
        this->set(std::move(result));
    }

    Parts children_;
};

template <bool settled, class Parts>
auto start_gather(EventLoop& loop, Parts parts) {
    using State = GatherState<Parts, settled>;
    using Result = std::conditional_t<settled, typename Parts::Outcomes, typename Parts::Values>;
    return Future<Result>(Ref<FutureState<Result>>::adopt(new State(loop, std::move(parts))));
}

template <class Range>
concept AwaitableRange = std::ranges::input_range<Range> && !Awaitable<Range> &&
                         Awaitable<std::ranges::range_value_t<Range>>;

}  // namespace internal

/// Runs awaitables together. Coroutines become tasks at once, in argument order; tasks and futures
/// are watched.
///
/// Returns a future of all results in argument order: a tuple, with `None` where there is no value;
/// nothing at all if no part has a value. The first error of a part is the error of the gather, at
/// once; **the other parts go on**. Where they should not, use `task_group`.
/// Cancellation: cancelling the gather cancels every part that has not ended, and the gather ends
/// when all of them have (Python's may end before). If all have ended, `cancel` is refused and the
/// results stand.
/// While no loop runs, the thread's current one (`set_event_loop`) gets the tasks.
/// Throws: RuntimeError if there is neither; `std::invalid_argument` for a future of another loop.
/// Python: `asyncio.gather(*aws)`.
template <class... Given>
    requires(internal::Awaitable<Given> && ...)
auto gather(Given&&... awaitables) {
    EventLoop& loop = internal::running_or_current_loop("asyncio::gather()");
    using Parts = internal::TupleParts<internal::HandleOf<Given>...>;
    // Braces, not parentheses: they fix the order in which the tasks are created.
    return internal::start_gather<false>(
        loop, Parts{std::tuple<internal::HandleOf<Given>...>{
                  internal::ensure_future_on(loop, std::forward<Given>(awaitables))...}});
}

/// A coroutine that stays with the caller cannot be run.
template <class... Given>
    requires(internal::is_lvalue_coro<Given&> || ...)
void gather(Given&...) = delete;  // a Coro is awaited once: hand it over with std::move

/// The same for a range, `gather(std::move(coroutines))`: a vector of results, or nothing if the
/// parts have no value.
template <internal::AwaitableRange Range>
auto gather(Range&& awaitables) {
    EventLoop& loop = internal::running_or_current_loop("asyncio::gather()");
    auto handles = internal::handles_of(std::forward<Range>(awaitables));
    return internal::start_gather<false>(
        loop, internal::VectorParts<typename decltype(handles)::value_type>{std::move(handles)});
}

/// As `gather`, but never fails for a part: gives an `Outcome` of each.
/// Cancellation: as `gather`; the caller's own cancellation is thrown, not collected.
/// Python: `asyncio.gather(*aws, return_exceptions=True)`.
template <class... Given>
    requires(internal::Awaitable<Given> && ...)
auto gather_settled(Given&&... awaitables) {
    EventLoop& loop = internal::running_or_current_loop("asyncio::gather_settled()");
    using Parts = internal::TupleParts<internal::HandleOf<Given>...>;
    return internal::start_gather<true>(
        loop, Parts{std::tuple<internal::HandleOf<Given>...>{
                  internal::ensure_future_on(loop, std::forward<Given>(awaitables))...}});
}

template <internal::AwaitableRange Range>
auto gather_settled(Range&& awaitables) {
    EventLoop& loop = internal::running_or_current_loop("asyncio::gather_settled()");
    auto handles = internal::handles_of(std::forward<Range>(awaitables));
    return internal::start_gather<true>(
        loop, internal::VectorParts<typename decltype(handles)::value_type>{std::move(handles)});
}

}  // namespace asyncio
