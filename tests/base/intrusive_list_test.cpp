// Goal: the intrusive list keeps its order, and its links right, through every operation.
// Method: by hand; then random operations on two lists against two `std::deque`s.

#include <asyncio/internal/base/intrusive_list.h>

#include "support/random.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::internal::IntrusiveList;
using asyncio::internal::ListNode;

struct Element : ListNode {
    explicit Element(int given = 0) : number(given) {}
    int number;
};

using List = IntrusiveList<Element>;

std::vector<int> numbers(List& list) {
    std::vector<int> seen;
    list.for_each([&](Element& element) { seen.push_back(element.number); });
    return seen;
}

TEST(intrusive_list, a_new_one_is_empty) {
    List list;
    EXPECT_TRUE(list.empty());
    EXPECT_EQ(list.count(), 0u);
}

TEST(intrusive_list, gives_elements_in_the_order_in_which_they_came) {
    List list;
    Element a(1), b(2), c(3);
    list.push_back(a);
    list.push_back(b);
    list.push_back(c);
    EXPECT_EQ(&list.front(), &a);
    EXPECT_EQ(&list.pop_front(), &a);
    EXPECT_EQ(&list.pop_front(), &b);
    EXPECT_EQ(&list.pop_front(), &c);
    EXPECT_TRUE(list.empty());
}

TEST(intrusive_list, an_element_knows_whether_it_is_in_a_list) {
    List list;
    Element a, b;
    EXPECT_FALSE(a.linked());
    list.push_back(a);
    list.push_back(b);
    EXPECT_TRUE(a.linked());
    a.unlink();
    EXPECT_FALSE(a.linked());
    list.pop_front();
    EXPECT_FALSE(b.linked());
}

TEST(intrusive_list, an_element_leaves_from_the_front_the_middle_and_the_back) {
    List list;
    std::vector<Element> elements(5);
    for (int i = 0; i < 5; ++i) {
        elements[i].number = i;
        list.push_back(elements[i]);
    }
    elements[2].unlink();
    EXPECT_EQ(numbers(list), (std::vector{0, 1, 3, 4}));
    elements[0].unlink();
    EXPECT_EQ(numbers(list), (std::vector{1, 3, 4}));
    elements[4].unlink();
    EXPECT_EQ(numbers(list), (std::vector{1, 3}));
}

TEST(intrusive_list, append_empties_the_other_list_and_keeps_both_orders) {
    List left, right;
    std::vector<Element> elements(4);
    for (int i = 0; i < 4; ++i) {
        elements[i].number = i;
        (i < 2 ? left : right).push_back(elements[i]);
    }
    left.append(right);
    EXPECT_EQ(numbers(left), (std::vector{0, 1, 2, 3}));
    EXPECT_TRUE(right.empty());
    left.append(right);
    EXPECT_EQ(left.count(), 4u);
    right.append(left);
    EXPECT_EQ(numbers(right), (std::vector{0, 1, 2, 3}));
    EXPECT_TRUE(left.empty());
}

TEST(intrusive_list, for_each_allows_the_visited_element_to_leave) {
    List list;
    std::vector<Element> elements(6);
    for (int i = 0; i < 6; ++i) {
        elements[i].number = i;
        list.push_back(elements[i]);
    }
    list.for_each([](Element& element) {
        if (element.number % 2 == 0) element.unlink();
    });
    EXPECT_EQ(numbers(list), (std::vector{1, 3, 5}));
}

TEST(intrusive_list, behaves_as_the_model_under_random_operations) {
    support::Random random(support::seed_or(1));
    SCOPED_TRACE(random.name());
    std::vector<Element> elements(50);
    for (int i = 0; i < 50; ++i) elements[i].number = i;
    List lists[2];
    std::deque<int> models[2];
    for (int step = 0; step < 50'000; ++step) {
        const std::uint64_t which = random.below(2);
        Element& element = elements[random.below(elements.size())];
        if (random.one_in(200)) {
            lists[which].append(lists[1 - which]);
            for (int number : models[1 - which]) models[which].push_back(number);
            models[1 - which].clear();
        } else if (random.one_in(4) && !models[which].empty()) {
            ASSERT_EQ(lists[which].pop_front().number, models[which].front());
            models[which].pop_front();
        } else if (element.linked()) {
            element.unlink();
            for (auto& model : models) std::erase(model, element.number);
        } else {
            lists[which].push_back(element);
            models[which].push_back(element.number);
        }
        for (int i = 0; i < 2; ++i) {
            ASSERT_EQ(lists[i].empty(), models[i].empty());
            ASSERT_EQ(numbers(lists[i]), std::vector<int>(models[i].begin(), models[i].end()));
        }
    }
}

}  // namespace
