#pragma once
// Values as bytes, for the way to another process of the same program and back.
//
// This is not a format for files or networks: sizes and byte order are the machine's, and there is
// no version. Both ends run the same executable, so both know what the bytes mean.
//
// Numbers, enumerations, strings, vectors, arrays, pairs, tuples, and optionals of such types have
// a `Serializer`. A type of your own gets one by a specialisation:
//
//   template <>
//   struct asyncio::Serializer<Point> {
//       static void write(ByteWriter& to, const Point& point) { to.put(point.x, point.y); }
//       static Point read(ByteReader& from) {
//           const int x = from.take<int>();  // in this order, so not inside a call's brackets
//           return {x, from.take<int>()};
//       }
//   };
//
// Reading checks every length against the bytes that are left, since a worker process that crashed
// may have written half an answer.
//
// Thread-safety: none of its own; the type of the value decides.

#include <asyncio/exceptions.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace asyncio {

/// How a `T` becomes bytes: `static void write(ByteWriter&, const T&)`, and
/// `static T read(ByteReader&)`, which takes exactly the bytes that `write` has put, or throws
/// SerializationError.
template <class T>
struct Serializer;

/// Collects the bytes of values. `put` appends values; `take` gives all bytes away.
class ByteWriter {
public:
    /// Appends `count` bytes as they are.
    void put_bytes(const void* bytes, std::size_t count) {
        bytes_.append(static_cast<const char*>(bytes), count);
    }
    /// Appends values, one after the other, without marks between them: the reader knows the types.
    template <class... Values>
    void put(const Values&... values) {
        (Serializer<Values>::write(*this, values), ...);
    }
    /// Gives all bytes away; the writer is empty afterwards.
    std::string take() noexcept { return std::move(bytes_); }

private:
    std::string bytes_;
};

/// Reads values from bytes, in the order in which they were written.
class ByteReader {
public:
    /// The bytes must outlive the reader.
    explicit ByteReader(std::string_view bytes) noexcept : bytes_(bytes) {}

    /// How many bytes have not been read.
    std::size_t left() const noexcept { return bytes_.size(); }

    /// The next `count` bytes. Throws: SerializationError if there are fewer.
    std::string_view take_bytes(std::size_t count) {
        if (count > bytes_.size()) throw SerializationError("the bytes end within a value");
        const std::string_view taken = bytes_.substr(0, count);
        bytes_.remove_prefix(count);
        return taken;
    }
    /// The next value, which must have been written as a T. Throws: SerializationError.
    template <class T>
    T take() {
        return Serializer<T>::read(*this);
    }
    /// The number of elements that follow. Every element has at least one byte, so a number larger
    /// than the number of bytes left is wrong. Throws: SerializationError then; a `reserve` for
    /// that many elements would ask for all the memory.
    std::size_t take_count() {
        const auto count = take<std::size_t>();
        if (count > bytes_.size()) throw SerializationError("the bytes end within a list");
        return count;
    }

private:
    std::string_view bytes_;
};

/// A type that has a `Serializer`.
template <class T>
concept Serializable = requires(ByteWriter& to, ByteReader& from, const T& value) {
    Serializer<T>::write(to, value);
    { Serializer<T>::read(from) } -> std::convertible_to<T>;
};

template <class T>
    requires(std::is_arithmetic_v<T> || std::is_enum_v<T>)
struct Serializer<T> {
    static void write(ByteWriter& to, const T& value) { to.put_bytes(&value, sizeof value); }
    static T read(ByteReader& from) {
        T value;
        std::memcpy(&value, from.take_bytes(sizeof value).data(), sizeof value);
        return value;
    }
};

/// A byte that is neither 0 nor 1 is refused: the language gives such a bool no meaning.
template <>
struct Serializer<bool> {
    static void write(ByteWriter& to, bool value) { to.put(static_cast<unsigned char>(value)); }
    static bool read(ByteReader& from) {
        const auto byte = from.take<unsigned char>();
        if (byte > 1) throw SerializationError("a byte is neither true nor false");
        return byte == 1;
    }
};

template <>
struct Serializer<std::string> {
    static void write(ByteWriter& to, const std::string& text) {
        to.put(text.size());
        to.put_bytes(text.data(), text.size());
    }
    static std::string read(ByteReader& from) {
        const std::size_t count = from.take_count();
        return std::string(from.take_bytes(count));
    }
};

template <class T>
struct Serializer<std::vector<T>> {
    /// A vector of numbers is copied in one piece. (A vector of bool does not store its elements
    /// one after the other.)
    static constexpr bool is_one_piece = std::is_arithmetic_v<T> && !std::is_same_v<T, bool>;

    static void write(ByteWriter& to, const std::vector<T>& list) {
        to.put(list.size());
        if constexpr (is_one_piece) return to.put_bytes(list.data(), list.size() * sizeof(T));
        for (const auto& element : list) to.put(static_cast<const T&>(element));
    }
    static std::vector<T> read(ByteReader& from) {
        std::vector<T> list;
        const std::size_t count = from.take_count();
        if constexpr (is_one_piece) {
            if (count > from.left() / sizeof(T))
                throw SerializationError("the bytes end within a list");
            list.resize(count);
            if (count > 0) {
                std::memcpy(list.data(), from.take_bytes(count * sizeof(T)).data(),
                            count * sizeof(T));
            }
            return list;
        }
        list.reserve(count);
        for (std::size_t i = 0; i < count; ++i) list.push_back(from.take<T>());
        return list;
    }
};

template <class T, std::size_t count>
struct Serializer<std::array<T, count>> {
    static void write(ByteWriter& to, const std::array<T, count>& list) {
        for (const T& element : list) to.put(element);
    }
    static std::array<T, count> read(ByteReader& from) {
        return read_each(from, std::make_index_sequence<count>());
    }

private:
    template <std::size_t... indices>
    static std::array<T, count> read_each(ByteReader& from, std::index_sequence<indices...>) {
        return {(static_cast<void>(indices), from.take<T>())...};
    }
};

template <class First, class Second>
struct Serializer<std::pair<First, Second>> {
    static void write(ByteWriter& to, const std::pair<First, Second>& pair) {
        to.put(pair.first, pair.second);
    }
    static std::pair<First, Second> read(ByteReader& from) {
        // In braces the order of evaluation is that of the text; in the parentheses of a call it
        // would be open.
        return std::pair<First, Second>{from.take<First>(), from.take<Second>()};
    }
};

template <class... Parts>
struct Serializer<std::tuple<Parts...>> {
    static void write(ByteWriter& to, const std::tuple<Parts...>& tuple) {
        std::apply([&](const Parts&... parts) { to.put(parts...); }, tuple);
    }
    static std::tuple<Parts...> read([[maybe_unused]] ByteReader& from) {
        return std::tuple<Parts...>{from.take<Parts>()...};
    }
};

template <class T>
struct Serializer<std::optional<T>> {
    static void write(ByteWriter& to, const std::optional<T>& value) {
        to.put(value.has_value());
        if (value) to.put(*value);
    }
    static std::optional<T> read(ByteReader& from) {
        if (!from.take<bool>()) return std::nullopt;
        return from.take<T>();
    }
};

}  // namespace asyncio
