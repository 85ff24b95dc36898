#pragma once
// Values for a template: lists of them, each with each (`:::`), or in step (`:::+`).
//
//   ::: a b ::: 1 2       a 1, a 2, b 1, b 2: the last list goes fastest
//   ::: a b :::+ 1 2      a 1, b 2: as many as the shortest has
//
// A list may be a file that is still being written. The first one is read as its values are
// needed and never kept, so it may be without end; the others are kept, as they are gone through
// again and again, and read when the first round needs them.

#include "batch/command_line.h"
#include "batch/feed.h"
#include "batch/input.h"

#include <variant>

namespace batch {

/// The values of one list.
class ValueList {
public:
    explicit ValueList(std::vector<std::string> values) : source_(Words{std::move(values)}) {}
    explicit ValueList(ItemReader reader) : source_(std::move(reader)) {}

    asyncio::Coro<std::optional<std::string>> next();
    bool is_finite() const noexcept;

private:
    struct Words {
        std::vector<std::string> values;
        std::size_t next = 0;
    };
    std::variant<Words, ItemReader> source_;
};

class ValueFeed final : public Feed {
public:
    using Row = std::vector<std::string>;

    /// Opens the files. There must be at least one list. A first list that is linked is not.
    /// Throws: InputError.
    ValueFeed(const std::vector<ListWords>& lists, ItemEnd end);

    /// How many values each command has.
    std::size_t lists() const noexcept { return lists_; }

    asyncio::Coro<std::optional<Command>> next() override;
    bool is_finite() const noexcept override;
    std::string remark() const override;

private:
    /// Lists in step, of which a row is taken at a time.
    struct Group {
        std::vector<ValueList> lists;
        /// What has been read, if it is wanted again.
        std::vector<Row> rows = {};
        /// The row that is current, and its position.
        Row row = {};
        std::size_t position = 0;
        bool has_ended = false;
    };

    asyncio::Coro<bool> advance();
    asyncio::Coro<bool> set_row(Group& group, std::size_t position);
    asyncio::Coro<std::optional<Row>> read_row(Group& group);
    void add(ValueList list, bool linked);

    std::vector<Group> groups_;
    std::size_t lists_ = 0;
    std::size_t count_ = 0;
    bool has_ended_ = false;
    bool lengths_differ_ = false;
};

}  // namespace batch
