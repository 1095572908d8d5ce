// Tests amqp1-broker with @azure/service-bus. Prints one line per case, `ok NAME` or `not ok NAME: why`.
//
// usage: NODE_EXTRA_CA_CERTS=CA_FILE node judge.mjs CONNECTION_STRING TLS_PORT [PATTERN]
//
// The broker runs with tests/sdk/Config.json and has nothing in it yet; a second one speaks TLS as
// localhost, on TLS_PORT. The exit status is 1 if a case has failed.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { ServiceBusClient } from "@azure/service-bus";
import { rules } from "./rules.mjs";

const [connectionString, tlsPort, pattern = ""] = process.argv.slice(2);
const endpoint = /sb:\/\/([^;/]+)/.exec(connectionString)[1];
const cases = [];
const retries = { maxRetries: 3, retryDelayInMs: 100, timeoutInMs: 5_000 };
// How long the SDK waits for an answer, and for the next session.
const RETRY = { maxRetries: 0, timeoutInMs: 5_000 };

function test(name, run) {
  cases.push([name, run]);
}

async function withClient(act, retryOptions = RETRY, text = connectionString) {
  const client = new ServiceBusClient(text, { retryOptions });
  try {
    return await act(client);
  } finally {
    await client.close();
  }
}

function send(queue, ...messages) {
  return withClient(async (client) => {
    const sender = client.createSender(queue);
    for (const message of messages) await sender.sendMessages(message);
  });
}

// Injects faults, with a message to the broker's own node.
function fault(...lines) {
  return send("$faults", { body: lines.join("\n") });
}

async function one(receiver, maxWaitTimeInMs = 5_000) {
  const messages = await receiver.receiveMessages(1, { maxWaitTimeInMs });
  assert.equal(messages.length, 1, `${messages.length} messages`);
  return messages[0];
}

async function none(receiver, maxWaitTimeInMs = 500) {
  const messages = await receiver.receiveMessages(1, { maxWaitTimeInMs });
  assert.deepEqual(messages.map((m) => m.body), []);
}

async function refused(code, act) {
  try {
    await act();
  } catch (e) {
    assert.equal(e.code, code, `${e.code}: ${e.message}`);
    return e;
  }
  assert.fail(`no ${code}`);
}

test("send, receive, complete", () =>
  withClient(async (client) => {
    await client.createSender("send").sendMessages({
      body: { a: [1, "ä"] },
      messageId: "id-1",
      correlationId: "c",
      subject: "s",
      contentType: "application/json",
      partitionKey: "p",
      timeToLive: 60_000,
      applicationProperties: { text: "ä", n: 5, flag: true, at: new Date(0) },
    });
    const receiver = client.createReceiver("send");
    const got = await one(receiver);
    assert.deepEqual(got.body, { a: [1, "ä"] });
    assert.deepEqual([got.messageId, got.correlationId, got.subject], ["id-1", "c", "s"]);
    assert.deepEqual([got.contentType, got.partitionKey], ["application/json", "p"]);
    const { text, n, flag, at } = got.applicationProperties;
    assert.deepEqual([text, n, flag, at.valueOf()], ["ä", 5, true, 0]);
    assert.equal(got.deliveryCount, 0);
    assert.equal(got.sequenceNumber.toNumber(), 1);
    assert.ok(Math.abs(got.enqueuedTimeUtc - Date.now()) < 60_000);
    assert.ok(got.lockedUntilUtc > new Date());
    assert.ok(got.expiresAtUtc > new Date());
    await receiver.completeMessage(got);
    await none(receiver);
  }));

test("batch", () =>
  withClient(async (client) => {
    const sender = client.createSender("batch");
    const batch = await sender.createMessageBatch();
    assert.equal(batch.maxSizeInBytes, 262_144);
    for (let n = 0; n < 100; n++) assert.ok(batch.tryAddMessage({ body: `m${n}` }));
    await sender.sendMessages(batch);
    await sender.sendMessages([{ body: "m100" }, { body: "m101" }]);
    const receiver = client.createReceiver("batch", { receiveMode: "receiveAndDelete" });
    const got = [];
    while (got.length < 102) {
      const more = await receiver.receiveMessages(200, { maxWaitTimeInMs: 3_000 });
      assert.ok(more.length > 0);
      got.push(...more.map((m) => m.body));
    }
    assert.deepEqual(got, [...Array(102).keys()].map((n) => `m${n}`));
  }));

test("abandon until dead", () =>
  withClient(async (client) => {
    await send("abandon", { body: "a" });
    const receiver = client.createReceiver("abandon");
    for (let count = 0; count < 3; count++) {
      const got = await one(receiver);
      assert.equal(got.deliveryCount, count);
      assert.equal(got.applicationProperties?.tried, count ? count - 1 : undefined);
      await receiver.abandonMessage(got, { tried: count });
    }
    await none(receiver);
    const dead = client.createReceiver("abandon", { subQueueType: "deadLetter" });
    const got = await one(dead);
    assert.equal(got.deadLetterReason, "MaxDeliveryCountExceeded");
    await dead.completeMessage(got);
  }));

test("dead-letter and read back", () =>
  withClient(async (client) => {
    await send("dead", { body: "d", applicationProperties: { kept: 1 } });
    const receiver = client.createReceiver("dead");
    await receiver.deadLetterMessage(await one(receiver), {
      deadLetterReason: "why",
      deadLetterErrorDescription: "because",
      added: "x",
    });
    await none(receiver);
    const dead = client.createReceiver("dead", { subQueueType: "deadLetter" });
    const got = await one(dead);
    assert.deepEqual([got.deadLetterReason, got.deadLetterErrorDescription], ["why", "because"]);
    assert.deepEqual([got.applicationProperties.kept, got.applicationProperties.added], [1, "x"]);
    await assert.rejects(dead.deadLetterMessage(got), /cannot be dead-lettered again/);
    const [kept] = await dead.peekMessages(1);
    assert.equal(kept.deadLetterReason, "why");
  }));

test("defer", () =>
  withClient(async (client) => {
    await send("defer", { body: "later" });
    const receiver = client.createReceiver("defer");
    const got = await one(receiver);
    await receiver.deferMessage(got);
    await none(receiver);
    const [again] = await receiver.receiveDeferredMessages(got.sequenceNumber);
    assert.equal(again.body, "later");
    await receiver.abandonMessage(again);
    const [last] = await receiver.receiveDeferredMessages([got.sequenceNumber]);
    await receiver.completeMessage(last);
    await refused("MessageNotFound", () => receiver.receiveDeferredMessages(got.sequenceNumber));
  }));

test("schedule and cancel", () =>
  withClient(async (client) => {
    const sender = client.createSender("schedule");
    const soon = new Date(Date.now() + 2_000);
    const later = new Date(Date.now() + 3_600_000);
    await sender.scheduleMessages({ body: "soon" }, soon);
    const ids = await sender.scheduleMessages([{ body: "1" }, { body: "2" }], later);
    assert.equal(ids.length, 2);
    await sender.cancelScheduledMessages(ids);
    await refused("MessageNotFound", () => sender.cancelScheduledMessages(ids[0]));
    await sender.sendMessages({ body: "own", scheduledEnqueueTimeUtc: soon });
    const receiver = client.createReceiver("schedule");
    const peeked = await receiver.peekMessages(5);
    assert.deepEqual(peeked.map((m) => m.state), ["scheduled", "scheduled"]);
    await none(receiver);
    const got = [await one(receiver), await one(receiver)];
    assert.deepEqual(got.map((m) => m.body).sort(), ["own", "soon"]);
    for (const message of got) {
      assert.ok(message.enqueuedTimeUtc >= soon - 1);
      await receiver.completeMessage(message);
    }
  }));

test("peek", () =>
  withClient(async (client) => {
    await send("peek", { body: 1 }, { body: 2 }, { body: 3 });
    const receiver = client.createReceiver("peek");
    const bodies = (messages) => messages.map((m) => m.body);
    const peeked = await receiver.peekMessages(2);
    assert.deepEqual(bodies(peeked), [1, 2]);
    assert.deepEqual(bodies(await receiver.peekMessages(5)), [3]);
    assert.deepEqual(bodies(await receiver.peekMessages(5)), []);
    const first = await receiver.peekMessages(1, { fromSequenceNumber: peeked[0].sequenceNumber });
    assert.deepEqual(bodies(first), [1]);
  }));

test("renew lock", () =>
  withClient(async (client) => {
    await send("renew", { body: "r" });
    const receiver = client.createReceiver("renew", { maxAutoLockRenewalDurationInMs: 0 });
    const got = await one(receiver);
    for (let n = 0; n < 3; n++) {
      await sleep(1_000);
      const before = got.lockedUntilUtc;
      assert.ok((await receiver.renewMessageLock(got)) > before);
    }
    await receiver.completeMessage(got);
  }));

test("receive and delete", () =>
  withClient(async (client) => {
    await send("delete", { body: 1 }, { body: 2 });
    const receiver = client.createReceiver("delete", { receiveMode: "receiveAndDelete" });
    assert.equal((await one(receiver)).body, 1);
    assert.equal((await one(receiver)).body, 2);
    await none(receiver);
  }));

test("session with state", () =>
  withClient(async (client) => {
    await send("session", { body: 1, sessionId: "s" }, { body: 2, sessionId: "s" });
    await send("session", { body: "other", sessionId: "t" });
    const receiver = await client.acceptSession("session", "s");
    assert.equal(receiver.sessionId, "s");
    assert.ok(receiver.sessionLockedUntilUtc > new Date());
    assert.equal(await receiver.getSessionState(), null);
    await receiver.setSessionState(Buffer.from("half"));
    for (const body of [1, 2]) {
      const got = await one(receiver);
      assert.deepEqual([got.body, got.sessionId], [body, "s"]);
      await receiver.completeMessage(got);
    }
    assert.ok((await receiver.renewSessionLock()) > new Date());
    await refused("SessionCannotBeLocked", () => client.acceptSession("session", "s"));
    await receiver.close();
    const again = await client.acceptSession("session", "s");
    assert.equal(Buffer.from(await again.getSessionState()).toString(), "half");
    await again.setSessionState(null);
    await again.close();
    const other = await client.acceptSession("session", "t");
    await other.completeMessage(await one(other));
  }));

test("next available session", () =>
  withClient(async (client) => {
    await send("next", { body: "a1", sessionId: "a" }, { body: "b1", sessionId: "b" });
    for (const [id, body] of [["a", "a1"], ["b", "b1"]]) {
      const receiver = await client.acceptNextSession("next");
      const got = await one(receiver);
      assert.deepEqual([receiver.sessionId, got.body], [id, body]);
      await receiver.completeMessage(got);
      await receiver.close();
    }
    await refused("ServiceTimeout", () => client.acceptNextSession("next"));
  }));

test("session required", () =>
  withClient(async (client) => {
    await assert.rejects(client.acceptSession("send", "s"));
    await assert.rejects(client.createReceiver("session").receiveMessages(1));
    await assert.rejects(send("session", { body: "no session" }));
  }));

test("session lock lost", () =>
  withClient(async (client) => {
    await send("session-lock", { body: "x", sessionId: "s" });
    const options = { maxAutoLockRenewalDurationInMs: 0 };
    const receiver = await client.acceptSession("session-lock", "s", options);
    const got = await one(receiver);
    await sleep(3_000);
    await refused("SessionLockLost", () => receiver.completeMessage(got));
    const again = await client.acceptSession("session-lock", "s");
    const second = await one(again);
    assert.equal(second.deliveryCount, 1);
    await again.completeMessage(second);
  }));

test("missing entity", () =>
  withClient(async (client) => {
    const code = "MessagingEntityNotFound";
    await refused(code, () => send("nowhere", { body: 1 }));
    await refused(code, () => client.createReceiver("nowhere").receiveMessages(1));
    await refused(code, () => client.createReceiver("topic", "nowhere").receiveMessages(1));
  }));

test("subscribe with concurrency", () =>
  withClient(async (client) => {
    const count = 50;
    await send("prefetch", [...Array(count).keys()].map((n) => ({ body: n })));
    const receiver = client.createReceiver("prefetch");
    const got = [];
    await new Promise((resolve, reject) => {
      receiver.subscribe(
        {
          processMessage: async (message) => {
            got.push(message.body);
            if (got.length === count) resolve();
          },
          processError: async ({ error }) => reject(error),
        },
        { maxConcurrentCalls: 5 },
      );
    });
    assert.deepEqual(got.sort((a, b) => a - b), [...Array(count).keys()]);
    await receiver.close();
    await none(client.createReceiver("prefetch"));
  }));

test("large messages", () =>
  withClient(async (client) => {
    const large = Buffer.alloc(204_800, "0123456789abcdef");
    await send("large", { body: large }, { body: large });
    const receiver = client.createReceiver("large");
    for (let n = 0; n < 2; n++) {
      const got = await one(receiver);
      assert.ok(large.equals(got.body));
      await receiver.completeMessage(got);
    }
    await refused("MessageSizeExceeded", () => send("large", { body: Buffer.alloc(300_000) }));
  }));

test("time to live", async () => {
  await send("ttl", { body: "short", timeToLive: 1_000 });
  await sleep(1_500);
  await withClient(async (client) => {
    await none(client.createReceiver("ttl"));
    const dead = client.createReceiver("ttl", { subQueueType: "deadLetter" });
    const got = await one(dead);
    assert.equal(got.deadLetterReason, "TTLExpiredException");
    await dead.completeMessage(got);
  });
});

test("duplicate detection", () =>
  withClient(async (client) => {
    for (const body of ["first", "second"]) await send("duplicates", { body, messageId: "same" });
    const receiver = client.createReceiver("duplicates");
    const got = await one(receiver);
    assert.equal(got.body, "first");
    await receiver.completeMessage(got);
    await none(receiver);
  }));

test("topic and subscriptions", () =>
  withClient(async (client) => {
    await send(
      "topic",
      { body: "plain" },
      { body: "red", subject: "red", applicationProperties: { size: 5 } },
      { body: "blue", subject: "blue" },
    );
    const expected = { all: ["plain", "red", "blue"], red: ["red"], sql: ["blue"] };
    for (const [name, bodies] of Object.entries(expected)) {
      const receiver = client.createReceiver("topic", name);
      for (const body of bodies) {
        const got = await one(receiver);
        assert.equal(got.body, body);
        await receiver.deadLetterMessage(got, { deadLetterReason: "seen" });
      }
      await none(receiver);
      const dead = client.createReceiver("topic", name, { subQueueType: "deadLetter" });
      for (const body of bodies) {
        const got = await one(dead);
        assert.deepEqual([got.body, got.deadLetterReason], [body, "seen"]);
        await dead.completeMessage(got);
      }
    }
  }));

rules({ test, withClient, send, one, none, refused });

test("server-busy is retried", async () => {
  await fault("busy entity=busy op=send times=2");
  await withClient(async (client) => {
    await client.createSender("busy").sendMessages({ body: "x" });
    const receiver = client.createReceiver("busy");
    await receiver.completeMessage(await one(receiver));
  }, retries);
  await fault("busy entity=busy op=send times=1");
  await refused("ServiceBusy", () => send("busy", { body: "x" }));
  await fault("busy entity=busy op=peek-message times=1");
  await withClient(async (client) => {
    assert.deepEqual(await client.createReceiver("busy").peekMessages(1), []);
  }, retries);
});

test("quota", async () => {
  await refused("QuotaExceeded", async () => {
    for (let n = 0; n < 6; n++) await send("quota", { body: Buffer.alloc(200_000) });
  });
});

test("message lock lost", () =>
  withClient(async (client) => {
    await send("lost", { body: "x" });
    const receiver = client.createReceiver("lost", { maxAutoLockRenewalDurationInMs: 0 });
    const got = await one(receiver);
    await sleep(1_500);
    await refused("MessageLockLost", () => receiver.completeMessage(got));
    await refused("MessageLockLost", () => receiver.renewMessageLock(got));
    const again = await one(receiver);
    assert.equal(again.deliveryCount, 1);
    await fault("lose-lock entity=lost op=settle times=1");
    await refused("MessageLockLost", () => receiver.completeMessage(again));
    await receiver.completeMessage(await one(receiver));
  }));

test("detach forced", () =>
  withClient(async (client) => {
    const sender = client.createSender("forced");
    await fault("detach entity=forced op=send times=1");
    await sender.sendMessages({ body: 1 });
    await fault("detach entity=forced op=now");
    await sender.sendMessages({ body: 2 });
    await fault("close entity=forced op=now");
    await sender.sendMessages({ body: 3 });
    await fault("reset entity=forced op=now");
    await sender.sendMessages({ body: 4 });
    const receiver = client.createReceiver("forced");
    for (let n = 1; n <= 4; n++) {
      await fault("detach entity=forced op=now");
      const got = await one(receiver);
      assert.equal(got.body, n);
      await receiver.completeMessage(got);
    }
  }, retries));

test("credit withheld", async () => {
  await fault("withhold-credit entity=credit ms=1500 times=1");
  const begun = Date.now();
  await send("credit", { body: "x" });
  assert.ok(Date.now() - begun >= 1_400);
});

test("late and misrouted answers", () =>
  withClient(async (client) => {
    await send("misrouted", { body: "x" });
    const receiver = client.createReceiver("misrouted");
    await fault("delay entity=misrouted op=peek-message ms=700 times=1");
    const begun = Date.now();
    assert.equal((await receiver.peekMessages(1)).length, 1);
    assert.ok(Date.now() - begun >= 700);
    await fault("misroute entity=misrouted op=peek-message times=always");
    await assert.rejects(receiver.peekMessages(1));
    await fault("clear");
    await receiver.completeMessage(await one(receiver));
  }));

test("token expires", async () => {
  const audience = `sb://${endpoint}/token`;
  const withToken = (key, seconds) => {
    const expiry = Math.floor(Date.now() / 1000) + seconds;
    const resource = encodeURIComponent(audience);
    const hmac = createHmac("sha256", key).update(`${resource}\n${expiry}`).digest("base64");
    const signature = encodeURIComponent(hmac);
    const token = `SharedAccessSignature sr=${resource}&sig=${signature}&se=${expiry}&skn=RootManageSharedAccessKey`;
    return `Endpoint=sb://${endpoint};SharedAccessSignature=${token};UseDevelopmentEmulator=true`;
  };
  const sendWith = (text) =>
    withClient((client) => client.createSender("token").sendMessages({ body: "x" }), RETRY, text);
  await refused("UnauthorizedAccess", () => sendWith(withToken("wrong", 60)));
  await refused("UnauthorizedAccess", () => sendWith(withToken("SAS_KEY_VALUE", -60)));
  await sendWith(withToken("SAS_KEY_VALUE", 60));
  await withClient(async (client) => {
    const sender = client.createSender("token");
    await sender.sendMessages({ body: "before" });
    await fault("expire-token entity=token op=now");
    await sender.sendMessages({ body: "after" });
  }, retries);
});

test("over TLS", () =>
  withClient(
    async (client) => {
      await client.createSender("send").sendMessages({ body: "x" });
      const receiver = client.createReceiver("send");
      await receiver.completeMessage(await one(receiver));
    },
    RETRY,
    connectionString.replace(endpoint, `localhost:${tlsPort}`).replace(/UseDevelop[^;]*;/, ""),
  ));

let failed = 0;
for (const [name, run] of cases) {
  if (!new RegExp(pattern).test(name)) continue;
  const begun = Date.now();
  try {
    await run();
    console.log(`ok ${name} (${((Date.now() - begun) / 1000).toFixed(1)} s)`);
  } catch (e) {
    failed += 1;
    console.log(`not ok ${name}: ${e.name}: ${e.message}`);
    console.error(e.stack);
  }
}
process.exit(failed ? 1 : 0);
