// Which commands have a bar: those that ran.

#include "batch/report/timeline.h"

#include "terminal/timeline.h"

#include <vector>

namespace tool::batch {

std::string timeline(std::span<const Job> jobs, asyncio::Duration elapsed, std::size_t width,
                     Charset charset) {
    std::vector<TimelineBar> bars;
    for (const Job& job : jobs) {
        if (job.has_run()) bars.push_back({job.command, job.begin, job.end});
    }
    return draw_timeline(bars, elapsed, width, charset);
}

}  // namespace tool::batch
