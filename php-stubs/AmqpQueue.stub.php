<?php

// Amqp1\AmqpQueue: see amqp1.stub.php.

namespace Amqp1;

/**
 * A named queue at a broker. Connects on first use; connections are shared
 * by all queues of the process with the same endpoint, and outlive requests.
 *
 * It cannot be cloned or serialized, and shows no secret in var_dump() or traces.
 *
 * @phpstan-type JobOptions array{
 *     priority?: int<0, 255>|null,
 *     delay?: int|float|\DateTimeInterface|null,
 *     headers?: array<non-empty-string, scalar|\Stringable|non-empty-list<scalar|\Stringable>>|null,
 *     ttl?: int|float|null,
 *     id?: non-empty-string|null,
 *     trace_id?: string|null,
 *     group?: string|null,
 *     partition_key?: non-empty-string|null,
 *     routing_key?: string|null,
 *     durable?: bool|null,
 *     auto_ack?: bool|null,
 *     timeout?: int|float|null,
 * }
 * @phpstan-type Broker array{dialect: string, product: string, version: string}
 */
final class AmqpQueue implements \Countable
{
    /**
     * Checks everything that can be checked without the network.
     *
     * Options (null leaves the default):
     * - name: the pipeline's name; the queue's name by default.
     * - timeout: deadline of each blocking call; amqp1.timeout (30) by default.
     * - redial_timeout: how long a lost connection is dialled again before calls fail; 60.
     * - host_order: in which order the hosts of the DSN are dialled: "random", each process its own,
     *   so that processes spread over a cluster's nodes, a host that failed within the last 15 s
     *   last; "given", always from the first on; "random".
     * - heartbeat: the idle time-out announced to the broker, at least 1; 60.
     * - container_id: prefix of the AMQP container-id; "amqp1-php".
     * - exchange: publish to this exchange instead of directly to the queue (RabbitMQ).
     * - exchange_type: its type for declaring: "direct", "topic", "fanout", "headers", or a plugin's
     *   ("x-delayed-message"); "direct".
     * - routing_key: for the exchange; the queue's name by default.
     * - declare: declare what is missing before the first use, where the broker can; true.
     * - queue_type: "quorum" or "classic", for declaring; "quorum" (RabbitMQ 3 declares classic ones).
     * - bindings: for declaring, in place of the usual one (exchange with routing_key): a list of
     *   binding keys of exchange, or of arrays with exchange, routing_key and arguments. Missing
     *   ones are made, others are left.
     * - max_length: most jobs that may wait, 1 or more; no limit.
     * - overflow: beyond max_length, "drop-head" (the oldest makes room: dead-lettered, or lost) or
     *   "reject-publish" (push() throws RejectedException); the broker's, "drop-head".
     * - dead_letter_exchange: where the broker sends what was rejected, expired or made room; ""
     *   routes by queue name; nowhere by default.
     * - dead_letter_routing_key: with it; the job's own by default.
     * - single_active_consumer: one consumer is served, the next one when it is gone; false.
     * - max_priority: of a classic queue, 1 to 255 (few: each costs memory); none, so that it is in
     *   the order of arrival. Quorum queues have priorities without it.
     * - consumer_timeout: how long a consumer may hold a job before RabbitMQ takes it back and gives
     *   it to another one (Task::isLost()), for declaring; the broker's, 1800. Quorum queues from
     *   RabbitMQ 4.3 on; UnsupportedException on first use elsewhere.
     * - arguments: further queue arguments for declaring, as ["x-message-ttl" => 60000].
     * - durable: jobs survive a broker restart unless they say otherwise; true.
     * - exclusive: declare the queue for this connection alone; false.
     * - prefetch: jobs in flight to one consumer, 1 to 65535; 10.
     * - priority: of jobs that name none, 0 to 255; AMQP's 4.
     * - delay, ttl: of jobs that name none.
     * - format: how jobs are written, "roadrunner", "amqp1", "babelqueue" or "raw"; "roadrunner".
     *   Every format is read, whatever is said here.
     * - max_attempts: how often a job is tried, 0 for no end; 3.
     * - backoff: seconds before the second, third, … attempt, the last one repeats, as a
     *   number, a list, or "exponential" (1, 2, 4, … up to 3600, with jitter); [1, 10, 60],
     *   and 0 where the broker cannot delay.
     * - failed_queue: where a job goes then; "<queue>.failed". "@dead-letter" is the queue that
     *   the options dead_letter_exchange ("") and dead_letter_routing_key name.
     * - requeue_on_fail: a failed job is tried again whatever its attempts; false.
     * - dialect: "servicebus" for a broker that behaves as Azure Service Bus and is not known
     *   by its host, as Microsoft's emulator or amqp1-broker; "auto". The service's own hosts
     *   (also of the sovereign clouds), sb:// and connection strings are known without it.
     * - token: Service Bus: in place of a key a token (SharedAccessSignature …, or of Entra ID),
     *   or a callable(string $audience): string|array{token: string, expires?: int}, expires
     *   in Unix seconds. It is called during this object's own blocking calls, before the
     *   first link to an entity, and again when half of the token's life is over; a job that
     *   takes longer than the other half is lost (TaskLostException). A function's or static
     *   method's name keeps its connections over requests.
     * - max_lock_renewal: Service Bus: how long the lock of a job is renewed in the background,
     *   from when it is handed out; 300. With 0 never.
     * - tls: cert and key (PEM files, together), root_ca (PEM file), insecure_skip_verify.
     *
     * @param string $dsn amqp://user:password@host:5672/vhost, amqps://… (amqp1:// and amqp1s://
     *     are the same), a Service Bus
     *     connection string (Endpoint=sb://…), or embedded://. Several hosts of one broker are
     *     separated by commas (amqp://one:5672,two:5672). Options may stand in its
     *     query (?prefetch=20); those in $options go first. Left out of traces.
     *     On Service Bus a key in the DSN (amqps://rule:key@host) is for SASL PLAIN, one in a
     *     connection string signs tokens, which are renewed in the background.
     * @param string|null $queue The queue's name; "default" when it is left out. On Service Bus
     *     also topic (to push), topic/Subscriptions/name, and …/$DeadLetterQueue.
     * @param array{
     *     name?: non-empty-string|null,
     *     timeout?: int|float|null,
     *     redial_timeout?: int|float|null,
     *     host_order?: 'random'|'given'|null,
     *     heartbeat?: int|float|null,
     *     container_id?: non-empty-string|null,
     *     exchange?: string|null,
     *     exchange_type?: non-empty-string|null,
     *     routing_key?: string|null,
     *     declare?: bool|null,
     *     queue_type?: 'quorum'|'classic'|null,
     *     bindings?: string|list<string|array{exchange?: non-empty-string, routing_key?: string, arguments?: array<string, mixed>}>|null,
     *     max_length?: positive-int|null,
     *     overflow?: 'drop-head'|'reject-publish'|null,
     *     dead_letter_exchange?: string|null,
     *     dead_letter_routing_key?: string|null,
     *     single_active_consumer?: bool|null,
     *     max_priority?: int<1, 255>|null,
     *     consumer_timeout?: int|float|null,
     *     arguments?: array<string, mixed>|null,
     *     durable?: bool|null,
     *     exclusive?: bool|null,
     *     prefetch?: int<1, 65535>|null,
     *     priority?: int<0, 255>|null,
     *     delay?: int|float|null,
     *     ttl?: int|float|null,
     *     dialect?: 'auto'|'servicebus'|null,
     *     token?: string|callable|null,
     *     max_lock_renewal?: int|float|null,
     *     format?: 'roadrunner'|'amqp1'|'babelqueue'|'raw'|null,
     *     max_attempts?: int<0, 1000000>|null,
     *     backoff?: int|float|list<int|float>|'exponential'|null,
     *     failed_queue?: non-empty-string|null,
     *     requeue_on_fail?: bool|null,
     *     tls?: array{cert?: string|null, key?: string|null, root_ca?: string|null, insecure_skip_verify?: bool|null}|null,
     * } $options Left out of traces.
     *
     * @throws Exception\ConfigException a wrong DSN or option, a TLS file that cannot be used; an unknown option names the nearest known one
     * @throws \Error when it is called again on an object that has been made
     */
    public function __construct(#[\SensitiveParameter] string $dsn, ?string $queue = null, #[\SensitiveParameter] array $options = [])
    {
    }

    /**
     * Pushes one job and returns when the broker has taken it.
     *
     * Options (null leaves what the queue is configured with):
     * - priority: AMQP's, 0 to 255, higher is delivered first; 4.
     * - delay: not to be delivered sooner than in so many seconds, or than a date;
     *   a date that is past is no delay.
     * - headers: name => value, or a list of values. Values are text in UTF-8, int,
     *   float or bool; binary data belongs into the payload.
     * - ttl: how long the job may wait to be delivered.
     * - id: the job's id; a new UUID.
     * - trace_id: carried as correlation-id; a UUID in the format "babelqueue", and so is id.
     * - group: carried as group-id, the session on Service Bus. RabbitMQ and the embedded broker
     *   do not keep a group together: single_active_consumer keeps a queue's jobs in order.
     * - partition_key: keeps jobs together on a partitioned entity (Service Bus).
     * - routing_key: for this one job, instead of the queue's.
     * - durable: whether it survives a broker restart; true.
     * - auto_ack: settled when it is handed out; false.
     * - timeout: how long this push may take; the queue's timeout.
     *
     * @param non-empty-string $name The job's name, in UTF-8.
     * @param mixed $payload A string travels as it is. Anything else travels as JSON, as
     *     json_encode() writes it with JSON_UNESCAPED_SLASHES, JSON_UNESCAPED_UNICODE and
     *     JSON_PRESERVE_ZERO_FRACTION, 512 levels deep.
     * @param JobOptions $options
     *
     * @return non-empty-string the job's id
     *
     * @throws Exception\ConfigException a wrong name, option or header, or an option with which the broker does not
     *     declare the queue; nothing was sent
     * @throws Exception\SerializationException the payload has no JSON, or the format cannot carry it; nothing was sent
     * @throws Exception\ConnectionException the broker cannot be reached
     * @throws Exception\AuthenticationException the broker refused the credentials
     * @throws Exception\TimeoutException no answer in time: whether the broker has the job is unknown
     * @throws Exception\RejectedException the broker refused the job
     * @throws Exception\UnroutableException no queue is bound for the routing key
     * @throws Exception\QueueNotFoundException the queue or exchange does not exist
     * @throws Exception\UnsupportedException the broker cannot do what an option asks for
     */
    public function push(string $name, mixed $payload = null, array $options = []): string
    {
    }

    /**
     * Pushes a job that is to be delivered later, so that it can be taken back. push() with
     * the option "delay" is as good where that is not needed.
     *
     * @param non-empty-string $name As for push().
     * @param mixed $payload As for push().
     * @param \DateTimeInterface|int|float $delay Seconds, or a date.
     * @param JobOptions $options As for push(), without "delay".
     *
     * @return numeric-string the number of the scheduled job (Service Bus: its sequence number)
     *
     * @throws Exception\UnsupportedException any broker but Service Bus
     * @throws Exception\ExceptionInterface as push()
     */
    public function schedule(string $name, mixed $payload, \DateTimeInterface|int|float $delay, array $options = []): string
    {
    }

    /**
     * Takes back a job that schedule() has pushed.
     *
     * @param string $scheduled What schedule() returned.
     *
     * @return bool false when it is not there any more: delivered, or taken back before
     *
     * @throws Exception\ConfigException it is no number
     * @throws Exception\UnsupportedException any broker but Service Bus
     * @throws Exception\ConnectionException
     * @throws Exception\AuthenticationException
     * @throws Exception\TimeoutException
     */
    public function cancel(string $scheduled): bool
    {
    }

    /**
     * Pushes many jobs, pipelined, and returns when every outcome is known.
     *
     * A generator is consumed as its jobs are sent. A job that is wrong, or that the
     * broker refuses, fails alone. When the iterable itself throws, what was sent is
     * awaited and the exception goes on unchanged; so does what a JsonSerializable throws.
     *
     * @param iterable<array{name: non-empty-string, payload?: mixed, options?: JobOptions|null}> $jobs
     *     Keys are ignored.
     * @param JobOptions $options Defaults for all jobs, which a job's own options replace,
     *     headers one by one. "timeout" is how long the batch may go without progress.
     *
     * @return list<non-empty-string> the ids in the order given
     *
     * @throws Exception\BatchException some jobs were not confirmed: which, why, and the ids of the others
     * @throws Exception\ConfigException a wrong default option; nothing was sent
     * @throws Exception\ConnectionException
     * @throws Exception\AuthenticationException
     * @throws Exception\TimeoutException
     */
    public function pushMany(iterable $jobs, array $options = []): array
    {
    }

    /**
     * Takes the next job, without a standing consumer: no more than this one is locked,
     * and nothing is attached any more when the job is settled and gone.
     *
     * It costs some round trips each time. A worker is served faster by a Consumer.
     *
     * @param float|null $timeout How long to wait for a job, in seconds: 0 takes what is
     *     there now; null waits for ever.
     *
     * @return Task|null null when there is none
     *
     * @throws Exception\ConnectionException
     * @throws Exception\AuthenticationException
     * @throws Exception\TimeoutException the broker did not answer
     * @throws Exception\QueueNotFoundException
     */
    public function reserve(?float $timeout = 0.0): ?Task
    {
    }

    /**
     * The failed queue: to count, look at, consume or purge what is in there.
     * Task::getFailure() says why a job is.
     *
     * @throws Exception\UnsupportedException the broker has no dead-letter queue of its own
     */
    public function failed(): AmqpQueue
    {
    }

    /**
     * Moves jobs from the failed queue back to the queues they came from, as if they had
     * never been delivered. Each is confirmed there before it leaves the failed queue.
     * Jobs that fail again meanwhile stay.
     *
     * @param int<0, max>|null $max No more than so many; null for all.
     * @param list<non-empty-string>|null $ids Any bytes. Only the jobs of these ids, so with an empty list
     *     none; null for all.
     *
     * @return int<0, max> how many there were
     *
     * @throws Exception\ConnectionException
     * @throws Exception\AuthenticationException
     * @throws Exception\TimeoutException no progress within the option "timeout"
     * @throws Exception\QueueNotFoundException
     * @throws Exception\RejectedException
     * @throws Exception\UnsupportedException
     */
    public function retryFailed(?int $max = null, ?array $ids = null): int
    {
    }

    /**
     * Declares what the configuration names, and reports what exists with other
     * settings, where the broker can (RabbitMQ 4 management). On Service Bus it looks whether the entity is there,
     * on ActiveMQ (Artemis, Classic) whether the address is a queue, which is made if it is missing.
     *
     * @throws Exception\ConfigException what exists differs, or the broker refuses an option: with its reason
     * @throws Exception\ConnectionException
     * @throws Exception\AuthenticationException
     * @throws Exception\TimeoutException
     * @throws Exception\UnsupportedException the broker cannot declare
     */
    public function setup(): void
    {
    }

    /**
     * Removes the jobs that are ready. On Service Bus they are received and deleted; those that
     * others have in hand stay. On Artemis those that wait for their time go as well.
     *
     * @return int<0, max> how many there were
     *
     * @throws Exception\ConnectionException
     * @throws Exception\AuthenticationException
     * @throws Exception\TimeoutException
     * @throws Exception\QueueNotFoundException
     * @throws Exception\UnsupportedException the broker cannot do it
     */
    public function purge(): int
    {
    }

    /**
     * How many jobs are ready to be delivered.
     *
     * Service Bus has no such figure over AMQP: its messages are looked at (peek), 10,000 at the
     * most, and those that somebody has in hand are counted with the others.
     *
     * @return int<0, max>
     *
     * @throws Exception\ConnectionException
     * @throws Exception\AuthenticationException
     * @throws Exception\TimeoutException
     * @throws Exception\QueueNotFoundException
     * @throws Exception\UnsupportedException the broker does not tell
     */
    public function count(): int
    {
    }

    /**
     * Figures of the queue, as far as the broker tells.
     *
     * @return array{
     *     active: int<0, max>,
     *     delayed: int<0, max>|null,
     *     ready: int<0, max>,
     *     reserved: int<0, max>|null,
     *     consumers: int<0, max>|null,
     *     broker: Broker,
     * } active is ready + delayed + reserved; reserved is delivered and
     *     not settled; null where the broker does not tell. Not among them on
     *     RabbitMQ 4.3: jobs of a quorum queue that wait for their next attempt
     *
     * @throws Exception\ConnectionException
     * @throws Exception\AuthenticationException
     * @throws Exception\TimeoutException
     * @throws Exception\QueueNotFoundException
     * @throws Exception\UnsupportedException the broker does not tell
     */
    public function stats(): array
    {
    }

    /**
     * Makes a round trip to the broker, connecting if need be.
     *
     * @return float seconds
     *
     * @throws Exception\ConnectionException
     * @throws Exception\AuthenticationException
     * @throws Exception\TimeoutException
     */
    public function ping(): float
    {
    }

    /**
     * The pipeline's name: the option "name", or the queue's name.
     */
    public function getName(): string
    {
    }

    /**
     * Who is at the other end. Connects if need be.
     *
     * @return Broker for instance dialect "rabbitmq4", product "RabbitMQ", version "4.1.2"
     *
     * @throws Exception\ConnectionException
     * @throws Exception\AuthenticationException
     * @throws Exception\TimeoutException
     */
    public function getBroker(): array
    {
    }
}
