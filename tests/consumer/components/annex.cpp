// Uses the library of tests/consumer/annex from an installation.

#include <asyncio/annex/version.h>

int main() { return asyncio::annex::liburing_version() == 2 ? 0 : 1; }
