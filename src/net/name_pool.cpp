// The pool of the process: how it is found, and how a forked child gets another one.

#include "net/name_pool.h"

#include "base/workers.h"
#include "executors/submit_to.h"

#include <atomic>
#include <memory>
#include <utility>

namespace asyncio::internal {
namespace {

/// Debuggers show fifteen characters of a name, which is the length of "asyncio_names_0".
constexpr const char* pool_name = "asyncio_names";

class NamePool final : public Executor {
public:
    NamePool(std::size_t limit, NamePool* of_parent)
        : workers_(Workers::make(limit, pool_name, Workers::AtExit::leave)),
          of_parent_(of_parent) {}

    void submit(ExecutorJob job) override { submit_to(*workers_, std::move(job)); }

    bool is_forked() const noexcept { return workers_->is_forked(); }
    void set_limit(std::size_t limit) noexcept { workers_->set_limit(limit); }

private:
    std::shared_ptr<Workers> workers_;
    /// The pool of the parent process, if this is a forked child. Kept so that a search for leaks
    /// finds it.
    [[maybe_unused]] NamePool* const of_parent_;
};

/// How many threads a pool may have. Four lookups at a time are more than most programs have, and a
/// resolver answers some hundred questions in a second through them.
constinit std::atomic<std::size_t> thread_limit{4};

/// The pool, made with the first lookup. A word without a lock: another thread may hold a lock at
/// the moment of a fork. The pool of a parent process is left as it is, because its threads hold
/// references to it that no code can drop.
constinit std::atomic<NamePool*> pool_of_process{nullptr};

/// Two threads may make a pool at the same time. The pool of the slower one is dropped; it has no
/// threads yet.
NamePool& name_pool() {
    NamePool* pool = pool_of_process.load();
    while (pool == nullptr || pool->is_forked()) {
        auto made = std::make_unique<NamePool>(thread_limit.load(), pool);
        if (pool_of_process.compare_exchange_strong(pool, made.get())) pool = made.release();
    }
    return *pool;
}

}  // namespace

Executor& name_executor() { return name_pool(); }

void limit_name_threads(std::size_t limit) {
    thread_limit = limit;
    name_pool().set_limit(limit);
}

}  // namespace asyncio::internal
