"""The case of judge.py about tokens: wrong tokens, old ones, and ones that expire while they are used."""

import time

from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus import exceptions as errors
from azure.servicebus._pyamqp.utils import generate_sas_token

from harness import case, none, one, refused


@case
def token_expires(judge):
    audience = f"sb://{judge.endpoint}/token"

    def client(key, seconds, **options):
        token = generate_sas_token(
            audience, "RootManageSharedAccessKey", key, int(time.time()) + seconds
        )
        made = ServiceBusClient.from_connection_string(
            f"Endpoint=sb://{judge.endpoint};SharedAccessSignature={token};"
            "UseDevelopmentEmulator=true",
            retry_total=0,
            **options,
        )
        return made

    def send(client):
        with client, client.get_queue_sender("token") as sender:
            sender.send_messages(ServiceBusMessage("x"))

    refused(errors.ServiceBusAuthenticationError, lambda: send(client("wrong", 60)))
    refused(errors.ServiceBusError, lambda: send(client("SAS_KEY_VALUE", -60)))
    send(client("SAS_KEY_VALUE", 60))
    with client("SAS_KEY_VALUE", 3) as made, made.get_queue_receiver("token") as receiver:
        receiver.complete_message(one(receiver))
        refused(errors.ServiceBusError, lambda: none(receiver, wait=6))
    with judge.client(retry_total=3, retry_backoff_factor=0.1) as made:
        with made.get_queue_sender("token") as sender:
            judge.fault("expire-token entity=token op=now")
            sender.send_messages(ServiceBusMessage("after"))
        with made.get_queue_receiver("token") as receiver:
            receiver.complete_message(one(receiver))
