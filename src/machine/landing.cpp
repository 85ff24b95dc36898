// Reading the tables of one function.
//
// The runtime library finds the description of the code at an address (the FDE). Functions of one
// kind share a part of it (the CIE), which says how the description is written. The description
// leads to the table of handlers (the LSDA, language specific data area). This table has a line for
// every stretch of code. The line says where the function continues when a call in this stretch
// ends with an exception (the landing), and which list of actions is waiting there. An action is a
// handler for a type, or a cleanup.
//
// The steps of `find_landing`
//
//  1. `_Unwind_Find_FDE` finds the description by the address of the call.
//  2. `Common` reads the shared part, and accepts it only if its personality function is that of
//     C++: tables of another language have another meaning.
//  3. `lsda_of` steps over the fields of the description up to the pointer to the table of
//     handlers.
//  4. `HandlerTable::find` looks for the line whose stretch contains the call.
//  5. `HandlerTable::handler` goes through the actions of that line, innermost handler first, and
//     asks the runtime library whether the handler takes the error (`__do_catch`, as the unwinder
//     does).
//
// Errors. The tables are trusted as far as the running program itself trusts them: every throw
// reads them. A form that this reader does not know is no error: the answer is "not known", and the
// usual throw, which knows all forms, does the work. So each step returns nothing at the first
// unknown form.
//
// No code here allocates or locks, except what `_Unwind_Find_FDE` does for itself.

#include "machine/landing.h"

#ifdef ASYNCIO_WITH_QUICK_THROW

#include <cstddef>
#include <cstring>
#include <typeinfo>

#include <unwind.h>

namespace asyncio::internal {

// Functions of the runtime library that no header declares.

/// The bases of a description's relative addresses. `function` is where the described code begins.
struct Bases {
    void* text;
    void* data;
    void* function;
};

/// The description of the code at `address`; null if there is none.
const void* find_description(void* address, Bases* bases) asm("_Unwind_Find_FDE");

/// The function that reads these tables for C++. Code with another personality function has tables
/// of another language.
_Unwind_Reason_Code personality(int, _Unwind_Action, _Unwind_Exception_Class, _Unwind_Exception*,
                                _Unwind_Context*) asm("__gxx_personality_v0");

namespace {

// --- Reading the tables --------------------------------------------------------------------------

/// How a pointer is written in the tables (DW_EH_PE_… of the Linux Standard Base): the format in
/// the low half of the byte, and what it is relative to in the high half.
namespace encoding {
constexpr std::uint8_t absolute = 0x00;
constexpr std::uint8_t uleb128 = 0x01;
constexpr std::uint8_t udata4 = 0x03;
constexpr std::uint8_t udata8 = 0x04;
constexpr std::uint8_t sdata4 = 0x0b;
constexpr std::uint8_t sdata8 = 0x0c;
constexpr std::uint8_t relative_to_itself = 0x10;
constexpr std::uint8_t indirect = 0x80;
constexpr std::uint8_t omitted = 0xff;
}  // namespace encoding

/// Walks over a table. A form that it does not know is noted and read as zero, so that one question
/// at the end of several reads is enough.
class Reader {
public:
    explicit Reader(const void* at) noexcept : at_(static_cast<const unsigned char*>(at)) {}

    bool failed() const noexcept { return failed_; }
    const unsigned char* position() const noexcept { return at_; }
    void skip(std::size_t bytes) noexcept { at_ += bytes; }

    /// By memcpy, because numbers in the tables are not aligned.
    template <class Number>
    Number number() noexcept {
        Number value;
        std::memcpy(&value, at_, sizeof value);
        at_ += sizeof value;
        return value;
    }

    std::uint8_t byte() noexcept { return *at_++; }

    /// LEB128: seven bits per byte, the lowest first; the highest bit says that more follow.
    std::uint64_t uleb() noexcept {
        std::uint64_t value = 0;
        for (unsigned int shift = 0;; shift += 7) {
            const std::uint8_t part = byte();
            value |= std::uint64_t{part & 0x7fU} << shift;
            if (part < 0x80) return value;
        }
    }

    /// The same with a sign, which is the second highest bit of the last byte.
    std::int64_t sleb() noexcept {
        std::uint64_t value = 0;
        for (unsigned int shift = 0;;) {
            const std::uint8_t part = byte();
            value |= std::uint64_t{part & 0x7fU} << shift;
            shift += 7;
            if (part >= 0x80) continue;
            const bool is_negative = (part & 0x40) != 0 && shift < 64;
            return static_cast<std::int64_t>(is_negative ? value | ~std::uint64_t{0} << shift
                                                         : value);
        }
    }

    /// Zero stays zero in every form: it means "none". Relative forms other than to the pointer's
    /// own place appear on other processors only.
    std::uintptr_t pointer(std::uint8_t how) noexcept {
        const auto here = reinterpret_cast<std::uintptr_t>(at_);
        std::uintptr_t value = plain(how & 0x0f);
        if (value == 0) return 0;
        const std::uint8_t base = how & 0x70;
        if (base == encoding::relative_to_itself) {
            value += here;
        } else if (base != 0) {
            failed_ = true;
            return 0;
        }
        if ((how & encoding::indirect) != 0)
            value = *reinterpret_cast<const std::uintptr_t*>(value);
        return value;
    }

    /// The number of bytes of a pointer that is written like this; 0 if it depends on the value.
    static std::size_t size_of(std::uint8_t how) noexcept {
        switch (how & 0x07) {
            case encoding::udata4: return 4;
            case encoding::absolute:
            case encoding::udata8: return 8;
            default: return 0;
        }
    }

private:
    std::uintptr_t plain(std::uint8_t format) noexcept {
        switch (format) {
            case encoding::uleb128: return uleb();
            case encoding::udata4: return number<std::uint32_t>();
            case encoding::sdata4: return static_cast<std::uintptr_t>(number<std::int32_t>());
            case encoding::absolute:
            case encoding::udata8:
            case encoding::sdata8: return number<std::uintptr_t>();
            default: failed_ = true; return 0;
        }
    }

    const unsigned char* at_;
    bool failed_ = false;
};

/// The part that all functions of one kind share (the ABI's CIE): how the pointers in their
/// descriptions are written.
struct Common {
    std::uint8_t code = encoding::absolute;
    std::uint8_t lsda = encoding::omitted;
    bool is_known = false;

    explicit Common(Reader in) noexcept {
        const auto length = in.number<std::uint32_t>();
        const auto id = in.number<std::uint32_t>();
        const std::uint8_t version = in.byte();
        if (length == 0xffffffff || id != 0 || (version != 1 && version != 3)) return;
        const auto* augmentation = reinterpret_cast<const char*>(in.position());
        in.skip(std::strlen(augmentation) + 1);
        in.uleb();  // the unit of code addresses
        in.sleb();  // the unit of places on the stack
        in.uleb();  // the register of the return address
        if (*augmentation++ != 'z') return;
        in.uleb();
        is_known = read(in, augmentation);
    }

private:
    /// The letters of the augmentation say which fields follow and in which order. An unknown
    /// letter has a field of unknown length, so reading ends there. Without a 'P' there is no
    /// personality function, and so no handlers.
    bool read(Reader& in, const char* augmentation) noexcept {
        bool is_ours = false;
        for (; *augmentation != '\0'; ++augmentation) {
            if (*augmentation == 'L') {
                lsda = in.byte();
            } else if (*augmentation == 'R') {
                code = in.byte();
            } else if (*augmentation == 'P') {
                const std::uint8_t how = in.byte();
                is_ours = in.pointer(how) == reinterpret_cast<std::uintptr_t>(&personality);
            } else {
                return false;
            }
        }
        return is_ours && !in.failed();
    }
};

/// The table of handlers of the function that `description` describes; null if it has none, or none
/// that is understood. The number before the description's body is the distance back to the shared
/// part.
const unsigned char* lsda_of(const void* description) noexcept {
    Reader in(description);
    if (in.number<std::uint32_t>() == 0xffffffff) return nullptr;
    const unsigned char* place = in.position();
    const Common common(Reader(place - in.number<std::int32_t>()));
    if (!common.is_known || common.lsda == encoding::omitted) return nullptr;
    const std::size_t pointer_size = Reader::size_of(common.code);
    if (pointer_size == 0) return nullptr;
    in.skip(2 * pointer_size);  // where the code begins, and its length
    in.uleb();
    const std::uintptr_t lsda = in.pointer(common.lsda);
    return in.failed() ? nullptr : reinterpret_cast<const unsigned char*>(lsda);
}

// --- Finding the handler -------------------------------------------------------------------------

/// The thrown object and its type. An `exception_ptr` of the GNU C++ library is a pointer to the
/// object, which `exception_header.h` asserts as far as it can.
struct Thrown {
    const std::type_info* type;
    void* object;

    explicit Thrown(const std::exception_ptr& error) noexcept
        : type(error.__cxa_exception_type()), object(*reinterpret_cast<void* const*>(&error)) {}

    /// Whether a handler for `caught` takes the error; null stands for `catch (...)`. `as_caught`
    /// is then the address that the handler sees, which differs for a base class. For a thrown
    /// pointer the handler sees its value and not the place that holds it.
    bool fits(const std::type_info* caught, void*& as_caught) const {
        as_caught = type->__is_pointer_p() ? *static_cast<void**>(object) : object;
        return caught == nullptr || caught->__do_catch(type, &as_caught, 1);
    }
};

/// The table of handlers of a single function.
class HandlerTable {
public:
    /// `function` is where the code begins.
    HandlerTable(const unsigned char* lsda, std::uintptr_t function) noexcept
        : in_(lsda), function_(function), lsda_(lsda) {
        const std::uint8_t landings_how = in_.byte();
        // Usually landings are counted from the function's beginning, and this field is omitted.
        landings_ = landings_how == encoding::omitted ? function : in_.pointer(landings_how);
        types_how_ = in_.byte();
        if (types_how_ != encoding::omitted) {
            const std::uint64_t distance = in_.uleb();
            types_ = in_.position() + distance;
        }
        is_known_ = in_.byte() == encoding::uleb128;  // g++ and clang write no other
        const std::uint64_t length = in_.uleb();
        actions_ = in_.position() + length;
    }

    /// The landing for a call at `address` that ends with `thrown`; none if the function does not
    /// catch it, or if the table is not understood.
    std::optional<Landing> find(std::uintptr_t address, const Thrown& thrown) {
        if (in_.failed() || !is_known_) return std::nullopt;
        const std::uintptr_t offset = address - function_;
        while (in_.position() < actions_) {
            const std::uintptr_t begin = in_.uleb();
            const std::uintptr_t length = in_.uleb();
            const std::uintptr_t landing = in_.uleb();
            const std::uint64_t action = in_.uleb();
            // The lines are sorted, so a line that begins later ends the search.
            if (offset < begin) break;
            if (offset >= begin + length) continue;
            // No landing: the call throws through the function. No action: there is only a cleanup,
            // after which the unwinder has to continue, and it cannot do so from here.
            if (landing == 0 || action == 0) break;
            return handler(landings_ + landing, actions_ + action - 1, thrown);
        }
        return std::nullopt;
    }

private:
    /// Goes through the handlers at `landing`, innermost first. The compiler made the list, so it
    /// ends.
    std::optional<Landing> handler(std::uintptr_t landing, const unsigned char* action,
                                   const Thrown& thrown) const {
        const std::size_t type_size = Reader::size_of(types_how_);
        if (type_size == 0) return std::nullopt;
        for (;;) {
            Reader in(action);
            const std::int64_t filter = in.sleb();
            const unsigned char* next_from = in.position();
            const std::int64_t next = in.sleb();
            // A negative filter is an exception specification (`throw(...)`), which only old code
            // has. Zero is a cleanup. The search continues behind it, because a handler that takes
            // the error may follow.
            if (filter < 0) return std::nullopt;
            if (filter > 0) {
                Reader types(types_ - static_cast<std::uint64_t>(filter) * type_size);
                const std::uintptr_t type = types.pointer(types_how_);
                if (types.failed()) return std::nullopt;
                Landing found{landing, filter, nullptr, action, lsda_};
                if (thrown.fits(reinterpret_cast<const std::type_info*>(type), found.object)) {
                    return found;
                }
            }
            if (next == 0) return std::nullopt;
            // Relative to the field that holds the distance.
            action = next_from + next;
        }
    }

    Reader in_;
    std::uintptr_t function_;
    const unsigned char* lsda_;
    std::uintptr_t landings_ = 0;
    std::uint8_t types_how_ = encoding::omitted;
    const unsigned char* types_ = nullptr;
    bool is_known_ = false;
    const unsigned char* actions_ = nullptr;
};

}  // namespace

std::optional<Landing> find_landing(std::uintptr_t address, const std::exception_ptr& error) {
    Bases bases;
    const void* description = find_description(reinterpret_cast<void*>(address), &bases);
    if (description == nullptr) return std::nullopt;
    const unsigned char* lsda = lsda_of(description);
    if (lsda == nullptr) return std::nullopt;
    return HandlerTable(lsda, reinterpret_cast<std::uintptr_t>(bases.function))
        .find(address, Thrown(error));
}

}  // namespace asyncio::internal

#endif
