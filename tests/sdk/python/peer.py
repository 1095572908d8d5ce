"""azure-servicebus as the other end of the extension, by commands on the command line.

usage: peer.py CONNECTION_STRING send ENTITY JSON    (the message: body, and what ServiceBusMessage takes)
       peer.py CONNECTION_STRING receive ENTITY N [SESSION]
       peer.py CONNECTION_STRING peek ENTITY N

Messages are printed as JSON, one a line.
"""

import json
import sys
from datetime import datetime, timedelta, timezone

from azure.servicebus import ServiceBusClient, ServiceBusMessage


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def plain(message):
    properties = message.application_properties or {}
    scheduled = message.scheduled_enqueue_time_utc
    return {
        "body": b"".join(message.body).decode(),
        "id": message.message_id,
        "subject": message.subject,
        "content_type": message.content_type,
        "correlation_id": message.correlation_id,
        "session_id": message.session_id,
        "partition_key": message.partition_key,
        "ttl": message.time_to_live.total_seconds() if message.time_to_live else None,
        "scheduled": scheduled.timestamp() if scheduled else None,
        "delivery_count": message.delivery_count,
        "reason": message.dead_letter_reason,
        "description": message.dead_letter_error_description,
        "properties": {
            text(key): text(value) for key, value in properties.items() if text(key) != "rr_headers"
        },
    }


def send(client, entity, given):
    fields = json.loads(given)
    delay = fields.pop("delay", None)
    ttl = fields.pop("ttl", None)
    if delay is not None:
        fields["scheduled_enqueue_time_utc"] = datetime.now(timezone.utc) + timedelta(seconds=delay)
    if ttl is not None:
        fields["time_to_live"] = timedelta(seconds=ttl)
    body = fields.pop("body")
    with client.get_queue_sender(entity) as sender:
        sender.send_messages(ServiceBusMessage(body, **fields))


def receiver(client, entity, session=None):
    options = {"session_id": session} if session else {}
    if entity.endswith("/$DeadLetterQueue"):
        options["sub_queue"] = "deadletter"
        entity = entity.removesuffix("/$DeadLetterQueue")
    return client.get_queue_receiver(entity, **options)


def receive(client, entity, count, session=None):
    left = int(count)
    with receiver(client, entity, session) as taker:
        while left:
            messages = taker.receive_messages(max_message_count=left, max_wait_time=10)
            if not messages:
                sys.exit(f"{left} messages are missing")
            for message in messages:
                print(json.dumps(plain(message)))
                taker.complete_message(message)
                left -= 1


def peek(client, entity, count):
    with receiver(client, entity) as taker:
        for message in taker.peek_messages(max_message_count=int(count)):
            print(json.dumps(plain(message)))


def main(connection_string, command, *arguments):
    with ServiceBusClient.from_connection_string(connection_string, retry_total=0) as client:
        {"send": send, "receive": receive, "peek": peek}[command](client, *arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
