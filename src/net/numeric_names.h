#pragma once
// Questions about names that need no lookup, because host and service are numbers already.
//
// Most programs connect to a few names and serve on numbers, and many tests use only numbers. A
// thread would cost such a question two switches of context, and a test its determinism. The
// answers are those of glibc, element by element; a test compares them. A question outside the
// usual ones is left to the system, even if it could be answered here: rare rules that are written
// twice differ some day.

#include <asyncio/lowlevel/names.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace asyncio::internal {

/// The port that `service` is, if it is a number from 0 to 65535 in digits. The empty text is port
/// 0. Empty for every other text.
std::optional<std::uint16_t> port_number(std::string_view service) noexcept;

/// Whether `service` is a number that no port can have. The C library would cut off its upper bits.
bool is_beyond_ports(std::string_view service) noexcept;

/// The answer, if host and service are numbers or empty; without a value, the system must be asked.
std::optional<lowlevel::Names::Addresses> addresses_of_numbers(const std::string& host,
                                                               const std::string& service,
                                                               const AddressHints& hints);

/// The same for getnameinfo(3): an answer if the flags ask for numbers.
std::optional<lowlevel::Names::Name> name_of_numbers(const Address& address, int flags);

}  // namespace asyncio::internal
