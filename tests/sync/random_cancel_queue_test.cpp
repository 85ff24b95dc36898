// Goal: whatever is cancelled at whatever moment, every item that was put is got once or is still
// there, no item whose put was cancelled turns up, and nobody sleeps who could go on.
// Method: see random_cancel.h.

#include "sync/random_cancel.h"

#include <set>

namespace {

using asyncio::LifoQueue;
using asyncio::PriorityQueue;
using asyncio::Queue;
using namespace random_cancel;

template <class AnyQueue>
class QueueProgram {
public:
    explicit QueueProgram(Random& random)
        : chaos_(random), queue_(static_cast<std::ptrdiff_t>(random.below(4))) {}

    Coro<> run() {
        const std::uint64_t putters = 1 + chaos_.random().below(9);
        for (std::uint64_t i = 0; i < putters; ++i) chaos_.start([this] { return put(); });
        for (std::uint64_t i = putters; i < 10; ++i) chaos_.start([this] { return get(); });
        co_await chaos_.run([this] {
            EXPECT_TRUE(queue_.empty() || getting_ == 0) << "an item is there, a getter sleeps";
            EXPECT_TRUE(queue_.full() || putting_ == 0) << "there is room, a putter sleeps";
            EXPECT_EQ(queue_.qsize() + static_cast<std::size_t>(putting_), there_.size());
        });
        queue_.shutdown();
        co_await chaos_.join();
        if (queue_.empty()) co_await queue_.join();
    }
    void check() {
        while (auto item = queue_.try_get()) take(*item);
        EXPECT_TRUE(there_.empty()) << there_.size() << " items are lost";
        EXPECT_EQ(getting_, 0);
        EXPECT_EQ(putting_, 0);
    }

private:
    /// The item is noted before it is put: the next to run may be the one who gets it.
    Coro<> put() {
        const int item = ++last_item_;
        there_.insert(item);
        ++putting_;
        const auto outcome =
            co_await asyncio::internal::settle(chaos_.perhaps_limited(queue_.put(item)));
        --putting_;
        chaos_.strike();
        if (!outcome.failed()) co_return;
        EXPECT_EQ(there_.erase(item), 1u) << "the put has failed, and the item was got";
        std::rethrow_exception(outcome.error());
    }
    Coro<> get() {
        ++getting_;
        const auto outcome =
            co_await asyncio::internal::settle(chaos_.perhaps_limited(queue_.get()));
        --getting_;
        if (outcome.failed()) std::rethrow_exception(outcome.error());
        take(outcome.value());
        queue_.task_done();
        chaos_.strike();
    }
    void take(int item) {
        EXPECT_EQ(there_.erase(item), 1u) << "the item was never put, or got twice";
    }

    Chaos chaos_;
    AnyQueue queue_;
    std::set<int> there_;
    int last_item_ = 0;
    int getting_ = 0;
    int putting_ = 0;
};

TEST(random_cancel, a_queue_loses_no_item) { run_seeds<QueueProgram<Queue<int>>>(); }

TEST(random_cancel, a_priority_queue_loses_no_item) {
    run_seeds<QueueProgram<PriorityQueue<int>>>();
}

TEST(random_cancel, a_lifo_queue_loses_no_item) { run_seeds<QueueProgram<LifoQueue<int>>>(); }

}  // namespace
