#include <asyncio/semaphore.h>

#include <stdexcept>

namespace asyncio {

void Semaphore::refuse_value() {
    throw std::invalid_argument("a semaphore starts with no less than 0 permits");
}

void Semaphore::refuse_release() {
    throw std::invalid_argument("the semaphore is released more often than it was acquired");
}

}  // namespace asyncio
