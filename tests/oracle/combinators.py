"""`as_completed`, generators, exit stacks, `finally`: who runs in which tick. The twins are
in combinators.cpp.
"""

from contextlib import AsyncExitStack

from oracle import *
from oracle import main


async def number(seconds, value):
    await sleep(seconds)
    say(f"returns {value}")
    return value


async def failing(seconds, text):
    await sleep(seconds)
    say(f"fails with {text}")
    raise Error(text)


async def take_all(tasks, limit=None):
    for task in asyncio.as_completed(tasks, timeout=limit):
        await end_of("next", task)


@scenario
async def GATH_16_in_the_order_of_their_ends():
    await take_all([spawn("a", number(3, 1)), spawn("b", number(1, 2)), spawn("c", number(2, 3))])
    say("end")


@scenario
async def GATH_16_of_tasks_that_end_in_one_tick():
    await take_all([spawn("a", number(1, 1))])
    await take_all([spawn("b", number(0, 2))])
    await end_of("turn", sleep(0))


@scenario
async def GATH_16_of_one_that_is_done_and_of_one_that_fails():
    done = new_future()
    done.set_result(1)
    await take_all([done])
    await take_all([spawn("a", failing(1, "oh"))])
    await take_all([])


@scenario
async def GATH_17_the_limit_is_felt_at_each_that_is_left():
    tasks = [spawn("a", number(3, 1)), spawn("b", number(1, 2)), spawn("c", number(5, 3))]
    await take_all(tasks, 2)
    say(f"at {loop_time()}")
    await end_of("rest", sleep(9))


@scenario
async def GATH_16_a_cancelled_consumer_leaves_the_tasks_alone():
    child = spawn("child", number(2, 1))
    consumer = spawn("consumer", take_until_error([child]))
    await sleep(1)
    consumer.cancel("why")
    await end_of("consumer", consumer)
    await end_of("child", child)


async def take_until_error(tasks):
    for task in asyncio.as_completed(tasks):
        await tell("next", task)


async def count(last, turns_between=0):
    for value in range(1, last + 1):
        await turns(turns_between)
        yield value
    say("count ends")


async def cleaning(turns_to_clean_up):
    try:
        yield 1
        say("goes on")
        await sleep(FOREVER)
    finally:
        say("cleaning up")
        await turns(turns_to_clean_up)
        say("clean")


@scenario
async def values_of_a_generator_cost_no_tick():
    other = spawn("other", turns_of_another())
    async for value in count(3):
        say(f"value {value}")
    async for value in count(2, 1):
        say(f"value {value}")
    await other


async def turns_of_another():
    for _ in range(5):
        say("turn")
        await sleep(0)


@scenario
async def a_generator_is_closed_and_cleans_up():
    generator = cleaning(2)
    say(f"value {await generator.__anext__()}")
    await end_of("aclose", generator.aclose())
    await end_of("again", generator.aclose())


@scenario
async def a_cancellation_reaches_the_generator():
    async def consume():
        async for value in cleaning(2):
            say(f"value {value}")

    consumer = spawn("consumer", consume())
    await sleep(1)
    consumer.cancel("why")
    await end_of("consumer", consumer)


@scenario
async def an_error_is_thrown_into_a_generator():
    async def answer():
        try:
            yield 1
        except Error as error:
            say(f"caught {text_of(error)}")
        await sleep(0)
        yield 2

    generator = answer()
    say(f"value {await generator.__anext__()}")
    say(f"value {await generator.athrow(Error('in'))}")
    await end_of("athrow", generator.athrow(Error("through")))


@scenario
async def a_limit_around_the_next_value():
    generator = cleaning(1)
    say(f"value {await generator.__anext__()}")
    await end_of("next", wait_for(generator.__anext__(), 2))
    say(f"at {loop_time()}")


@scenario
async def a_stack_is_undone_in_reverse_order():
    async def leave(name):
        await sleep(0)
        say(f"leaves {name}")

    async with AsyncExitStack() as stack:
        stack.push_async_callback(leave, "first")
        stack.push_async_callback(leave, "second")
        stack.callback(lambda: say("at once"))
        await sleep(1)
    say("over")


@scenario
async def a_cancelled_body_is_cleaned_up_with_awaits():
    async def body():
        try:
            await tell("body", sleep(FOREVER))
        finally:
            await turns(2)
            say("clean")

    task = spawn("task", body())
    await sleep(1)
    task.cancel("why")
    await end_of("task", task)


if __name__ == "__main__":
    main()
