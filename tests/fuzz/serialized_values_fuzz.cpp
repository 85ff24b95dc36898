// Goal: bytes of a worker process that has crashed, or that are no value at all, are refused or
// read as a value; they never make the reader go behind its bytes or ask for all memory.
// Method: the first byte chooses a type. A value that was read is written and read again: the bytes
// are the same.

#include <asyncio/internal/executors/remote_call.h>
#include <asyncio/serialize.h>

#include "fuzz/fuzz.h"

namespace {

using fuzz::Input;
using fuzz::require;

enum class Colour : std::uint8_t { red, green };

template <class T>
void read_as(const std::string& bytes) {
    asyncio::ByteReader reader(bytes);
    try {
        const T value = reader.take<T>();
        asyncio::ByteWriter writer;
        writer.put(value);
        const std::string written = writer.take();
        require(written.size() == bytes.size() - reader.left(), "as many bytes as were read");
        require(written == bytes.substr(0, written.size()), "a value has one form");
    } catch (const asyncio::SerializationError&) {
        // The bytes are no value.
    }
}

/// The answer of a worker is a value, or the error that the call has thrown.
void read_as_answer(const std::string& bytes) {
    try {
        const std::string_view value = asyncio::internal::read_answer(bytes);
        require(value.size() <= bytes.size(), "the value is a part of the answer");
    } catch (const std::exception&) {
        // An error of the worker, or SerializationError.
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    using Pair = std::pair<std::string, int>;
    Input input(bytes, size);
    const std::size_t type = input.below(11);
    const std::string rest = input.all();
    switch (type) {
        case 0: read_as<std::string>(rest); break;
        case 1: read_as<std::vector<std::string>>(rest); break;
        case 2: read_as<std::vector<double>>(rest); break;
        case 3: read_as<std::optional<std::vector<Pair>>>(rest); break;
        case 4: read_as<std::tuple<int, std::string, std::array<short, 3>>>(rest); break;
        case 5: read_as<std::vector<bool>>(rest); break;
        case 6: read_as<bool>(rest); break;
        case 7: read_as<std::vector<std::vector<std::vector<char>>>>(rest); break;
        case 8: read_as<std::vector<std::optional<std::string>>>(rest); break;
        case 9: read_as_answer(rest); break;
        default: read_as<std::pair<Colour, std::vector<Colour>>>(rest);
    }
    return 0;
}
