// @azure/service-bus as the other side of a test: sends and receives what it is told to.
//
// usage: node peer.mjs FOLDER CONNECTION_STRING      (FOLDER has node_modules)
//
// A request is one line of JSON on stdin, its answer one line on stdout. peer.py lists the requests.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { resolve } from "node:path";

const [folder, connectionString] = process.argv.slice(2);
const require = createRequire(resolve(folder, "package.json"));
const exportsSpans = process.env.OTEL_EXPORTER_OTLP_ENDPOINT !== undefined;

// What the SDK links its spans to. It looks for that only if it is traced.
let linked = [];
function noteLinks() {
  const context = { getValue: () => "Microsoft.ServiceBus", setValue: () => context, deleteValue: () => context };
  require("@azure/core-tracing").useInstrumenter({
    startSpan(name, { spanLinks = [] }) {
      linked.push(...spanLinks.map((link) => link.tracingContext));
      const span = { setStatus() {}, setAttribute() {}, recordException() {}, addEvent() {}, end() {}, isRecording: () => false };
      return { span, tracingContext: context };
    },
    withContext: (_, callback, ...callbackArgs) => callback(...callbackArgs),
    parseTraceparentHeader: (header) => header,
    createRequestHeaders: () => ({}),
  });
  return { flush: async () => {}, handled: () => {} };
}

// OpenTelemetry's own SDK, and Microsoft's instrumentation of theirs, which must come before theirs is loaded.
function exportSpans() {
  const { ROOT_CONTEXT, SpanKind, propagation, trace } = require("@opentelemetry/api");
  const { NodeTracerProvider, SimpleSpanProcessor } = require("@opentelemetry/sdk-trace-node");
  const { OTLPTraceExporter } = require("@opentelemetry/exporter-trace-otlp-http");
  const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(new OTLPTraceExporter())] });
  provider.register();
  require("@opentelemetry/instrumentation").registerInstrumentations({
    instrumentations: [require("@azure/opentelemetry-instrumentation-azure-sdk").createAzureSdkInstrumentation()],
  });
  return {
    flush: () => provider.forceFlush(),
    // As an application does that goes on with the trace of what it has received.
    handled(got) {
      const parent = propagation.extract(ROOT_CONTEXT, got.applicationProperties);
      trace.getTracer("peer").startSpan(`handle ${got.subject}`, { kind: SpanKind.CONSUMER }, parent).end();
    },
  };
}

const tracing = exportsSpans ? exportSpans() : noteLinks();
const { ServiceBusClient } = require("@azure/service-bus");
const client = new ServiceBusClient(connectionString, { retryOptions: { maxRetries: 1 } });

const inSeconds = (seconds) => new Date(Date.now() + seconds * 1000);

function fromJson([kind, value]) {
  if (kind === "bytes") return Buffer.from(value, "base64");
  if (kind === "date") return new Date(value * 1000);
  return value;
}

// [KIND, VALUE]; JavaScript has one kind of number.
function toJson(value) {
  if (value === null || value === undefined) return ["null", null];
  if (value instanceof Date) return ["date", value.getTime() / 1000];
  // The SDK turns a binary, and an integer beyond 53 bits, into an object whose keys are the indices.
  if (typeof value === "object") return ["bytes", Buffer.from(Object.values(value)).toString("base64")];
  if (typeof value === "number") return [Number.isInteger(value) ? "int" : "float", value];
  return [typeof value === "boolean" ? "bool" : typeof value, value];
}

function message(of) {
  const properties = Object.entries(of.properties ?? {}).map(([name, pair]) => [name, fromJson(pair)]);
  const sent = {
    body: fromJson(of.body),
    applicationProperties: Object.fromEntries(properties),
    messageId: of.message_id,
    correlationId: of.correlation_id,
    subject: of.subject,
    sessionId: of.session_id,
    contentType: of.content_type,
    partitionKey: of.partition_key,
    to: of.to,
    replyTo: of.reply_to,
    timeToLive: of.ttl === undefined ? undefined : of.ttl * 1000,
    scheduledEnqueueTimeUtc: of.scheduled === undefined ? undefined : inSeconds(of.scheduled),
  };
  if (of.body[0] === "value") return { bodyType: "value", body: of.body[1], applicationProperties: sent.applicationProperties };
  return sent;
}

const unix = (date) => (date ? date.getTime() / 1000 : null);

function described(got) {
  const raw = got._rawAmqpMessage;
  const properties = Object.entries(got.applicationProperties ?? {}).map(([name, value]) => [name, toJson(value)]);
  const body = Buffer.isBuffer(got.body) ? got.body : Buffer.from(got.body ?? "");
  return {
    body: body.toString("base64"),
    properties: Object.fromEntries(properties),
    message_id: String(got.messageId),
    correlation_id: got.correlationId ?? null,
    subject: got.subject ?? null,
    session_id: got.sessionId ?? null,
    content_type: got.contentType ?? null,
    to: got.to ?? null,
    reply_to: got.replyTo ?? null,
    partition_key: got.partitionKey ?? null,
    ttl: got.timeToLive === undefined ? null : got.timeToLive / 1000,
    scheduled: unix(got.scheduledEnqueueTimeUtc),
    enqueued: unix(got.enqueuedTimeUtc),
    locked_until: unix(got.lockedUntilUtc),
    delivery_count: got.deliveryCount,
    sequence_number: got.sequenceNumber?.toNumber(),
    priority: raw.header?.priority ?? null,
    durable: raw.header?.durable ?? null,
    dead_letter_reason: got.deadLetterReason ?? null,
    dead_letter_description: got.deadLetterErrorDescription ?? null,
    dead_letter_source: got.deadLetterSource ?? null,
  };
}

async function send(request) {
  const sender = client.createSender(request.to.replace(/^topic\//, ""));
  try {
    const messages = request.messages.map(message);
    if (request.as === "scheduled") {
      const numbers = await sender.scheduleMessages(messages, inSeconds(request.in));
      return { numbers: numbers.map((number) => number.toNumber()) };
    }
    if (request.as === "batch") {
      const batch = await sender.createMessageBatch();
      for (const one of messages) {
        if (!batch.tryAddMessage(one)) throw new Error("the batch is full");
      }
      await sender.sendMessages(batch);
    } else {
      for (const one of messages) await sender.sendMessages(one);
    }
    return {};
  } finally {
    await sender.close();
  }
}

async function cancel(request) {
  const { default: Long } = await import(require.resolve("long"));
  const sender = client.createSender(request.to);
  try {
    await sender.cancelScheduledMessages(request.numbers.map((number) => Long.fromNumber(number)));
    return {};
  } finally {
    await sender.close();
  }
}

async function receiver(request) {
  const options = {
    skipParsingBodyAsJson: true,
    receiveMode: request.settle === "delete" ? "receiveAndDelete" : "peekLock",
    ...(request.dead ? { subQueueType: "deadLetter" } : {}),
  };
  const [entity, subscription] = request.from.split("/Subscriptions/");
  const names = subscription === undefined ? [entity] : [entity, subscription];
  if (request.session === undefined) return client.createReceiver(...names, options);
  if (request.session === true) return client.acceptNextSession(...names, options);
  return client.acceptSession(...names, request.session, options);
}

async function settle(from, got, request) {
  switch (request.settle ?? "complete") {
    case "complete":
      return from.completeMessage(got);
    case "abandon":
      return from.abandonMessage(got);
    case "defer":
      return from.deferMessage(got);
    case "dead_letter":
      return from.deadLetterMessage(got, {
        deadLetterReason: request.reason,
        deadLetterErrorDescription: request.description,
      });
  }
}

async function receive(request) {
  const wanted = request.count ?? 1;
  const from = await receiver(request);
  const messages = [];
  try {
    while (messages.length < wanted) {
      const wait = { maxWaitTimeInMs: (request.wait ?? 10) * 1000 };
      linked = [];
      const got = await from.receiveMessages(wanted - messages.length, wait);
      const links = linked;
      if (got.length === 0) break;
      for (const one of got) {
        messages.push({ ...described(one), trace: links.shift() ?? null });
        tracing.handled(one);
        await settle(from, one, request);
      }
    }
    return { messages };
  } finally {
    await from.close();
  }
}

const operations = { send, receive, cancel };
const answer = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

answer({ ready: "@azure/service-bus" });
for await (const line of createInterface({ input: process.stdin })) {
  try {
    const request = JSON.parse(line);
    const done = await operations[request.do](request);
    await tracing.flush();
    answer(done);
  } catch (error) {
    answer({ error: `${error.name} ${error.code ?? ""}: ${error.message}` });
  }
}
await client.close();
