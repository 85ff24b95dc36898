// GNU parallel's rules for the exit status, without its percentages. A batch that died of a signal,
// or that has an error of its own, is decided before (`status_of` in batch.cpp).

#include "batch/job/exit_status.h"

#include <algorithm>

namespace tool::batch {

int exit_status(const Tally& tally, const Halt& halt, const Job* halted_by) noexcept {
    if (halted_by != nullptr) {
        if (halt.why == Halt::Why::success) return 0;
        if (halt.count == 1) return shell_status(*halted_by);
    }
    return static_cast<int>(std::min<std::size_t>(tally.failures(), most_failures));
}

}  // namespace tool::batch
