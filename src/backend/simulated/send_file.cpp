// The write that stands for a sendfile: how it is made, and what it means for the file.

#include "backend/simulated/send_file.h"

#include "backend/simulated/open_file.h"

#include <cerrno>
#include <string_view>

#include <fcntl.h>

namespace asyncio::lowlevel::simulated {
namespace {

/// Null if the second descriptor is no file of the world.
OpenFile* source_of(const Operation& operation, const Descriptors& descriptors) noexcept {
    const Descriptor* source = descriptors.find(operation.second_fd);
    return source == nullptr ? nullptr : dynamic_cast<OpenFile*>(source->file->object.get());
}

/// Whether the number is a descriptor, of the world or of the kernel.
bool is_open(int number, const Descriptors& descriptors) noexcept {
    if (number < first_number) return ::fcntl(number, F_GETFD) >= 0;
    return descriptors.find(number) != nullptr;
}

/// A write never changes the bytes behind `buffer`, whose type has no `const` all the same.
void fill_in(Operation& writing, const Operation& operation, std::string_view bytes) noexcept {
    writing.kind = OperationKind::write;
    writing.fd = operation.fd;
    writing.buffer = const_cast<char*>(bytes.data());
    writing.size = bytes.size();
}

}  // namespace

/// The target decides whether the bytes can go, and how many. Without bytes it is not asked: the
/// end of the file is a result also where a write would block.
int foresee_sendfile(const Operation& operation, const Description& target,
                     const Descriptors& descriptors) noexcept {
    const OpenFile* source = source_of(operation, descriptors);
    if (source == nullptr) return is_open(operation.second_fd, descriptors) ? -EINVAL : -EBADF;
    if (!source->may_read()) return -EBADF;
    if (dynamic_cast<const OpenNode*>(target.object.get()) != nullptr) return -EINVAL;
    const std::string_view bytes = source->bytes_at(operation.offset, operation.size);
    if (bytes.empty()) return 0;
    Operation writing;
    fill_in(writing, operation, bytes);
    return target.object->foresee(writing, target.side);
}

int carry_out_sendfile(const Operation& operation, const Description& target,
                       Surroundings& around) {
    OpenFile& source = *source_of(operation, around.descriptors);
    const std::string_view bytes = source.bytes_at(operation.offset, operation.size);
    if (bytes.empty()) return 0;
    Operation writing;
    fill_in(writing, operation, bytes);
    const int foreseen = target.object->foresee(writing, target.side);
    const int count = target.object->carry_out(writing, target.side, foreseen, around);
    if (count > 0 && operation.offset < 0) source.move_position(count);
    return count;
}

}  // namespace asyncio::lowlevel::simulated
