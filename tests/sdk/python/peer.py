"""azure-servicebus as the other side of a test: sends and receives what it is told to.

usage: peer.py CONNECTION_STRING

A request is one line of JSON on stdin, its answer one line on stdout: {"error": …} when the SDK
has thrown. The tests have the expectations; peer.mjs answers alike.

{"do": "send", "to": QUEUE or "topic/NAME", "as": "single"|"batch"|"scheduled", "in": SECONDS, "messages": [MESSAGE…]}
    MESSAGE: body ([KIND, VALUE]), properties ({NAME: [KIND, VALUE]}), message_id, correlation_id, subject,
    session_id, content_type, partition_key, to, reply_to, ttl (seconds), scheduled (seconds from now)
    Its answer has the sequence numbers of what was scheduled.
{"do": "receive", "from": QUEUE or "topic/Subscriptions/NAME", "dead": bool, "session": ID or true, "count": N,
 "wait": SECONDS, "settle": "complete"|"abandon"|"dead_letter"|"defer"|"delete", "reason": …, "description": …}
    Its answer has the messages. N is awaited; fewer come back when there are no more.
{"do": "cancel", "to": QUEUE, "numbers": [SEQUENCE_NUMBER…]}
"""

import base64
import json
import sys
import uuid
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from azure.servicebus import (
    NEXT_AVAILABLE_SESSION,
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusReceiveMode,
    ServiceBusSubQueue,
)
from azure.servicebus._common.tracing import get_span_link_from_message
from azure.servicebus.amqp import AmqpAnnotatedMessage

FROM_JSON = {
    "bytes": base64.b64decode,
    "date": lambda seconds: datetime.fromtimestamp(seconds, timezone.utc),
    "uuid": uuid.UUID,
    "decimal": Decimal,
    # By default, the SDK encodes every int in 32 bits and refuses larger ones.
    "long": lambda value: {"TYPE": "LONG", "VALUE": value},
}


def from_json(pair):
    kind, value = pair
    return FROM_JSON[kind](value) if kind in FROM_JSON else value


def to_json(value):
    """[KIND, VALUE]. The SDK decodes both strings and binaries of properties as bytes."""
    match value:
        case None:
            return ["null", None]
        case bool():
            return ["bool", value]
        case int():
            return ["int", value]
        case float():
            return ["float", value]
        case bytes():
            return ["string", value.decode()]
        case str():
            return ["string", value]
        case uuid.UUID():
            return ["uuid", str(value)]
        case Decimal():
            return ["decimal", str(value)]
    return [type(value).__name__, str(value)]


def unix(moment):
    return moment and moment.timestamp()


def message(of):
    properties = {name: from_json(pair) for name, pair in of.get("properties", {}).items()}
    kind, body = of["body"]
    if kind == "value":
        sent = AmqpAnnotatedMessage(value_body=body, application_properties=properties)
        sent.properties = None
        return sent
    seconds = of.get("scheduled")
    due = None if seconds is None else datetime.now(timezone.utc) + timedelta(seconds=seconds)
    return ServiceBusMessage(
        json.dumps(body) if kind == "json" else from_json(of["body"]),
        application_properties=properties or None,
        time_to_live=timedelta(seconds=of["ttl"]) if "ttl" in of else None,
        scheduled_enqueue_time_utc=due,
        **{
            name: of.get(name)
            for name in [
                "message_id",
                "correlation_id",
                "subject",
                "session_id",
                "content_type",
                "partition_key",
                "to",
                "reply_to",
            ]
        },
    )


def described(got):
    raw = got.raw_amqp_message
    return {
        "body": base64.b64encode(b"".join(got.body)).decode(),
        "properties": {
            (name.decode() if isinstance(name, bytes) else name): to_json(value)
            for name, value in (got.application_properties or {}).items()
        },
        # The SDK's own look for the span that it links to.
        "trace": get_span_link_from_message(got).headers.get("traceparent"),
        "message_id": str(got.message_id),
        "correlation_id": got.correlation_id,
        "subject": got.subject,
        "session_id": got.session_id,
        "content_type": got.content_type,
        "to": got.to,
        "reply_to": got.reply_to,
        "partition_key": got.partition_key,
        "ttl": got.time_to_live and got.time_to_live.total_seconds(),
        "scheduled": unix(got.scheduled_enqueue_time_utc),
        "enqueued": unix(got.enqueued_time_utc),
        "locked_until": unix(got.locked_until_utc),
        "delivery_count": got.delivery_count,
        "sequence_number": got.sequence_number,
        "priority": raw.header.priority,
        "durable": raw.header.durable,
        "dead_letter_reason": got.dead_letter_reason,
        "dead_letter_description": got.dead_letter_error_description,
        "dead_letter_source": got.dead_letter_source,
    }


class Peer:
    def __init__(self, connection_string):
        self.client = ServiceBusClient.from_connection_string(connection_string, socket_timeout=20)

    def sender(self, to):
        kind, _, name = to.rpartition("/")
        if kind == "topic":
            return self.client.get_topic_sender(name)
        return self.client.get_queue_sender(name)

    def send(self, request):
        messages = [message(of) for of in request["messages"]]
        with self.sender(request["to"]) as sender:
            match request.get("as", "single"):
                case "batch":
                    batch = sender.create_message_batch()
                    for one in messages:
                        batch.add_message(one)
                    sender.send_messages(batch)
                case "scheduled":
                    due = datetime.now(timezone.utc) + timedelta(seconds=request["in"])
                    return {"numbers": sender.schedule_messages(messages, due)}
                case _:
                    for one in messages:
                        sender.send_messages(one)
        return {}

    def cancel(self, request):
        with self.sender(request["to"]) as sender:
            sender.cancel_scheduled_messages(request["numbers"])
        return {}

    def receiver(self, request):
        options = {}
        if request.get("dead"):
            options["sub_queue"] = ServiceBusSubQueue.DEAD_LETTER
        if "session" in request:
            session = request["session"]
            options["session_id"] = NEXT_AVAILABLE_SESSION if session is True else session
        if request.get("settle") == "delete":
            options["receive_mode"] = ServiceBusReceiveMode.RECEIVE_AND_DELETE
        entity, _, subscription = request["from"].partition("/Subscriptions/")
        if subscription:
            return self.client.get_subscription_receiver(entity, subscription, **options)
        return self.client.get_queue_receiver(entity, **options)

    def receive(self, request):
        wanted, messages = request.get("count", 1), []
        with self.receiver(request) as receiver:
            while len(messages) < wanted:
                got = receiver.receive_messages(wanted - len(messages), request.get("wait", 10))
                if not got:
                    break
                for one in got:
                    messages.append(described(one))
                    self.settle(receiver, one, request)
        return {"messages": messages}

    def settle(self, receiver, got, request):
        match request.get("settle", "complete"):
            case "complete":
                receiver.complete_message(got)
            case "abandon":
                receiver.abandon_message(got)
            case "defer":
                receiver.defer_message(got)
            case "dead_letter":
                receiver.dead_letter_message(
                    got,
                    reason=request.get("reason"),
                    error_description=request.get("description"),
                )


def main():
    peer = Peer(sys.argv[1])
    operations = {"send": peer.send, "receive": peer.receive, "cancel": peer.cancel}
    print(json.dumps({"ready": "azure-servicebus"}), flush=True)
    for line in sys.stdin:
        try:
            request = json.loads(line)
            answer = operations[request["do"]](request)
        except Exception as error:  # the test says what is wrong with it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
    peer.client.close()


main()
