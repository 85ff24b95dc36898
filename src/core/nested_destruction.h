#pragma once
// Destroying objects that hold each other, in a stack that does not grow with their number.
//
// A future may hold a future, and a coroutine may hold a coroutine as its argument. The program
// decides how long such a chain is. The destructor of an object destroys the objects that it holds.
// So the nesting is limited: an object that lies deeper than the limit waits until the outermost
// one is destroyed. Nothing is counted if the loop knows that its stack is short, which is the
// usual case for a task or a coroutine that is dropped.
//
// Thread-safety: none. Each thread has its own.

#include <asyncio/internal/loop/step.h>

#include <utility>

namespace asyncio::internal {

/// Whether the loop knows where its stack begins, and much of the stack is left.
inline bool is_stack_short() noexcept {
    return stack_position() >= here.stack_limit && here.stack_limit != nullptr;
}

/// `Kind` has the type `Kind::Node` and three functions: `destroy(node)`, `postpone(node, next)`,
/// which keeps the pointer `next` in a node that is not used any more, and `resume(node)`, which
/// gives that pointer back and leaves the node as it was.
template <class Kind>
class NestedDestruction {
public:
    using Node = typename Kind::Node;

    void destroy(Node& node) noexcept {
        if (depth_ == deepest) {
            Kind::postpone(node, waiting_);
            waiting_ = &node;
            return;
        }
        destroy_now(node);
        while (depth_ == 0 && waiting_ != nullptr) {
            Node& next = *waiting_;
            waiting_ = Kind::resume(next);
            destroy_now(next);
        }
    }

private:
    static constexpr unsigned deepest = 64;

    void destroy_now(Node& node) noexcept {
        ++depth_;
        Kind::destroy(node);
        --depth_;
    }

    unsigned depth_ = 0;
    Node* waiting_ = nullptr;
};

}  // namespace asyncio::internal
