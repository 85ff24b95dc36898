// Which commands the table lists, and the line with the totals below it.

#include "batch/report/table.h"

#include "terminal/duration.h"
#include "terminal/table.h"

#include <utility>
#include <vector>

#include <fmt/format.h>

namespace tool::batch {
namespace {

constexpr std::size_t seconds_width = 8;
constexpr std::size_t narrowest_command = 10;

std::vector<const Job*> jobs_to_list(std::span<const Job> jobs, const Totals& totals) {
    std::vector<const Job*> listed;
    for (const Job& job : jobs) {
        if (totals.commands <= most_rows || is_notable(job)) listed.push_back(&job);
    }
    return listed;
}

TableRow row_of(const Job& job) {
    return {job.command, describe(job),
            job.has_run() ? fmt::format("{:.2f}", in_seconds(job.seconds)) : "-"};
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
    if (listed.empty()) return describe(totals) + "\n";
    const TableColumn columns[] = {
        {.title = "Command", .can_be_cut_to = narrowest_command},
        {.title = "Status"},
        {.title = "Seconds", .align = TableColumn::Align::right, .least_width = seconds_width}};
    std::vector<TableRow> rows;
    rows.reserve(listed.size());
    for (const Job* job : listed) rows.push_back(row_of(*job));
    return draw_table(columns, std::move(rows), width, charset) + describe(totals) + "\n";
}

}  // namespace tool::batch
