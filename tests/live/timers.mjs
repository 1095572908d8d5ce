// How long the service tolerates a peer that does nothing, and what it says then.

import { condition, first, sleep } from "./amqp.mjs";

// Waits for the end of a connection or link. Returns its condition and time, rounded to ten seconds.
async function end(emitter, names, seconds, error) {
  const begun = Date.now();
  try {
    await first(emitter, names, seconds);
    await sleep(0.2);
    return [error(), `${Math.round((Date.now() - begun) / 10_000) * 10} s`];
  } catch {
    return ["none", `within ${seconds} s`];
  }
}

const endOf = (connection, seconds) =>
  end(connection.raw, ["connection_error", "connection_close", "disconnected"], seconds, () => condition(connection.raw.error));

export async function timers(namespace, queue, say) {
  const looks = {
    "no token": async () => endOf(await namespace.connect(), 40),
    "no link": async () => endOf(await namespace.connect({ plain: true }), 90),
    "a token that is over, of a link": async () => {
      const connection = await namespace.connect();
      await connection.putToken(queue, namespace.token(queue, 20));
      const link = await connection.sender(queue);
      const names = ["sender_error", "sender_close"];
      const ended = end(link, names, 90, () => condition(link.error));
      return Promise.race([ended, endOf(connection, 91)]);
    },
  };
  if (process.env.AMQP1_LIVE_LONG) {
    looks["an idle link"] = async () => {
      const connection = await namespace.connect();
      await connection.putToken(queue, namespace.token(queue, 3000));
      const link = await connection.receiver(queue);
      return end(link, ["receiver_error", "receiver_close"], 900, () => condition(link.error));
    };
    looks["all links gone"] = async () => {
      const connection = await namespace.connect();
      await connection.putToken(queue, namespace.token(queue, 3000));
      for (const { sender, receiver } of connection.requests.values()) {
        await connection.end(sender);
        await connection.end(receiver);
      }
      await connection.end(await connection.sender(queue));
      return endOf(connection, 420);
    };
  }
  await Promise.all(
    Object.entries(looks).map(async ([name, look]) => {
      say(`timer: ${name}`, await look().catch((error) => ["failed", error.message]));
    }),
  );
}
