# Event Loop: Watch a file descriptor for read events
import asyncio
import os

loop = asyncio.new_event_loop()

# Create a pair of connected file descriptors
rfd, wfd = os.pipe()

def reader():
    data = os.read(rfd, 100)
    print("Received:", data.decode())

    # We are done: unregister the file descriptor
    loop.remove_reader(rfd)

    # Stop the event loop
    loop.stop()

# Register the file descriptor for read event
loop.add_reader(rfd, reader)

# Simulate the reception of data
loop.call_soon(os.write, wfd, 'abc'.encode())

try:
    # Run the event loop
    loop.run_forever()
finally:
    # We are done. Close the descriptors and the event loop.
    os.close(rfd)
    os.close(wfd)
    loop.close()
