// A minimal AMQP client on rhea (part of Microsoft's SDK), which shows what the peer sends unchanged.

import { createHmac } from "node:crypto";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const rhea = createRequire(resolve(process.env.AMQP1_LIVE_SDK, "package.json"))("rhea");
export const { message, types } = rhea;

// The bytes of a message are kept, because decoded values lose their types.
const RAW = Symbol("raw");
const { decode } = message;
message.decode = (bytes) => Object.assign(decode(bytes), { [RAW]: bytes });

export const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

// The first of the events, as [NAME, CONTEXT], within this many seconds.
export function first(emitter, names, seconds = 20) {
  return new Promise((done, fail) => {
    const ended = new AbortController();
    const end = (act, value) => {
      clearTimeout(timer);
      for (const [name, listener] of listeners) emitter.removeListener(name, listener);
      ended.abort();
      act(value);
    };
    const timer = setTimeout(() => end(fail, new Error(`no ${names.join(", ")} within ${seconds} s`)), seconds * 1000);
    const listeners = names.map((name) => [name, (context) => end(done, [name, context])]);
    for (const [name, listener] of listeners) emitter.on(name, listener);
  });
}

// The name of an AMQP type, whatever its encoding.
export function typeOf(typed) {
  const name = typed?.type?.name ?? "none";
  const known = [
    [/^Str/, "string"],
    [/^Sym/, "symbol"],
    [/^Vbin/, "binary"],
    [/^(True|False|Boolean)$/, "boolean"],
    [/^(Small)?(Ulong|Uint|Long|Int)0?$/, name.replace(/Small|0/g, "").toLowerCase()],
    [/^(List|Map|Array)\d*$/, name.replace(/\d/g, "").toLowerCase()],
  ].find(([pattern]) => pattern.test(name));
  const type = known ? known[1] : name.toLowerCase();
  if (type === "array") return `array of ${typed.array_constructor ? typeNameOf(typed) : typeOf(typed.value?.[0])}`;
  return type;
}

const typeNameOf = (array) => typeOf({ type: types.by_code[array.array_constructor.typecode] });

// {KEY: TYPE} of a map that was read raw.
export function mapTypes(typed) {
  const entries = [];
  for (let n = 0; n + 1 < (typed?.value?.length ?? 0); n += 2) {
    entries.push([String(typed.value[n].value), typeOf(typed.value[n + 1])]);
  }
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

const SECTIONS = { 112: "header", 113: "delivery_annotations", 114: "annotations", 115: "properties", 116: "application", 117: "data", 119: "value" };

// The sections of a message as they were encoded.
export function sections(got) {
  const reader = new types.Reader(got[RAW]);
  const found = {};
  while (reader.remaining()) {
    const section = reader.read();
    found[SECTIONS[Number(section.descriptor.value)] ?? `section ${section.descriptor.value}`] = section;
  }
  return found;
}

export const outcome = (state) => state?.constructor?.composite_type ?? (state ? "another state" : "no state");

// A short form of a peer's error.
export const condition = (error) => error?.condition ?? "no condition";

// The namespace that a connection string is for.
export class Namespace {
  constructor(connectionString) {
    const pairs = connectionString.split(";").filter(Boolean).map((pair) => {
      const at = pair.indexOf("=");
      return [pair.slice(0, at), pair.slice(at + 1)];
    });
    const of = Object.fromEntries(pairs);
    const endpoint = new URL(of.Endpoint.replace(/^sb:/, "http:"));
    this.isEmulator = of.UseDevelopmentEmulator === "true";
    this.host = endpoint.hostname;
    this.port = Number(endpoint.port || (this.isEmulator ? 5672 : 5671));
    this.rule = of.SharedAccessKeyName;
    this.key = of.SharedAccessKey;
    if (!this.rule || !this.key) throw new Error("the connection string needs SharedAccessKeyName and SharedAccessKey");
  }

  audience(entity) {
    return `sb://${this.host}/${entity}`;
  }

  token(entity, seconds = 600, key = this.key) {
    const expires = Math.floor(Date.now() / 1000) + seconds;
    const resource = encodeURIComponent(this.audience(entity));
    const signature = createHmac("sha256", key).update(`${resource}\n${expires}`).digest("base64");
    return `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(signature)}&se=${expires}&skn=${this.rule}`;
  }

  // Opens a connection, with SASL ANONYMOUS or PLAIN.
  async connect({ plain = false, key = this.key } = {}) {
    const mechanisms = rhea.sasl.client_mechanisms();
    if (plain) mechanisms.enable_plain(this.rule, key);
    else mechanisms.enable_anonymous("amqp1");
    const connection = rhea.create_container().create_connection({
      host: this.host,
      hostname: this.host,
      servername: this.host,
      port: this.port,
      transport: this.isEmulator ? "tcp" : "tls",
      reconnect: false,
      sasl_mechanisms: mechanisms,
      idle_time_out: 60_000,
    });
    connection.setMaxListeners(100);
    const opened = first(connection, ["connection_open", "connection_error", "connection_close", "disconnected"]);
    connection.connect();
    const offered = connection.sasl_transport;
    const [name, context] = await opened;
    // From here on, every end is expected or checked.
    for (const event of ["connection_error", "connection_close", "disconnected", "session_error", "session_close", "error", "protocol_error"]) {
      connection.on(event, () => {});
    }
    if (name !== "connection_open") throw new Error(condition(context.error ?? connection.error));
    return new Connection(this, connection, offered?.mechanism_name);
  }
}

class Connection {
  constructor(namespace, raw, mechanism) {
    this.namespace = namespace;
    this.raw = raw;
    this.mechanism = mechanism;
    this.links = 0;
    this.requests = new Map();
  }

  close() {
    this.raw.close();
  }

  async #opened(kind, link) {
    // A refused link is opened and then closed with the error, perhaps before anyone can check.
    const refused = first(link, [`${kind}_error`, `${kind}_close`], 30);
    refused.catch(() => {});
    const [name] = await first(link, [`${kind}_open`, `${kind}_error`, `${kind}_close`]);
    const { source, target } = link.remote.attach ?? {};
    if (name === `${kind}_open` && (kind === "sender" ? target : source)?.address) return link;
    await refused;
    throw new Error(condition(link.error));
  }

  // A link for sending. Throws the error if it is refused.
  async sender(address, options = {}) {
    const link = this.raw.open_sender({ name: `s-${++this.links}-${Date.now()}`, target: { address }, snd_settle_mode: 0, ...options });
    this.#quiet(link, "sender");
    await this.#opened("sender", link);
    if (!link.credit) await first(link, ["sendable"], 5).catch(() => {});
    return link;
  }

  // A link for receiving, without credit.
  async receiver(address, { filter, properties, ...options } = {}) {
    const link = this.raw.open_receiver({
      name: `r-${++this.links}-${Date.now()}`,
      source: filter ? { address, filter } : { address },
      credit_window: 0,
      autoaccept: false,
      autosettle: false,
      rcv_settle_mode: 1,
      properties,
      ...options,
    });
    this.#quiet(link, "receiver");
    return this.#opened("receiver", link);
  }

  #quiet(link, kind) {
    for (const event of ["error", "close", "drained", "flow"]) link.on(`${kind}_${event}`, () => {});
    if (kind === "sender") for (const event of ["accepted", "rejected", "released", "modified", "settled"]) link.on(event, () => {});
  }

  // Sends one message and waits for its outcome.
  async send(link, body, options = {}, format = 0) {
    const sent = Buffer.isBuffer(body) ? body : message.encode({ ...options, body: message.data_section(Buffer.from(body)) });
    const delivery = link.send(sent, undefined, format);
    const [name] = await first(link, ["settled", "rejected", "sender_error", "sender_close"]);
    if (name.startsWith("sender")) return { ended: condition(link.error) };
    const { error } = delivery.remote_state ?? {};
    return { state: outcome(delivery.remote_state), settled: delivery.remote_settled, condition: error?.condition, description: error?.description };
  }

  // The next message, or null.
  async receive(link, seconds = 5) {
    const got = first(link, ["message", "receiver_error", "receiver_close"], seconds);
    if (link.credit === 0) link.add_credit(1);
    const [name, context] = await got.catch(() => ["none"]);
    if (name === "message") return context;
    if (name !== "none") throw new Error(condition(link.error));
    return null;
  }

  // Settles and waits for the answer.
  async settle(context, state) {
    const answered = first(context.receiver, ["settled", "receiver_error", "receiver_close"]);
    context.delivery.update(false, state.described());
    const [name] = await answered;
    if (name !== "settled") return { ended: condition(context.receiver.error) };
    const { remote_state, remote_settled } = context.delivery;
    context.delivery.update(true);
    return { state: outcome(remote_state), settled: remote_settled, condition: remote_state?.error?.condition };
  }

  async end(link) {
    if (link.is_closed()) return;
    const closed = first(link, [link.is_sender() ? "sender_close" : "receiver_close"], 5).catch(() => {});
    link.close();
    await closed;
  }

  // A request to `$cbs` or a management node, and its answer.
  async request(node, properties, body) {
    if (!this.requests.has(node)) {
      const reply = `reply-${++this.links}-${Date.now()}`;
      const sender = await this.sender(node, { source: { address: reply } });
      const receiver = await this.receiver(node, { target: { address: reply }, rcv_settle_mode: 0, credit_window: 10, autoaccept: true, autosettle: true });
      this.requests.set(node, { reply, sender, receiver });
    }
    const { reply, sender, receiver } = this.requests.get(node);
    const id = `m-${++this.links}`;
    const answered = first(receiver, ["message"], 30);
    sender.send({ message_id: id, reply_to: reply, application_properties: properties, body });
    const [, { message: got }] = await answered;
    return { got, id, sections: sections(got), properties: got.application_properties ?? {} };
  }

  async putToken(entity, token = this.namespace.token(entity), type = "servicebus.windows.net:sastoken") {
    const name = this.namespace.audience(entity);
    return this.request("$cbs", { operation: "put-token", type, name }, token);
  }

  async manage(entity, operation, body) {
    return this.request(`${entity}/$management`, { operation: `com.microsoft:${operation}` }, body);
  }
}
