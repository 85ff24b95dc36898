#pragma once
// A doubly linked list whose links live inside the elements.
//
// Everything that waits in this library waits in one of these lists: the ready queue, the waiters
// of a future, the finished operations of a back-end. An element is in one list at most, so one
// pair of pointers serves all of them, and nothing is allocated to wait. Leaving from the middle,
// as a cancellation does, costs three stores.
//
// The list is a ring through a sentinel: no operation has a special case for "first" or "last". A
// node that is in no list has `next == nullptr`; the owner may destroy the node only in this state.
//
// Thread-safety: none. A list belongs to one loop.

#include <cassert>
#include <cstddef>

namespace asyncio::internal {

struct ListNode {
    ListNode* next = nullptr;
    ListNode* previous = nullptr;

    ListNode() noexcept = default;
    ListNode(const ListNode&) = delete;
    ListNode& operator=(const ListNode&) = delete;

    bool linked() const noexcept { return next != nullptr; }

    /// Leaves the list that the node is in. The node must be linked. The list need not be known, so
    /// a waiter can leave without a pointer to what it waits for.
    void unlink() noexcept {
        assert(linked());
        previous->next = next;
        next->previous = previous;
        next = nullptr;
    }
};

/// `Element` derives from `ListNode`. The list does not own its elements: each has its owner
/// elsewhere, and leaves the list before it is destroyed.
template <class Element>
class IntrusiveList {
public:
    /// Not movable: the elements at both ends point into this object.
    IntrusiveList() noexcept { make_empty(); }
    IntrusiveList(const IntrusiveList&) = delete;
    IntrusiveList& operator=(const IntrusiveList&) = delete;

    bool empty() const noexcept { return ends_.next == &ends_; }

    Element& front() noexcept {
        assert(!empty());
        return static_cast<Element&>(*ends_.next);
    }

    void push_back(Element& element) noexcept { insert_before(ends_, element); }

    Element& pop_front() noexcept {
        Element& first = front();
        // As `unlink`, but the neighbour in front is known: the loop does this once for every step.
        ListNode* second = first.next;
        ends_.next = second;
        second->previous = &ends_;
        first.next = nullptr;
        return first;
    }

    /// Moves every element of `other` to the end of this list, in order; `other` is empty
    /// afterwards. O(1).
    void append(IntrusiveList& other) noexcept {
        if (other.empty()) return;
        ListNode* first = other.ends_.next;
        ListNode* last = other.ends_.previous;
        other.make_empty();
        first->previous = ends_.previous;
        ends_.previous->next = first;
        last->next = &ends_;
        ends_.previous = last;
    }

    /// As `append`, where this list is empty and `other` is not.
    void take(IntrusiveList& other) noexcept {
        assert(empty() && !other.empty());
        ends_.next = other.ends_.next;
        ends_.previous = other.ends_.previous;
        ends_.next->previous = ends_.previous->next = &ends_;
        other.make_empty();
    }

    /// Calls `visit(element)` front to back. `visit` may unlink the element it is given, and no
    /// other.
    template <class Visit>
    void for_each(Visit&& visit) {
        for (ListNode* node = ends_.next; node != &ends_;) {
            // Read before the visit, which may unlink the element.
            ListNode* following = node->next;
            visit(static_cast<Element&>(*node));
            node = following;
        }
    }

    /// O(n), for reports only: a counter would have to be kept in step by `unlink`, which does not
    /// know the list.
    std::size_t count() const noexcept {
        std::size_t elements = 0;
        for (const ListNode* node = ends_.next; node != &ends_; node = node->next) ++elements;
        return elements;
    }

private:
    static void insert_before(ListNode& place, Element& element) noexcept {
        ListNode& node = element;
        assert(!node.linked());
        node.next = &place;
        node.previous = place.previous;
        place.previous->next = &node;
        place.previous = &node;
    }

    void make_empty() noexcept { ends_.next = ends_.previous = &ends_; }

    /// The sentinel: `next` is the first element, `previous` the last one.
    ListNode ends_;
};

}  // namespace asyncio::internal
