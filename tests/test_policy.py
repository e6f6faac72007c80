"""How often a message is tried, and what comes after each try."""

from __future__ import annotations

import functools
from math import inf, nan

import pytest

from channels_classic.policy import (
    PLAIN,
    Decision,
    Next,
    Outcome,
    Policy,
    after_crash,
    consumer,
    decide,
    policy_of,
)


def plain(message):
    pass


def next_of(policy, outcome, attempts=0, message_retries=10):
    return decide(policy, outcome, attempts=attempts, message_retries=message_retries).next


# The decorator ----------------------------------------------------------------------------------


def test_a_consumer_without_a_policy_is_at_most_once():
    assert policy_of(plain) is PLAIN
    assert not PLAIN.at_least_once
    assert (PLAIN.time_limit, PLAIN.ordering) == (None, True)


def test_without_arguments_the_decorator_means_five_attempts():
    @consumer
    def each(message):
        pass

    assert policy_of(each) == Policy(5, 1.0, 600.0, None, True)


def test_what_is_asked_for_is_kept():
    @consumer(max_attempts=3, backoff=2, max_backoff=8, time_limit=5, ordering=True)
    def each(message):
        pass

    assert policy_of(each) == Policy(3, 2, 8, 5, True)


def test_the_consumer_stays_the_same_object():
    assert consumer(max_attempts=2)(some := lambda message: None) is some


async def coroutine_function(message):
    pass


class Class:
    def __init__(self, message):
        pass


class WithCall:
    def __call__(self, message):
        pass


@pytest.mark.parametrize(
    ("mark", "route_to"),
    [
        (lambda: coroutine_function, lambda marked: marked),
        (lambda: type("Own", (Class,), {}), lambda marked: marked),
        (lambda: type("Own", (Class,), {}), lambda marked: type("Derived", (marked,), {})),
        (lambda: type("Own", (WithCall,), {}), lambda marked: marked()),
        (WithCall, lambda marked: marked),
        (lambda: lambda message, text: None, lambda marked: functools.partial(marked, text="a")),
    ],
)
def test_any_callable_can_be_marked(mark, route_to):
    marked = consumer(max_attempts=7)(mark())
    assert policy_of(route_to(marked)).max_attempts == 7


def test_a_method_of_an_instance_has_the_policy_of_its_function():
    class Several:
        @consumer(max_attempts=7)
        def one(self, message):
            pass

        def other(self, message):
            pass

    assert policy_of(Several().one).max_attempts == 7
    assert policy_of(Several().other) is PLAIN


def test_the_policy_stays_in_force_under_other_decorators():
    @functools.wraps(plain)
    def outer(message):
        pass

    @consumer(max_attempts=7)
    def inner(message):
        pass

    assert policy_of(functools.wraps(inner)(outer)).max_attempts == 7


def test_what_is_no_consumer_is_refused():
    with pytest.raises(ValueError, match="@consumer is for a function or a class, not 5"):
        consumer(max_attempts=2)(5)
    with pytest.raises(ValueError, match="@consumer is for a function or a class, not 5"):
        consumer(5)


def test_what_cannot_be_marked_is_refused():
    with pytest.raises(ValueError, match="put @consumer on the function or the class itself"):
        consumer(WithCall().__call__)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"max_attempts": 0}, "max_attempts must be a whole number above 0, not 0"),
        ({"max_attempts": 2.5}, "max_attempts must be a whole number above 0, not 2.5"),
        ({"max_attempts": True}, "max_attempts must be a whole number above 0, not True"),
        ({"backoff": -1}, "backoff must be a number of seconds, not -1"),
        ({"backoff": "1"}, "backoff must be a number of seconds, not '1'"),
        ({"backoff": nan}, "backoff must be a number of seconds, not nan"),
        ({"backoff": None}, "backoff must be a number of seconds, not None"),
        ({"max_backoff": inf}, "max_backoff must be a number of seconds, not inf"),
        ({"time_limit": 0}, "time_limit must be above 0"),
        ({"time_limit": -1}, "time_limit must be a number of seconds, not -1"),
        ({"time_limit": False}, "time_limit must be a number of seconds, not False"),
        ({"ordering": False}, "set max_attempts=1 too, or keep the order"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(options, reason):
    with pytest.raises(ValueError) as raised:
        consumer(**options)
    assert reason in str(raised.value)


def test_at_most_once_may_go_without_order():
    assert not policy_of(consumer(max_attempts=1, ordering=False)(Class)).ordering


# The delays -------------------------------------------------------------------------------------


def delays(policy, count, chance=1.0):
    return [policy.delay(attempts, chance=lambda: chance) for attempts in range(1, count + 1)]


def test_the_delay_doubles_up_to_the_longest():
    assert delays(Policy(9, 1.0, max_backoff=10), 6) == [1, 2, 4, 8, 10, 10]


def test_the_delay_has_some_chance_in_it():
    assert delays(Policy(9, 4.0), 2, chance=0.0) == [3, 6]
    assert {Policy(9, 4.0).delay(1) for _ in range(20)} != {4.0}


def test_the_delay_is_known_after_however_many_attempts():
    assert Policy(9, 1.0).delay(10**30, chance=lambda: 1.0) == 600


def test_plain_consumers_that_ask_are_run_soon_and_then_less_often():
    assert delays(PLAIN, 3) == [0.1, 0.2, 0.4]
    assert delays(PLAIN, 11)[-1] == 30


def test_a_delay_may_be_a_function_of_the_attempts():
    assert delays(Policy(9, lambda attempts: attempts * 10, max_backoff=25), 3) == [10, 20, 25]


@pytest.mark.parametrize("result", [None, -1, "5", nan])
def test_a_function_that_gives_no_delay_is_logged_and_a_second_is_waited(result, caplog):
    def odd(attempts):
        return result

    assert Policy(9, odd).delay(1) == 1
    assert f"No delay from {__name__}." in caplog.text
    assert "odd: it is 1.0 s" in caplog.text


def test_a_function_that_fails_is_logged_and_a_second_is_waited(caplog):
    def broken(attempts):
        raise RuntimeError("broken backoff")

    assert Policy(9, broken).delay(1) == 1
    assert "broken backoff" in caplog.text


# After a run ------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [PLAIN, Policy(5)])
@pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.UNROUTED])
def test_what_is_done_is_done(policy, outcome):
    assert decide(policy, outcome, attempts=0, message_retries=10) == Decision(Next.DONE)


def test_an_error_of_a_plain_consumer_ends_its_message():
    assert next_of(PLAIN, Outcome.FAILED) is Next.DONE


def test_after_an_error_a_message_is_tried_again_until_its_last_attempt():
    found = [next_of(Policy(3), Outcome.FAILED, attempts) for attempts in range(4)]
    assert found == [Next.AGAIN, Next.AGAIN, Next.BURY, Next.BURY]


def test_a_plain_consumer_may_ask_so_often_to_be_run_later():
    found = [next_of(PLAIN, Outcome.LATER, n, message_retries=2) for n in range(4)]
    assert found == [Next.AGAIN, Next.AGAIN, Next.BURY, Next.BURY]


def test_errors_and_asking_for_later_count_together():
    found = [next_of(Policy(3), Outcome.LATER, attempts) for attempts in range(3)]
    assert found == [Next.AGAIN, Next.AGAIN, Next.BURY]


def test_the_delay_of_a_decision_is_that_of_the_next_attempt():
    decision = decide(
        Policy(9, 1.0), Outcome.FAILED, attempts=2, message_retries=10, chance=lambda: 1.0
    )
    assert decision == Decision(Next.AGAIN, 4.0)


@pytest.mark.parametrize(("policy", "tries"), [(PLAIN, 4), (Policy(1), 4), (Policy(2), 2)])
def test_how_often_a_message_is_run_at_most(policy, tries):
    assert policy.tries(3) == tries


# After the death of a worker ----------------------------------------------------------------------


@pytest.mark.parametrize("policy", [PLAIN, Policy(1)])
def test_at_most_once_a_message_dies_with_its_worker(policy):
    assert after_crash(policy, crashes=0) is Next.LOSE


def test_at_least_once_it_is_run_again_until_it_has_killed_three():
    found = [after_crash(Policy(2), crashes=crashes) for crashes in range(4)]
    assert found == [Next.AGAIN, Next.AGAIN, Next.BURY, Next.BURY]
