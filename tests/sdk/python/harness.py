"""Shared by the cases of judge.py: clients, expectations, and the runner."""

import re
import sys
import time
import traceback

from azure.servicebus import ServiceBusClient, ServiceBusMessage

CASES = []


def case(function):
    CASES.append((function.__name__.replace("_", " "), function))
    return function


class Judge:
    """Clients, and helpers for the cases."""

    def __init__(self, connection_string):
        self.connection_string = connection_string
        self.senders = {}
        self.endpoint = re.search(r"sb://([^;/]+)", connection_string).group(1)

    def client(self, **options):
        options = {"retry_total": 0, "socket_timeout": 5, **options}
        return ServiceBusClient.from_connection_string(self.connection_string, **options)

    def send(self, queue, *bodies, **properties):
        # Senders are kept, because this SDK takes half a second to open one and half a second to close it.
        if queue not in self.senders:
            sender = self.client(retry_total=1, retry_backoff_factor=0.1).get_queue_sender(queue)
            self.senders[queue] = sender.__enter__()
        for body in bodies:
            self.senders[queue].send_messages(ServiceBusMessage(body, **properties))

    def send_once(self, queue, body):
        """Without retries."""
        with self.client() as client, client.get_queue_sender(queue) as sender:
            sender.send_messages(ServiceBusMessage(body))

    def fault(self, *lines):
        """Injects faults, with a message to the broker's own node."""
        self.send("$faults", "\n".join(lines))


def body(message):
    return b"".join(message.body)


def one(receiver, wait=5):
    messages = receiver.receive_messages(max_message_count=1, max_wait_time=wait)
    assert len(messages) == 1, f"{len(messages)} messages"
    return messages[0]


def none(receiver, wait=0.5):
    messages = receiver.receive_messages(max_message_count=1, max_wait_time=wait)
    assert messages == [], f"unexpected: {[str(m) for m in messages]}"


def refused(kind, act):
    try:
        act()
    except kind as e:
        return e
    raise AssertionError(f"no {kind.__name__}")


def main():
    judge = Judge(sys.argv[1])
    pattern = sys.argv[2] if len(sys.argv) > 2 else ""
    failed = 0
    for name, function in CASES:
        if not re.search(pattern, name):
            continue
        begun = time.monotonic()
        try:
            function(judge)
            print(f"ok {name} ({time.monotonic() - begun:.1f} s)", flush=True)
        except Exception as e:
            failed += 1
            print(f"not ok {name}: {type(e).__name__}: {e}", flush=True)
            traceback.print_exc(limit=6)
    sys.exit(1 if failed else 0)
