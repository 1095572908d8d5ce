// What a Service Bus namespace does on the wire: one line of JSON per observation, {"name": …, "saw": …}.
//
// usage: node wire.mjs
//
// "note" is the part that may differ: the text of an error.
//
// The connection string (AMQP1_LIVE_TARGET) and the entities (scripts/live) are in the environment. What differs
// from run to run (times, ids) is not part of an observation.

import { Namespace, condition, mapTypes, message, sections, sleep, typeOf, types } from "./amqp.mjs";
import { timers } from "./timers.mjs";

const namespace = new Namespace(process.env.AMQP1_LIVE_TARGET);
const { AMQP1_LIVE_QUEUE: QUEUE, AMQP1_LIVE_SESSION_QUEUE: SESSIONS, AMQP1_LIVE_DUPLICATES_QUEUE: DUPLICATES } = process.env;

function say(name, saw) {
  const isRecord = saw !== null && typeof saw === "object" && "description" in saw;
  const { description: note, ...rest } = isRecord ? saw : {};
  process.stdout.write(`${JSON.stringify({ name, saw: (isRecord ? rest : saw) ?? null, note })}\n`);
}

const only = new RegExp(process.env.AMQP1_LIVE_ONLY || ".");
const missing = new Set();

// Observes one subject on its own connection. An exception is an observation too.
async function observe(subject, look, entity = QUEUE) {
  if (!only.test(subject)) return;
  if (missing.has(entity)) return say(`${subject}: left out`, `there is no ${entity}`);
  const saw = (what, value) => say(`${subject}: ${what}`, value);
  let connection;
  try {
    connection = await namespace.connect();
    await look(saw, connection);
  } catch (error) {
    saw("ended with", error.message);
  } finally {
    connection?.close();
  }
}

const refusal = (attempt) =>
  attempt.then(
    () => "none",
    (error) => error.message,
  );
const longs = (...numbers) => types.wrap_array(numbers, 0x81);
const answer = ({ got, sections: raw, properties, id }) => ({
  status: properties.statusCode ?? properties["status-code"],
  condition: properties.errorCondition ?? properties["error-condition"] ?? null,
  properties: mapTypes(raw.application),
  body: raw.value?.value?.type ? typeOf(raw.value.value) : mapTypes(raw.value),
  "answers the message-id": got.correlation_id === id,
});
const brief = ({ properties }) => [properties.statusCode, properties.errorCondition ?? null];

async function emptied(entity, sessions = false) {
  const connection = await namespace.connect();
  const { properties } = await connection.putToken(entity);
  if (properties["status-code"] === 404) {
    connection.close();
    throw new Error("amqp:not-found");
  }
  const from = sessions ? [] : [entity, `${entity}/$DeadLetterQueue`];
  for (const address of from) {
    const link = await connection.receiver(address, { snd_settle_mode: 1, rcv_settle_mode: 0 });
    while (await connection.receive(link, 2)) continue;
  }
  while (sessions) {
    await connection.sender(entity).then((link) => connection.end(link));
    const filter = { "com.microsoft:session-filter": null };
    const link = await connection
      .receiver(entity, { filter, snd_settle_mode: 1, rcv_settle_mode: 0, properties: { "com.microsoft:timeout": types.wrap_uint(1000) } })
      .catch(() => null);
    if (!link) break;
    while (await connection.receive(link, 1)) continue;
    await connection.end(link);
  }
  connection.close();
}

for (const entity of [QUEUE, DUPLICATES, SESSIONS]) {
  await emptied(entity, entity === SESSIONS).catch((error) => {
    if (error.message !== "amqp:not-found") throw error;
    missing.add(entity);
  });
}
// They take minutes, and run in parallel to the others.
const late = only.test("timer") ? timers(namespace, QUEUE, say) : undefined;

await observe("open", async (saw, { raw, mechanism }) => {
  const { open } = raw.remote;
  saw("SASL mechanism of those ANONYMOUS", mechanism);
  for (const field of ["max_frame_size", "channel_max", "idle_time_out", "offered_capabilities"]) saw(field, open[field] ?? null);
  // The dialect's product and version show that it is not the service.
  const isOwn = (key) => key === "product" || key === "version";
  saw("properties", Object.keys(open.properties ?? {}).filter((key) => !isOwn(key)).sort());
  const session = raw.create_session();
  session.begin();
  await sleep(0.5);
  const begin = session.remote.begin ?? {};
  for (const field of ["incoming_window", "outgoing_window", "handle_max"]) saw(`begin, ${field}`, begin[field] ?? null);
});

await observe("SASL", async (saw) => {
  const end = async (options) => {
    const connection = await namespace.connect(options);
    const refused = await refusal(connection.sender(QUEUE));
    connection.close();
    return refused;
  };
  saw("PLAIN, a link without a token: refused with", await end({ plain: true }));
  saw("PLAIN, a wrong key is refused with", await refusal(namespace.connect({ plain: true, key: "d3Jvbmc=" })));
  saw("ANONYMOUS, a link without a token is refused with", await end({}));
});

await observe("CBS", async (saw, connection) => {
  saw("an answer", answer(await connection.putToken(QUEUE)));
  saw("a token of type jwt that is an SAS", (await connection.putToken(QUEUE, undefined, "jwt")).properties["status-code"]);
  for (const [what, token] of [
    ["of a wrong key", namespace.token(QUEUE, 600, "wrong")],
    ["that is over", namespace.token(QUEUE, -60)],
    ["of another entity", namespace.token("another")],
    ["that is none", "x"],
  ]) {
    const { properties } = await connection.putToken(QUEUE, token);
    saw(`a token ${what}`, [properties["status-code"], properties["error-condition"] ?? null]);
  }
  const { properties } = await connection.putToken("amqp1-live-missing");
  saw("a token for a missing entity", [properties["status-code"], properties["error-condition"] ?? null]);
});

await observe("attach", async (saw, connection) => {
  // The last token is for the whole namespace, because there is none for a missing entity.
  for (const entity of [QUEUE, SESSIONS, ""]) await connection.putToken(entity);
  const sender = await connection.sender(QUEUE);
  const { attach } = sender.remote;
  saw("sender, max_message_size", attach.max_message_size);
  saw("sender, modes", [attach.snd_settle_mode ?? null, attach.rcv_settle_mode ?? null]);
  saw("sender, target", attach.target?.address);
  saw("sender, offered_capabilities", attach.offered_capabilities ?? null);
  saw("sender, properties", Object.keys(attach.properties ?? {}).sort());
  saw("sender, first credit", sender.credit);
  const receiver = (await connection.receiver(QUEUE)).remote.attach;
  saw("receiver, max_message_size", receiver.max_message_size ?? null);
  saw("receiver, modes", [receiver.snd_settle_mode ?? null, receiver.rcv_settle_mode ?? null]);
  saw("receiver, source", receiver.source?.address);
  saw("receiver, initial_delivery_count", receiver.initial_delivery_count ?? null);
  saw("receiver, properties", Object.keys(receiver.properties ?? {}).sort());
  saw("in capitals", await refusal(connection.sender(QUEUE.toUpperCase())));
  saw("a missing entity, sender", await refusal(connection.sender("amqp1-live-missing")));
  saw("a missing entity, receiver", await refusal(connection.receiver("amqp1-live-missing")));
  saw("a sender to a dead-letter queue", await refusal(connection.sender(`${QUEUE}/$DeadLetterQueue`)));
  saw("a receiver without session on a session queue", await refusal(connection.receiver(SESSIONS)));
  saw("a session's receiver on a plain queue", await refusal(connection.receiver(QUEUE, { filter: { "com.microsoft:session-filter": "s" } })));
  const once = await connection.receiver(QUEUE, { name: "twice" });
  saw("a second link of one name, other direction", await refusal(connection.sender(QUEUE, { name: "twice" })));
  await connection.end(once);
});

await observe("message", async (saw, connection) => {
  await connection.putToken(QUEUE);
  const sender = await connection.sender(QUEUE);
  saw("the answer to a transfer", await connection.send(sender, "plain"));
  const receiver = await connection.receiver(QUEUE);
  let context = await connection.receive(receiver);
  const raw = sections(context.message);
  saw("sections of a plain one", Object.keys(raw));
  saw("delivery annotations", mapTypes(raw.delivery_annotations));
  saw("annotations", mapTypes(raw.annotations));
  saw("delivery-count", context.message.delivery_count ?? 0);
  saw("header's fields", (raw.header?.value ?? []).map(typeOf));
  saw("a message-id is assigned", typeOf(raw.properties?.value?.[0]));
  saw("delivery tag, octets", context.delivery.tag.length);
  saw("settled by the sender", context.delivery.remote_settled);
  saw("complete", await connection.settle(context, message.accepted()));

  const now = new Date();
  const sent = {
    message_id: types.wrap_uuid(Buffer.alloc(16, 1)),
    subject: "s", to: "t", reply_to: "r", correlation_id: "c", content_type: "application/json", group_sequence: 7,
    priority: 9, durable: false, ttl: 3_600_000,
    application_properties: { long: types.wrap_long(5), date: now, double: types.Double(1), flag: true, none: null, bytes: Buffer.from("b") },
    message_annotations: { "x-opt-partition-key": "p", "x-opt-of-the-client": 1, "x-opt-sequence-number": types.wrap_long(99999) },
    footer: { a: 1 },
  };
  saw("the answer to one with everything", await connection.send(sender, "x", sent));
  context = await connection.receive(receiver);
  const full = sections(context.message);
  saw("of one with everything, sections", Object.keys(full));
  saw("of one with everything, annotations", mapTypes(full.annotations));
  saw("of one with everything, a sequence number of the client's is kept", context.message.message_annotations["x-opt-sequence-number"] === 99999);
  saw("of one with everything, application properties", mapTypes(full.application));
  saw("of one with everything, header", full.header?.value.map((field) => field.value ?? null));
  saw("of one with everything, properties", full.properties?.value.map(typeOf));
  await connection.settle(context, message.accepted());
  const due = { "x-opt-scheduled-enqueue-time": types.wrap_timestamp(Date.now() - 1000) };
  await connection.send(sender, "x", { message_annotations: due });
  context = await connection.receive(receiver);
  saw("scheduled in the past, annotations", context && mapTypes(sections(context.message).annotations));
  if (context) await connection.settle(context, message.accepted());
});

await observe("limits", async (saw, connection) => {
  for (const entity of [QUEUE, SESSIONS]) await connection.putToken(entity);
  const send = async (what, body, options, format, entity = QUEUE) => {
    const link = await connection.sender(entity);
    saw(what, await connection.send(link, body, options, format));
    await sleep(0.3);
    saw(`${what}: the link is open after it`, link.is_open());
    await connection.end(link);
  };
  const size = (await connection.sender(QUEUE)).remote.attach.max_message_size;
  await send("a message of the largest size and 1000 octets", "x".repeat(size + 1000));
  const one = (body, options = {}) => message.encode({ ...options, body: message.data_section(Buffer.from(body)) });
  const batch = (...messages) => message.encode({ body: message.data_sections(messages) });
  await send("a batch of 2", batch(one("1"), one("2")), {}, 0x80013700);
  await send("a batch of none", batch(), {}, 0x80013700);
  await send("a batch with one that is no message", batch(one("1"), Buffer.from("xxxx")), {}, 0x80013700);
  await send("a message-id of 129 characters", "x", { message_id: "m".repeat(129) });
  await send("a session-id of 129 characters", "x", { group_id: "m".repeat(129) }, 0, SESSIONS);
  await send("a property of 33 KB", "x", { application_properties: { p: "p".repeat(33 * 1024) } });
  await send("properties of 66 KB", "x", { application_properties: { a: "p".repeat(22 * 1024), b: "p".repeat(22 * 1024), c: "p".repeat(22 * 1024) } });
  await send("without session to a session queue", "x", {}, 0, SESSIONS);
  await send("an empty message", Buffer.alloc(0));
  await emptied(QUEUE);
});

await observe("settling", async (saw, connection) => {
  await connection.putToken(QUEUE);
  const sender = await connection.sender(QUEUE);
  const receiver = await connection.receiver(QUEUE);
  const states = [
    ["released", message.released()],
    ["modified, failed false", message.modified({ delivery_failed: false, undeliverable_here: false })],
    ["modified, failed true", message.modified({ delivery_failed: true, undeliverable_here: false })],
  ];
  for (const [what, state] of states) {
    await connection.send(sender, "x");
    saw(`${what}: answer`, await connection.settle(await connection.receive(receiver), state));
    const again = await connection.receive(receiver);
    saw(`${what}: delivery-count after`, again && (again.message.delivery_count ?? 0));
    if (again) await connection.settle(again, message.accepted());
  }
  await connection.send(sender, "x", { application_properties: { kept: 1 } });
  const info = { DeadLetterReason: "why", DeadLetterErrorDescription: "because", own: 1 };
  const dead = message.rejected({ error: { condition: "com.microsoft:dead-letter", description: "d", info } });
  saw("rejected: answer", await connection.settle(await connection.receive(receiver), dead));
  await connection.send(sender, "y");
  await connection.settle(await connection.receive(receiver), message.rejected());
  const letters = await connection.receiver(`${QUEUE}/$DeadLetterQueue`);
  for (const what of ["with a reason", "without a reason"]) {
    const letter = await connection.receive(letters);
    saw(`dead-lettered ${what}: properties`, letter && letter.message.application_properties);
    saw(`dead-lettered ${what}: annotations`, letter && mapTypes(sections(letter.message).annotations));
    saw(`dead-lettered ${what}: delivery-count`, letter && (letter.message.delivery_count ?? 0));
    if (letter) await connection.settle(letter, message.accepted());
  }
  await connection.send(sender, "z");
  const counts = [];
  for (let context; counts.length < 5 && (context = await connection.receive(receiver, 3)); ) {
    counts.push(context.message.delivery_count ?? 0);
    await connection.settle(context, message.modified({ delivery_failed: true }));
  }
  saw("delivery-counts until it is dead-lettered", counts);
  const letter = await connection.receive(letters);
  saw("too many deliveries: properties", letter && letter.message.application_properties);
  saw("too many deliveries: delivery-count", letter && (letter.message.delivery_count ?? 0));
  if (letter) await connection.settle(letter, message.accepted());
  await connection.send(sender, "ttl", { ttl: 500 });
  await sleep(2);
  saw("an expired one is delivered", (await connection.receive(receiver, 1)) !== null);
  const expired = await connection.receive(letters, 10);
  saw("expired: properties", expired && expired.message.application_properties);
  if (expired) await connection.settle(expired, message.accepted());
});

await observe("lock", async (saw, connection) => {
  await connection.putToken(QUEUE);
  await connection.send(await connection.sender(QUEUE), "x");
  const receiver = await connection.receiver(QUEUE);
  const context = await connection.receive(receiver);
  const until = context.message.message_annotations["x-opt-locked-until"];
  saw("duration, seconds", Math.round((until - context.message.message_annotations["x-opt-enqueued-time"]) / 1000));
  const tag = context.delivery.tag;
  const token = Buffer.from([3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15].map((at) => tag[at]));
  const renew = (bytes) => connection.manage(QUEUE, "renew-lock", { "lock-tokens": types.wrap_array([bytes], 0x98) });
  saw("renewed", answer(await renew(token)));
  saw("renewal of an unknown one", brief(await renew(Buffer.alloc(16, 9))));
  await sleep(12);
  saw("renewal of one that is over", brief(await renew(token)));
  saw("completed when it is over", await connection.settle(context, message.accepted()));
  const again = await connection.receive(receiver, 10);
  saw("delivered again with delivery-count", again && (again.message.delivery_count ?? 0));
  if (again) await connection.settle(again, message.accepted());
});

await observe("drain", async (saw, connection) => {
  await connection.putToken(QUEUE);
  const receiver = await connection.receiver(QUEUE);
  receiver.add_credit(5);
  await sleep(0.5);
  const before = receiver.delivery_count ?? 0;
  receiver.drain_credit();
  await sleep(2);
  saw("credit and delivery-count after it", [receiver.credit, (receiver.remote?.flow?.delivery_count ?? receiver.delivery_count) - before]);
});

await observe("management", async (saw, connection) => {
  await connection.putToken(QUEUE);
  const peek = (from = 1) => connection.manage(QUEUE, "peek-message", { "from-sequence-number": types.wrap_long(from), "message-count": types.wrap_int(5) });
  saw("peek, nothing there", answer(await peek()));
  await connection.send(await connection.sender(QUEUE), "x");
  const peeked = await peek();
  saw("peek", answer(peeked));
  saw("peek, what a message is", mapTypes(valueOf(peeked, "messages")?.value?.[0]));
  const later = message.encode({ message_id: "later", body: message.data_section(Buffer.from("x")) });
  const due = message.encode({
    message_id: "later",
    message_annotations: { "x-opt-scheduled-enqueue-time": types.wrap_timestamp(Date.now() + 3_600_000) },
    body: message.data_section(Buffer.from("x")),
  });
  const schedule = (bytes) => connection.manage(QUEUE, "schedule-message", { messages: [{ "message-id": "later", message: bytes }] });
  const scheduled = await schedule(due);
  saw("schedule", answer(scheduled));
  const [number] = scheduled.got.body?.["sequence-numbers"] ?? [];
  saw("schedule without a time", brief(await schedule(later)));
  const cancel = (one) => connection.manage(QUEUE, "cancel-scheduled-message", { "sequence-numbers": longs(one) });
  saw("a scheduled one is peeked in state", await stateOf(await peek(Number(number)), number));
  saw("cancel", brief(await cancel(number)));
  saw("cancel again", brief(await cancel(number)));
  const deferred = (one) => connection.manage(QUEUE, "receive-by-sequence-number", { "sequence-numbers": longs(one), "receiver-settle-mode": types.wrap_uint(1) });
  saw("receive an unknown sequence number", brief(await deferred(123456789)));
  const receiver = await connection.receiver(QUEUE);
  const context = await connection.receive(receiver);
  saw("defer", await connection.settle(context, message.modified({ undeliverable_here: true })));
  const again = await deferred(context.message.message_annotations["x-opt-sequence-number"]);
  saw("receive a deferred one", answer(again));
  const one = valueOf(again, "messages")?.value?.[0];
  saw("receive a deferred one, what it is", mapTypes(one));
  const lock = one?.value?.[one.value.findIndex((entry) => entry.value === "lock-token") + 1]?.value;
  const suspend = (token) => connection.manage(QUEUE, "update-disposition", {
    "disposition-status": "suspended", "lock-tokens": types.wrap_array([token], 0x98),
    "deadletter-reason": "why", "deadletter-description": "because",
  });
  if (lock) saw("dead-letter it", brief(await suspend(lock)));
  saw("dead-letter it again", brief(await suspend(lock ?? Buffer.alloc(16, 9))));
  saw("an unknown operation", brief(await connection.manage(QUEUE, "no-such-operation", {})));
  saw("a request without what it needs", brief(await connection.manage(QUEUE, "renew-lock", {})));
  saw("session state on a plain queue", brief(await connection.manage(QUEUE, "get-session-state", { "session-id": "s" })));
  await emptied(QUEUE);
});

function valueOf({ sections: raw }, key) {
  const entries = raw.value?.value?.type ? raw.value.value.value : raw.value?.value;
  const at = (entries ?? []).findIndex((entry, n) => n % 2 === 0 && entry.value === key);
  return at < 0 ? undefined : entries[at + 1];
}

async function stateOf(peeked, number) {
  for (const one of peeked.got.body?.messages ?? []) {
    const { message_annotations: annotations } = message.decode(one.message);
    if (annotations["x-opt-sequence-number"] === number) return annotations["x-opt-message-state"];
  }
  return "not there";
}

await observe("session", async (saw, connection) => {
  await connection.putToken(SESSIONS);
  const accept = (id, milliseconds = 2000) =>
    connection.receiver(SESSIONS, {
      filter: { "com.microsoft:session-filter": id },
      properties: { "com.microsoft:timeout": types.wrap_uint(milliseconds) },
    });
  const begun = Date.now();
  saw("the next one when there is none", await refusal(accept(null)));
  saw("the next one when there is none: waits as long as it is told", Date.now() - begun >= 1900);
  const sender = await connection.sender(SESSIONS);
  await connection.send(sender, "1", { group_id: "a" });
  const receiver = await accept(null);
  const { attach } = receiver.remote;
  saw("the next one, filter of the answer", attach.source.filter?.["com.microsoft:session-filter"] ?? attach.source.filter);
  saw("the next one, properties of the answer", Object.keys(attach.properties ?? {}).sort());
  const until = attach.properties?.["com.microsoft:locked-until-utc"];
  const ticks = Number(Buffer.isBuffer(until) ? until.readBigInt64BE() : until);
  saw("locked for, seconds", Math.round(((ticks - 621355968e9) / 10_000 - Date.now()) / 1000));
  saw("a second receiver of it", await refusal(accept("a")));
  saw("a message of it, annotations", mapTypes(sections((await connection.receive(receiver)).message).annotations));
  const state = (operation, more = {}) => connection.manage(SESSIONS, operation, { "session-id": "a", ...more });
  saw("state at first", answer(await state("get-session-state")));
  saw("state set", answer(await state("set-session-state", { "session-state": Buffer.from("half") })));
  saw("state then", String((await state("get-session-state")).got.body?.["session-state"]));
  await state("set-session-state", { "session-state": null });
  saw("renewed", answer(await state("renew-session-lock")));
  saw("renewal of one that nobody has", brief(await connection.manage(SESSIONS, "renew-session-lock", { "session-id": "nobody" })));
  await sleep(12);
  saw("renewal of one that is over", brief(await state("renew-session-lock")));
  saw("the link when its lock is over", receiver.is_open() ? "open" : condition(receiver.error));
  await connection.end(receiver);
  const again = await accept("a");
  const context = await connection.receive(again);
  saw("after it, delivery-count", context && (context.message.delivery_count ?? 0));
  if (context) await connection.settle(context, message.accepted());
}, SESSIONS);

await observe("duplicates", async (saw, connection) => {
  await connection.putToken(DUPLICATES);
  const sender = await connection.sender(DUPLICATES);
  const id = `same-${Date.now()}`;
  for (const n of ["first", "second"]) saw(`${n} of one message-id`, await connection.send(sender, n, { message_id: id }));
  const receiver = await connection.receiver(DUPLICATES);
  const got = [];
  for (let context; (context = await connection.receive(receiver, 2)); await connection.settle(context, message.accepted())) {
    got.push(String(context.message.body.content ?? context.message.body));
  }
  saw("delivered", got);
}, DUPLICATES);

await late;
process.exit(0);
