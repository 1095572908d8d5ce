// @azure/service-bus as the other end of the extension, by commands on the command line.
//
// usage: peer.mjs CONNECTION_STRING send ENTITY JSON    (the message: body, and what ServiceBusMessage has)
//        peer.mjs CONNECTION_STRING receive ENTITY N [SESSION]
//        peer.mjs CONNECTION_STRING peek ENTITY N
//
// Messages are printed as JSON, one a line.

import { createRequire } from "node:module";
import process from "node:process";

// The SDK is installed elsewhere.
const require = createRequire(`${process.env.AMQP1_SDK_JAVASCRIPT}/`);
const { ServiceBusClient } = require("@azure/service-bus");

const [connectionString, command, entity, ...rest] = process.argv.slice(2);
const client = new ServiceBusClient(connectionString, { retryOptions: { maxRetries: 0 } });

const text = (value) => (Buffer.isBuffer(value) ? value.toString() : value);

function plain(message) {
  const properties = Object.entries(message.applicationProperties ?? {});
  const body = Buffer.isBuffer(message.body) ? message.body.toString() : message.body;
  return {
    body: typeof body === "string" ? body : JSON.stringify(body),
    id: message.messageId,
    subject: message.subject,
    content_type: message.contentType,
    correlation_id: message.correlationId ?? null,
    session_id: message.sessionId ?? null,
    partition_key: message.partitionKey ?? null,
    ttl: message.timeToLive === undefined ? null : message.timeToLive / 1000,
    scheduled: message.scheduledEnqueueTimeUtc ? message.scheduledEnqueueTimeUtc.getTime() / 1000 : null,
    delivery_count: message.deliveryCount,
    reason: message.deadLetterReason ?? null,
    description: message.deadLetterErrorDescription ?? null,
    properties: Object.fromEntries(
      properties.filter(([name]) => name !== "rr_headers").map(([name, value]) => [name, text(value)]),
    ),
  };
}

async function receiver(session) {
  const deadLetters = "/$DeadLetterQueue";
  if (session) {
    return client.acceptSession(entity, session);
  }
  return entity.endsWith(deadLetters)
    ? client.createReceiver(entity.slice(0, -deadLetters.length), { subQueueType: "deadLetter" })
    : client.createReceiver(entity);
}

const commands = {
  async send(json) {
    const { delay, ttl, body, ...fields } = JSON.parse(json);
    if (delay !== undefined) {
      fields.scheduledEnqueueTimeUtc = new Date(Date.now() + delay * 1000);
    }
    if (ttl !== undefined) {
      fields.timeToLive = ttl * 1000;
    }
    // The SDK would write a string as JSON.
    await client.createSender(entity).sendMessages({ body: Buffer.from(body), ...fields });
  },
  async receive(count, session) {
    const taker = await receiver(session);
    for (let left = Number(count); left > 0; ) {
      const messages = await taker.receiveMessages(left, { maxWaitTimeInMs: 10_000 });
      if (messages.length === 0) {
        throw new Error(`${left} messages are missing`);
      }
      for (const message of messages) {
        console.log(JSON.stringify(plain(message)));
        await taker.completeMessage(message);
        left -= 1;
      }
    }
  },
  async peek(count) {
    const taker = await receiver();
    for (const message of await taker.peekMessages(Number(count))) {
      console.log(JSON.stringify(plain(message)));
    }
  },
};

await commands[command](...rest);
await client.close();
