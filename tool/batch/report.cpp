// The layout of the table: the columns of status and seconds get the width that they need, and the
// command gets the rest. Widths are counted in columns of the terminal and not in bytes (`text.h`).

#include "batch/report.h"

#include "batch/duration.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace batch {
namespace {

/// A row is "command  status  seconds".
constexpr std::size_t gap = 2;
constexpr std::size_t seconds_width = 8;
constexpr std::size_t narrowest_command = 10;
constexpr std::string_view command_title = "Command";
constexpr std::string_view status_title = "Status";

struct Row {
    std::string command;
    std::string status;
    std::string seconds;
};

std::vector<const Job*> jobs_to_list(std::span<const Job> jobs, const Totals& totals) {
    std::vector<const Job*> listed;
    for (const Job& job : jobs) {
        if (totals.commands <= most_rows || is_notable(job)) listed.push_back(&job);
    }
    return listed;
}

std::size_t widest(const std::vector<Row>& rows, std::string Row::* field, Charset charset) {
    std::size_t width = 0;
    for (const Row& row : rows) width = std::max(width, columns(row.*field, charset));
    return width;
}

std::vector<Row> make_rows(const std::vector<const Job*>& jobs, std::size_t width,
                           Charset charset) {
    std::vector<Row> rows{{std::string(command_title), std::string(status_title), "Seconds"}};
    std::size_t status_width = status_title.size();
    for (const Job* job : jobs) status_width = std::max(status_width, describe(*job).size());
    const std::size_t others = status_width + seconds_width + 2 * gap;
    const std::size_t limit = std::max(narrowest_command, width > others ? width - others : 0);
    for (const Job* job : jobs) {
        rows.push_back({shortened(job->command, limit, charset), describe(*job),
                        job->has_run() ? fmt::format("{:.2f}", in_seconds(job->seconds)) : "-"});
    }
    return rows;
}

std::string layout(const std::vector<Row>& rows, Charset charset) {
    const std::size_t command_width = widest(rows, &Row::command, charset) + gap;
    const std::size_t status_width = widest(rows, &Row::status, charset) + gap;
    std::string text;
    for (const Row& row : rows) {
        text += padded(row.command, command_width, charset);
        text += padded(row.status, status_width, charset);
        fmt::format_to(std::back_inserter(text), "{:>{}}\n", row.seconds, seconds_width);
    }
    return text;
}

}  // namespace

std::string describe(const Totals& totals) {
    const Tally& tally = totals.tally;
    const std::pair<std::size_t, const char*> parts[] = {
        {tally.complete, "complete"},       {tally.failed, "failed"},
        {tally.timed_out, "timeout"},       {tally.interrupted, "interrupted"},
        {tally.not_started, "not started"}, {tally.skipped, "in the log"}};
    std::string text = fmt::format("{}{} command{}", totals.has_more ? "at least " : "",
                                   totals.commands, totals.commands == 1 ? "" : "s");
    const char* separator = ": ";
    for (const auto& [number, name] : parts) {
        if (number == 0) continue;
        text += fmt::format("{}{} {}", separator, number, name);
        separator = ", ";
    }
    return text + fmt::format("; {:.2f} s (one by one: {:.2f} s)", in_seconds(totals.elapsed),
                              in_seconds(totals.one_by_one));
}

std::string table(std::span<const Job> jobs, const Totals& totals, std::size_t width,
                  Charset charset) {
    const std::vector<const Job*> listed = jobs_to_list(jobs, totals);
    std::string text;
    if (!listed.empty()) text = layout(make_rows(listed, width, charset), charset);
    return text + describe(totals) + "\n";
}

}  // namespace batch
