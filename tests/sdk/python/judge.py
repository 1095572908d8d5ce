"""Tests amqp1-broker with azure-servicebus. Prints one line per case, `ok NAME` or `not ok NAME: why`.

usage: judge.py CONNECTION_STRING [PATTERN]

The broker runs with tests/sdk/Config.json and has nothing in it yet. The exit status is 1 when a
case has failed.
"""

import time
from datetime import datetime, timedelta, timezone

from azure.servicebus import (
    NEXT_AVAILABLE_SESSION,
    ServiceBusMessage,
    ServiceBusReceiveMode,
    ServiceBusSubQueue,
)
from azure.servicebus import exceptions as errors

import tokens  # noqa: F401 (its case)
from harness import body, case, main, none, one, refused


@case
def send_receive_complete(judge):
    with judge.client() as client:
        with client.get_queue_sender("send") as sender:
            message = ServiceBusMessage(
                b"\x00\xff",
                message_id="id-1",
                correlation_id="c",
                subject="s",
                content_type="application/json",
                reply_to="r",
                to="t",
                partition_key="p",
                application_properties={"text": "ä", "n": 5, "flag": True, "none": None},
            )
            sender.send_messages(message)
        with client.get_queue_receiver("send") as receiver:
            got = one(receiver)
            assert body(got) == b"\x00\xff"
            assert (got.message_id, got.correlation_id) == ("id-1", "c")
            assert (got.subject, got.content_type) == ("s", "application/json")
            assert (got.reply_to, got.to, got.partition_key) == ("r", "t", "p")
            read = got.application_properties
            assert (read[b"text"], read[b"n"], read[b"flag"]) == (b"\xc3\xa4", 5, True), read
            assert (got.delivery_count, got.sequence_number) == (0, 1)
            assert abs(got.enqueued_time_utc - datetime.now(timezone.utc)) < timedelta(minutes=1)
            assert got.locked_until_utc > datetime.now(timezone.utc)
            receiver.complete_message(got)
            none(receiver)


@case
def message_id_is_assigned(judge):
    judge.send("send", "x")
    with judge.client() as client, client.get_queue_receiver("send") as receiver:
        got = one(receiver)
        assert got.message_id
        receiver.complete_message(got)


@case
def batch(judge):
    with judge.client() as client:
        with client.get_queue_sender("batch") as sender:
            made = sender.create_message_batch()
            for n in range(100):
                made.add_message(ServiceBusMessage(f"m{n}"))
            sender.send_messages(made)
            sender.send_messages([ServiceBusMessage(f"m{n}") for n in range(100, 120)])
        got = []
        with client.get_queue_receiver("batch", max_wait_time=2) as receiver:
            for message in receiver:
                got.append(str(message))
                receiver.complete_message(message)
                if len(got) == 120:
                    break
        assert got == [f"m{n}" for n in range(120)], got


@case
def abandon_until_dead(judge):
    judge.send("abandon", "a")
    with judge.client() as client, client.get_queue_receiver("abandon") as receiver:
        for count in range(3):
            got = one(receiver)
            assert got.delivery_count == count, got.delivery_count
            receiver.abandon_message(got)
        none(receiver)
        with client.get_queue_receiver("abandon", sub_queue="deadletter") as dead:
            got = one(dead)
            assert got.dead_letter_reason == "MaxDeliveryCountExceeded"
            dead.complete_message(got)


@case
def dead_letter_and_read_back(judge):
    judge.send("dead", "d", application_properties={"kept": 1})
    with judge.client() as client:
        with client.get_queue_receiver("dead") as receiver:
            receiver.dead_letter_message(one(receiver), reason="why", error_description="because")
            none(receiver)
        sub_queue = ServiceBusSubQueue.DEAD_LETTER
        with client.get_queue_receiver("dead", sub_queue=sub_queue) as dead:
            got = one(dead)
            assert (got.dead_letter_reason, got.dead_letter_error_description) == (
                "why",
                "because",
            )
            assert got.application_properties[b"kept"] == 1
            assert str(got) == "d"
            dead.complete_message(got)
        judge.send("dead", "twice")
        with client.get_queue_receiver("dead") as receiver:
            receiver.dead_letter_message(one(receiver), reason="first")
        with client.get_queue_receiver("dead", sub_queue=sub_queue) as dead:
            got = one(dead)
            refused(errors.ServiceBusError, lambda: dead.dead_letter_message(got, reason="again"))
        with client.get_queue_receiver("dead", sub_queue=sub_queue) as dead:
            assert [m.dead_letter_reason for m in dead.peek_messages()] == ["first"]


@case
def defer(judge):
    judge.send("defer", "later")
    with judge.client() as client, client.get_queue_receiver("defer") as receiver:
        got = one(receiver)
        receiver.defer_message(got)
        none(receiver)
        sequence = got.sequence_number
        again = receiver.receive_deferred_messages(sequence)
        assert str(again[0]) == "later"
        receiver.abandon_message(again[0])
        again = receiver.receive_deferred_messages([sequence])
        receiver.complete_message(again[0])
        error = refused(
            errors.MessageNotFoundError, lambda: receiver.receive_deferred_messages(sequence)
        )
        assert str(sequence) in str(error)


@case
def schedule_and_cancel(judge):
    with judge.client() as client:
        with client.get_queue_sender("schedule") as sender:
            soon = datetime.now(timezone.utc) + timedelta(seconds=2)
            later = datetime.now(timezone.utc) + timedelta(hours=1)
            sender.schedule_messages(ServiceBusMessage("soon"), soon)
            ids = sender.schedule_messages([ServiceBusMessage("1"), ServiceBusMessage("2")], later)
            assert len(ids) == 2
            sender.cancel_scheduled_messages(ids)
            refused(
                errors.MessageNotFoundError, lambda: sender.cancel_scheduled_messages(ids[0])
            )
            own = ServiceBusMessage("own", scheduled_enqueue_time_utc=soon)
            sender.send_messages(own)
        with client.get_queue_receiver("schedule") as receiver:
            none(receiver)
            first = one(receiver)
            assert first.enqueued_time_utc >= soon - timedelta(seconds=1)
            receiver.complete_message(first)
            second = one(receiver)
            receiver.complete_message(second)
            assert {str(first), str(second)} == {"soon", "own"}


@case
def peek(judge):
    judge.send("peek", "1", "2", "3")
    with judge.client() as client:
        with client.get_queue_receiver("peek") as receiver:
            peeked = receiver.peek_messages(2)
            assert [str(m) for m in peeked] == ["1", "2"]
            more = receiver.peek_messages(5, sequence_number=peeked[-1].sequence_number + 1)
            assert [str(m) for m in more] == ["3"]
            assert receiver.peek_messages(5, sequence_number=100) == []
        with client.get_queue_receiver(
            "peek", receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE, max_wait_time=1
        ) as receiver:
            assert [str(m) for m in receiver] == ["1", "2", "3"]


@case
def renew_lock(judge):
    judge.send("renew", "r")
    with judge.client() as client, client.get_queue_receiver("renew") as receiver:
        got = one(receiver)
        for _ in range(3):
            time.sleep(1)
            before = got.locked_until_utc
            assert receiver.renew_message_lock(got) > before
        receiver.complete_message(got)


@case
def receive_and_delete(judge):
    judge.send("delete", "1", "2")
    mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
    with judge.client() as client:
        with client.get_queue_receiver("delete", receive_mode=mode) as receiver:
            assert str(one(receiver)) == "1"
        with client.get_queue_receiver("delete", receive_mode=mode) as receiver:
            assert str(one(receiver)) == "2"
            none(receiver)


@case
def session_with_state(judge):
    judge.send("session", "1", "2", session_id="s")
    judge.send("session", "other", session_id="t")
    with judge.client() as client:
        with client.get_queue_receiver("session", session_id="s") as receiver:
            session = receiver.session
            assert session.session_id == "s"
            assert session.locked_until_utc > datetime.now(timezone.utc)
            assert session.get_state() is None
            session.set_state(b"half")
            for expected in ["1", "2"]:
                got = one(receiver)
                assert (str(got), got.session_id) == (expected, "s")
                receiver.complete_message(got)
            assert session.renew_lock() > datetime.now(timezone.utc)
            refused(
                errors.SessionCannotBeLockedError,
                lambda: client.get_queue_receiver("session", session_id="s").__enter__(),
            )
        with client.get_queue_receiver("session", session_id="s") as receiver:
            assert receiver.session.get_state() == b"half"
            receiver.session.set_state(None)
        with client.get_queue_receiver("session", session_id="t") as receiver:
            receiver.complete_message(one(receiver))


@case
def next_available_session(judge):
    judge.send("next", "a1", session_id="a")
    judge.send("next", "b1", session_id="b")
    with judge.client() as client:
        seen = []
        for _ in range(2):
            with client.get_queue_receiver("next", session_id=NEXT_AVAILABLE_SESSION) as receiver:
                got = one(receiver)
                seen.append((receiver.session.session_id, str(got)))
                receiver.complete_message(got)
        assert seen == [("a", "a1"), ("b", "b1")], seen
        receiver = client.get_queue_receiver(
            "next", session_id=NEXT_AVAILABLE_SESSION, max_wait_time=1
        )
        refused(errors.OperationTimeoutError, lambda: receiver.__enter__())


@case
def session_required(judge):
    with judge.client() as client:
        refused(errors.ServiceBusError, lambda: client.get_queue_receiver("session").__enter__())
        refused(
            errors.ServiceBusError,
            lambda: client.get_queue_receiver("send", session_id="s").__enter__(),
        )
    refused(errors.ServiceBusError, lambda: judge.send("session", "no session"))


@case
def session_lock_lost(judge):
    judge.send("session-lock", "x", session_id="s")
    with judge.client() as client:
        with client.get_queue_receiver("session-lock", session_id="s") as receiver:
            got = one(receiver)
            time.sleep(3)
            refused(errors.SessionLockLostError, lambda: receiver.complete_message(got))
        with client.get_queue_receiver("session-lock", session_id="s") as receiver:
            got = one(receiver)
            assert got.delivery_count == 1, got.delivery_count
            receiver.complete_message(got)


@case
def missing_entity(judge):
    for act in [
        lambda: judge.send("nowhere", "x"),
        lambda: judge.client().get_queue_receiver("nowhere").__enter__(),
        lambda: judge.client().get_subscription_receiver("topic", "nowhere").__enter__(),
    ]:
        # The service answers the token for it with 404, which this SDK reports as an authentication error.
        refused(errors.ServiceBusAuthenticationError, act)


@case
def prefetch(judge):
    judge.send("prefetch", *[str(n) for n in range(20)])
    with judge.client() as client:
        with client.get_queue_receiver(
            "prefetch", prefetch_count=10, max_wait_time=1
        ) as receiver:
            got = []
            for message in receiver:
                got.append(int(str(message)))
                receiver.complete_message(message)
        assert got == list(range(20)), got


@case
def large_messages(judge):
    large = bytes(range(256)) * 800
    judge.send("large", large, large)
    with judge.client() as client, client.get_queue_receiver("large") as receiver:
        for _ in range(2):
            got = one(receiver)
            assert body(got) == large
            receiver.complete_message(got)
    refused(errors.MessageSizeExceededError, lambda: judge.send("large", b"x" * 300_000))


@case
def time_to_live(judge):
    judge.send("ttl", "short", time_to_live=timedelta(seconds=1))
    time.sleep(1.5)
    with judge.client() as client:
        with client.get_queue_receiver("ttl") as receiver:
            none(receiver)
        with client.get_queue_receiver("ttl", sub_queue="deadletter") as dead:
            got = one(dead)
            assert got.dead_letter_reason == "TTLExpiredException"
            dead.complete_message(got)


@case
def duplicate_detection(judge):
    for body in ["first", "second"]:
        judge.send("duplicates", body, message_id="same")
    with judge.client() as client, client.get_queue_receiver("duplicates") as receiver:
        got = one(receiver)
        assert str(got) == "first"
        receiver.complete_message(got)
        none(receiver)


@case
def forwarding(judge):
    judge.send("forward", "f")
    with judge.client() as client, client.get_queue_receiver("forwarded") as receiver:
        receiver.complete_message(one(receiver))


@case
def topic_and_subscriptions(judge):
    with judge.client() as client:
        with client.get_topic_sender("topic") as sender:
            sender.send_messages(ServiceBusMessage("plain"))
            red = ServiceBusMessage("red", subject="red", application_properties={"size": 5})
            sender.send_messages(red)
            sender.send_messages(ServiceBusMessage("blue", subject="blue"))
        for name, expected in [("all", ["plain", "red", "blue"]), ("red", ["red"]), ("sql", ["blue"])]:
            with client.get_subscription_receiver("topic", name, max_wait_time=1) as receiver:
                got = []
                for message in receiver:
                    got.append(str(message))
                    if name == "sql":
                        changed = (message.to, message.application_properties[b"depth"])
                        assert changed == ("sea", b"deep"), changed
                    receiver.dead_letter_message(message, reason="seen")
            assert got == expected, (name, got)
            with client.get_subscription_receiver(
                "topic", name, sub_queue="deadletter", max_wait_time=1
            ) as dead:
                got = [m for m in dead if dead.complete_message(m) is None]
                assert [m.dead_letter_reason for m in got] == ["seen"] * len(expected)


@case
def server_busy_is_retried(judge):
    judge.fault("busy entity=busy op=send times=2")
    with judge.client(retry_total=3, retry_backoff_factor=0.1) as client:
        with client.get_queue_sender("busy") as sender:
            sender.send_messages(ServiceBusMessage("x"))
        with client.get_queue_receiver("busy") as receiver:
            receiver.complete_message(one(receiver))
    judge.fault("busy entity=busy op=send times=1")
    refused(errors.ServiceBusServerBusyError, lambda: judge.send_once("busy", "x"))


@case
def server_busy_on_request(judge):
    judge.fault("busy entity=busy op=peek-message times=1")
    with judge.client(retry_total=2, retry_backoff_factor=0.1) as client:
        with client.get_queue_receiver("busy") as receiver:
            assert receiver.peek_messages(1) == []


@case
def quota(judge):
    def fill():
        for _ in range(6):
            judge.send("quota", b"x" * 200_000)

    refused(errors.ServiceBusQuotaExceededError, fill)
    mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
    with judge.client() as client:
        with client.get_queue_receiver("quota", receive_mode=mode, max_wait_time=1) as receiver:
            assert len(list(receiver)) == 5
    judge.fault(
        "error entity=quota condition=amqp:resource-limit-exceeded description=full times=1"
    )
    error = refused(errors.ServiceBusQuotaExceededError, lambda: judge.send_once("quota", "x"))
    assert "full" in str(error)


@case
def message_lock_lost(judge):
    judge.send("lost", "x")
    with judge.client() as client, client.get_queue_receiver("lost") as receiver:
        got = one(receiver)
        time.sleep(1.5)
        refused(errors.MessageLockLostError, lambda: receiver.complete_message(got))
        refused(errors.MessageLockLostError, lambda: receiver.renew_message_lock(got))
        again = one(receiver)
        assert again.delivery_count == 1
        receiver.complete_message(again)
    judge.send("lost", "y")
    with judge.client() as client, client.get_queue_receiver("lost") as receiver:
        got = one(receiver)
        judge.fault("lose-lock entity=lost op=now")
        refused(errors.ServiceBusError, lambda: receiver.complete_message(got))
        receiver.complete_message(one(receiver))


@case
def detach_forced(judge):
    with judge.client(retry_total=3, retry_backoff_factor=0.1) as client:
        with client.get_queue_sender("forced") as sender:
            judge.fault("detach entity=forced op=send times=1")
            sender.send_messages(ServiceBusMessage("1"))
            judge.fault("detach entity=forced op=now")
            sender.send_messages(ServiceBusMessage("2"))
            judge.fault("close entity=forced op=now")
            sender.send_messages(ServiceBusMessage("3"))
        with client.get_queue_receiver("forced", max_wait_time=3) as receiver:
            got = one(receiver)
            receiver.complete_message(got)
            judge.fault("detach entity=forced op=now")
            got = [str(got)]
            for message in receiver:
                got.append(str(message))
                receiver.complete_message(message)
                if len(got) == 3:
                    break
    assert got == ["1", "2", "3"], got


@case
def cut_in_a_transfer(judge):
    judge.send("cut", b"x" * 200_000)
    judge.fault("cut entity=cut times=1")
    with judge.client() as client, client.get_queue_receiver("cut") as receiver:
        try:
            none(receiver, wait=3)
        except errors.ServiceBusError:
            pass
    judge.fault("lose-lock entity=cut op=now")
    with judge.client() as client, client.get_queue_receiver("cut") as receiver:
        got = one(receiver)
        assert len(body(got)) == 200_000
        assert got.delivery_count == 1
        receiver.complete_message(got)


@case
def late_and_misrouted_answers(judge):
    judge.send("misrouted", "x")
    with judge.client(retry_total=1, retry_backoff_factor=0.1) as client:
        with client.get_queue_receiver("misrouted") as receiver:
            judge.fault("delay entity=misrouted op=peek-message ms=700 times=1")
            begun = time.monotonic()
            assert len(receiver.peek_messages(1)) == 1
            assert time.monotonic() - begun >= 0.7
            judge.fault("misroute entity=misrouted op=peek-message times=always")
            refused(errors.OperationTimeoutError, lambda: receiver.peek_messages(1, timeout=1))
            judge.fault("clear")
            receiver.complete_message(one(receiver))


main()
