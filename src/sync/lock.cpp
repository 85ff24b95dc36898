#include <asyncio/lock.h>

namespace asyncio {

void Lock::refuse_release() { throw RuntimeError("the lock is not held"); }

}  // namespace asyncio
