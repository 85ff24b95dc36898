// The JSON report, written by hand: the format is fixed and flat, and a JSON library would be a
// dependency for one function. Only strings need care, and `json_string` handles them.

#include "batch/report/json.h"

#include "terminal/duration.h"
#include "terminal/text.h"

#include <iterator>

#include <fmt/format.h>

namespace tool::batch {
namespace {

/// The fields of a command that was started.
std::string json_run(const Job& job) {
    return fmt::format(R"(,"exit":{},"signal":{},"started":{:.3f},"seconds":{:.3f},"begin":{:.3f},)"
                       R"("end":{:.3f},"tries":{},"stdout_bytes":{},"stderr_bytes":{})",
                       job.signal == 0 ? fmt::to_string(job.exit_code) : "null",
                       job.signal == 0 ? "null" : fmt::to_string(job.signal),
                       in_seconds(job.started.time_since_epoch()), in_seconds(job.seconds),
                       in_seconds(job.begin), in_seconds(job.end), job.tries, job.output_bytes,
                       job.error_bytes);
}

std::string json_job(const Job& job) {
    return fmt::format(R"({{"seq":{},"command":{},"status":{}{}}})", job.number,
                       json_string(job.command), json_string(describe(job)),
                       job.has_run() ? json_run(job) : "");
}

std::string json_totals(const Totals& totals) {
    const Tally& tally = totals.tally;
    return fmt::format(R"({{"commands":{},"complete":{},"failed":{},"timeout":{},"interrupted":{},)"
                       R"("not_started":{},"in_the_log":{},"has_more":{},"seconds":{:.3f}}})",
                       totals.commands, tally.complete, tally.failed, tally.timed_out,
                       tally.interrupted, tally.not_started, tally.skipped, totals.has_more,
                       in_seconds(totals.elapsed));
}

}  // namespace

std::string json_string(std::string_view text) {
    std::string json = "\"";
    for (const char character : valid_utf8(text)) {
        if (character == '"' || character == '\\') {
            (json += '\\') += character;
        } else if (static_cast<unsigned char>(character) < 0x20) {
            fmt::format_to(std::back_inserter(json), "\\u{:04x}", character);
        } else {
            json += character;
        }
    }
    return json += '"';
}

std::string json_report(std::span<const Job> jobs, const Totals& totals, int exit_status) {
    std::string json = "{\"commands\":[";
    for (const Job& job : jobs) {
        json += &job == jobs.data() ? "\n" : ",\n";
        json += json_job(job);
    }
    return json + fmt::format("\n],\n\"totals\":{},\n\"exit_status\":{}}}\n", json_totals(totals),
                              exit_status);
}

}  // namespace tool::batch
