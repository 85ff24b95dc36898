#pragma once
// What the job log says is done, so that `--resume` leaves it out.
//
// Like GNU parallel, this goes by the number alone.

#include "batch/options.h"

#include <cstddef>
#include <string>
#include <unordered_map>

namespace batch {

class Resume {
public:
    /// Reads the log if the options ask for that.
    /// Throws: `asyncio::OsError` if it is there and cannot be read.
    explicit Resume(const Options& options);

    /// The command that had this number when it was done; null if it is to be run.
    const std::string* done(std::size_t number) const;

private:
    std::unordered_map<std::size_t, std::string> done_;
};

}  // namespace batch
