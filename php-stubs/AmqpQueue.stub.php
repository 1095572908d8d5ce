<?php

// Amqp1\AmqpQueue: see amqp1.stub.php.

namespace Amqp1;

/**
 * A named queue at a broker. It connects on first use. Connections are shared by all
 * queues of the process with the same endpoint, and outlive requests.
 *
 * It cannot be cloned or serialized, and var_dump() and traces show no secret.
 *
 * @phpstan-type JobOptions array{
 *     priority?: int<0, 255>|null,
 *     delay?: int|float|\DateTimeInterface|null,
 *     headers?: array<non-empty-string, scalar|\Stringable|non-empty-list<scalar|\Stringable>>|null,
 *     ttl?: int|float|null,
 *     id?: non-empty-string|null,
 *     trace_id?: string|null,
 *     correlation_id?: string|null,
 *     group?: string|null,
 *     partition_key?: non-empty-string|null,
 *     routing_key?: string|null,
 *     durable?: bool|null,
 *     auto_ack?: bool|null,
 *     timeout?: int|float|null,
 *     content_type?: non-empty-string|null,
 *     content_encoding?: non-empty-string|null,
 *     reply_to?: non-empty-string|null,
 *     to?: non-empty-string|null,
 *     subject?: non-empty-string|null,
 *     user_id?: non-empty-string|null,
 *     annotations?: array<non-empty-string, scalar|\Stringable|non-empty-list<scalar|\Stringable>>|null,
 * }
 * @phpstan-type Broker array{dialect: string, product: string, version: string, longest_job: float|null}
 */
final class AmqpQueue implements QueueInterface
{
    /**
     * Checks everything that can be checked without the network.
     *
     * Options (null keeps the default):
     * - name: the pipeline's name. Default: the queue's name.
     * - timeout: the deadline of each blocking call. Default: amqp1.timeout (30).
     * - redial_timeout: how long a lost connection is dialled again before calls fail. Default: 60.
     * - host_order: the order in which the hosts of the DSN are dialled. "random": each process has its
     *   own order, so that processes spread over a cluster's nodes; a host that failed within the
     *   last 15 s comes last. "given": always from the first host on. Default: "random".
     * - heartbeat: the idle timeout announced to the broker, at least 1. Default: 60.
     * - container_id: the prefix of the AMQP container-id. Default: "amqp1-php".
     * - exchange: publish to this exchange instead of directly to the queue (RabbitMQ).
     * - exchange_type: the type to declare the exchange with: "direct", "topic", "fanout", "headers",
     *   or a plugin's type ("x-delayed-message"). Default: "direct".
     * - routing_key: the routing key for the exchange. Default: the queue's name.
     * - declare: declare what is missing before the first use, if the broker can. Default: true.
     * - queue_type: the type to declare the queue with, "quorum" or "classic". Default: "quorum"
     *   (on RabbitMQ 3, "classic").
     * - bindings: the bindings to declare, in place of the usual one (exchange with routing_key): a
     *   list of binding keys of exchange, or of arrays with exchange, routing_key and arguments.
     *   Missing bindings are created; others are left alone.
     * - max_length: the maximum number of waiting jobs, 1 or more. Default: no limit.
     * - overflow: what happens beyond max_length. "drop-head": the oldest job is dead-lettered, or
     *   lost. "reject-publish": push() throws RejectedException. Default: the broker's, "drop-head".
     * - dead_letter_exchange: where the broker sends jobs that were rejected, expired or dropped; ""
     *   routes by queue name. Default: none.
     * - dead_letter_routing_key: the routing key to send them with. Default: the job's own.
     * - single_active_consumer: only one consumer receives jobs; when it goes away, the next one
     *   takes over. Default: false.
     * - max_priority: the highest priority of a classic queue, 1 to 255. Keep it small: each priority
     *   costs memory. Default: none, jobs are delivered in the order of arrival. Quorum queues have
     *   priorities without it.
     * - consumer_timeout: how long a consumer may hold a job before RabbitMQ takes it back and gives
     *   it to another consumer (Task::isLost()); set when the queue is declared. Default: the
     *   broker's, 1800. For quorum queues from RabbitMQ 4.3 on; elsewhere UnsupportedException on
     *   first use.
     * - arguments: further queue arguments for declaring, such as ["x-message-ttl" => 60000].
     * - durable: jobs survive a broker restart unless they say otherwise. Default: true.
     * - exclusive: declare the queue for this connection only. Default: false.
     * - prefetch: how many unsettled jobs one consumer holds, 1 to 65535. Default: as many as last for
     *   100 ms, at most 500 (adaptive).
     * - priority: the priority of jobs that set none, 0 to 255. Default: AMQP's 4.
     * - delay, ttl: the delay and ttl of jobs that set none.
     * - format: the format in which jobs are written, "roadrunner", "amqp1", "babelqueue" or "raw".
     *   Every format is read, whatever this says. Default: "roadrunner".
     * - max_attempts: how many times a job is attempted; 0 for no limit. Default: 3.
     * - backoff: seconds before the second, third, … attempt: a number, a list whose last value
     *   repeats, or "exponential" (1, 2, 4, … up to 3600, with jitter). Default: [1, 10, 60], or
     *   0 if the broker cannot delay.
     * - failed_queue: where a job goes when its attempts are used up. "@dead-letter" is the queue that
     *   the options dead_letter_exchange ("") and dead_letter_routing_key name. Default:
     *   "<queue>.failed"; on Service Bus, the dead-letter queue.
     * - requeue_on_fail: always retry a failed job, whatever its attempts. Default: false.
     * - dialect: "servicebus" for a broker that behaves like Azure Service Bus but is not recognised
     *   by its host, such as Microsoft's emulator or amqp1-broker. The service's own hosts (also
     *   those of the sovereign clouds), sb:// and connection strings are recognised. Default: "auto".
     * - token: Service Bus: a token in place of a key (SharedAccessSignature …, or from Entra ID), or a
     *   callable(string $audience): string|array{token: string, expires?: int} that returns one,
     *   with expires in Unix seconds. It is called during this object's own blocking calls: before
     *   the first link to an entity, and again when half of the token's lifetime has passed. A job
     *   that takes longer than the other half is lost (TaskLostException). If the callable is the
     *   name of a function or static method, its connections are kept across requests.
     * - max_lock_renewal: Service Bus: how long the lock of a job is renewed in the background, from
     *   when the job is handed out; 0 for never. Default: 300.
     * - content_type, content_encoding, reply_to, user_id: message properties of jobs that set none.
     * - logger: a PSR-3 logger for connections to the endpoint. Default: the process's (setLogger()).
     * - observer: is told what happens to the queue's jobs, after the process's (setObserver()).
     * - tls: cert and key (PEM files, set both), root_ca (PEM file), insecure_skip_verify.
     *
     * @param string $dsn amqp://user:password@host:5672/vhost, amqps://… (amqp1:// and amqp1s://
     *     are other spellings), a Service Bus connection string (Endpoint=sb://…), sb://… or
     *     embedded://. Separate several hosts of one broker by commas (amqp://one:5672,two:5672).
     *     The query can contain options (?prefetch=20); those in $options take precedence. Left
     *     out of traces. On Service Bus, a key in a URL (amqps://rule:key@host) is used for SASL
     *     PLAIN; a key in a connection string signs tokens, which are renewed in the background.
     * @param string|null $queue The queue's name. Default: "default". On Service Bus also topic (for
     *     pushing), topic/Subscriptions/name, and …/$DeadLetterQueue.
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
     *     content_type?: non-empty-string|null,
     *     content_encoding?: non-empty-string|null,
     *     reply_to?: non-empty-string|null,
     *     user_id?: non-empty-string|null,
     *     observer?: Observer|null,
     *     logger?: \Psr\Log\LoggerInterface|object|null,
     *     format?: 'roadrunner'|'amqp1'|'babelqueue'|'raw'|null,
     *     max_attempts?: int<0, 1000000>|null,
     *     backoff?: int|float|list<int|float>|'exponential'|null,
     *     failed_queue?: non-empty-string|null,
     *     requeue_on_fail?: bool|null,
     *     tls?: array{cert?: string|null, key?: string|null, root_ca?: string|null, insecure_skip_verify?: bool|null}|null,
     * } $options Left out of traces.
     *
     * @throws Exception\ConfigException the DSN or an option is wrong, or a TLS file cannot be used; for an unknown
     *     option, the nearest known one is suggested
     * @throws \Error if called again on a constructed object
     */
    public function __construct(#[\SensitiveParameter] string $dsn, ?string $queue = null, #[\SensitiveParameter] array $options = []) {}

    /**
     * Pushes one job and returns once the broker has confirmed it.
     *
     * Options (null keeps the queue's setting):
     * - priority: AMQP's priority, 0 to 255; a higher one is delivered first. Default: 4.
     * - delay: seconds before the job can be delivered, or the date from which it can be. A date in
     *   the past means no delay.
     * - headers: name => value, or a list of values. Values are UTF-8 text, int, float or bool; put
     *   binary data into the payload.
     * - ttl: how long the job may wait to be delivered.
     * - id: the job's id; in the format "babelqueue", a UUID. Default: a new UUID.
     * - trace_id, correlation_id: two names of one property, sent as correlation-id; in the format
     *   "babelqueue", a UUID.
     * - group: sent as group-id; on Service Bus, the session. RabbitMQ and the embedded broker do not
     *   keep a group together; to keep a queue's jobs in order, use single_active_consumer.
     * - partition_key: keeps jobs together on a partitioned entity (Service Bus).
     * - routing_key: the routing key of this job, in place of the queue's.
     * - durable: whether the job survives a broker restart. Default: true.
     * - auto_ack: the job is settled when it is handed out. Default: false.
     * - timeout: how long this push may take. Default: the queue's timeout.
     * - content_type: Default: "application/json" if the payload is sent as JSON, otherwise
     *   "application/octet-stream". A payload that is not a string needs a type of JSON
     *   ("application/json", or one that ends with "+json"). A string payload of such a type is decoded by
     *   getPayload().
     * - content_encoding: how the payload is encoded, such as "gzip". The payload is sent as it is.
     * - reply_to: the address for answers.
     * - to: carried; it does not affect the route.
     * - subject: Default: the job's name.
     * - user_id: who sends the job. RabbitMQ accepts only the connection's own user.
     * - annotations: message annotations, name => value as for headers. A name begins with "x-" (usually
     *   "x-opt-"); names that the broker or this extension uses are refused.
     *
     * @param non-empty-string $name The job's name, in UTF-8.
     * @param mixed $payload A string is sent as it is. Any other payload is sent as JSON, as
     *     json_encode() writes it with JSON_UNESCAPED_SLASHES, JSON_UNESCAPED_UNICODE and
     *     JSON_PRESERVE_ZERO_FRACTION, up to 512 levels deep.
     * @param JobOptions $options
     *
     * @return non-empty-string the job's id
     *
     * @throws Exception\ConfigException the name, an option or a header is wrong, or the broker refuses to declare the
     *     queue with an option; nothing was sent
     * @throws Exception\SerializationException the payload cannot be encoded as JSON, or the format cannot carry it;
     *     nothing was sent
     * @throws Exception\ConnectionException the broker cannot be reached
     * @throws Exception\AuthenticationException the broker refused the credentials
     * @throws Exception\TimeoutException no answer in time; the broker may or may not have the job
     * @throws Exception\RejectedException the broker refused the job
     * @throws Exception\UnroutableException no queue is bound for the routing key
     * @throws Exception\QueueNotFoundException the queue or exchange does not exist
     * @throws Exception\UnsupportedException the broker does not support an option
     */
    public function push(string $name, mixed $payload = null, array $options = []): string {}

    /**
     * Pushes a job and waits for the reply of its worker (Task::reply()): requestAsync() and its get() in one.
     *
     * @param non-empty-string $name As for push().
     * @param mixed $payload As for push().
     * @param JobOptions $options As for requestAsync().
     *
     * @throws Exception\TimeoutException no reply in time; a reply that comes later is dropped
     * @throws Exception\ConnectionException also if the connection for replies is lost: the request may have been handled
     * @throws Exception\ExceptionInterface as requestAsync()
     */
    public function request(string $name, mixed $payload = null, array $options = []): Reply {}

    /**
     * Pushes a job whose worker replies, and returns once the broker has confirmed it. The reply is waited for later, by
     * PendingReply::get(): so many requests wait at once, up to 500 in a process.
     *
     * Replies arrive at an address of this process, which the broker removes with the connection: direct reply-to of
     * RabbitMQ 4.2, a temporary queue elsewhere. On Service Bus, name a queue with sessions in the option reply_to; each
     * process has a session of its own there.
     *
     * Options are those of push(), but
     * - timeout is for the push and the reply together,
     * - ttl is by default the timeout: a request that nobody would get the reply of is not handled,
     * - reply_to is only for Service Bus,
     * - correlation_id and trace_id are refused: the correlation id is the request's id.
     *
     * @param non-empty-string $name As for push().
     * @param mixed $payload As for push().
     * @param JobOptions $options
     *
     * @throws Exception\ConfigException also if 500 requests wait, or one with this id
     * @throws Exception\UnsupportedException the broker has no address for replies (RabbitMQ 3), or needs reply_to
     * @throws Exception\ExceptionInterface as push()
     */
    public function requestAsync(string $name, mixed $payload = null, array $options = []): PendingReply {}

    /**
     * Pushes a job to be delivered later, which cancel() can cancel until then. If you do not need
     * to cancel it, use push() with the option "delay".
     *
     * @param non-empty-string $name As for push().
     * @param mixed $payload As for push().
     * @param \DateTimeInterface|int|float $delay Seconds, or a date.
     * @param JobOptions $options As for push(), without "delay".
     *
     * @return numeric-string the number of the scheduled job (Service Bus: its sequence number)
     *
     * @throws Exception\UnsupportedException the broker is not Service Bus
     * @throws Exception\ExceptionInterface as push()
     */
    public function schedule(string $name, mixed $payload, \DateTimeInterface|int|float $delay, array $options = []): string {}

    /**
     * Cancels a job that schedule() has pushed.
     *
     * @param string $scheduled The number that schedule() returned.
     *
     * @return bool false if the job is no longer scheduled: delivered, or already cancelled
     *
     * @throws Exception\ConfigException $scheduled is not a number
     * @throws Exception\UnsupportedException the broker is not Service Bus
     * @throws Exception\ConnectionException|Exception\AuthenticationException|Exception\TimeoutException
     */
    public function cancel(string $scheduled): bool {}

    /**
     * Pushes many jobs, pipelined, and returns once every outcome is known.
     *
     * A generator is consumed while its jobs are sent. A job that is wrong, or that the broker
     * refuses, does not affect the others. If the iterable itself throws, the outcomes of the jobs
     * already sent are awaited, and the exception is passed on unchanged. The same applies to an
     * exception from a JsonSerializable.
     *
     * @param iterable<array{name: non-empty-string, payload?: mixed, options?: JobOptions|null}> $jobs
     *     Keys are ignored.
     * @param JobOptions $options Defaults for all jobs. A job's own options override them, headers
     *     one by one. "timeout" is how long the batch may go without progress.
     *
     * @return list<non-empty-string> the ids in the order given
     *
     * @throws Exception\BatchException some jobs were not confirmed; it has their indexes and reasons, and the ids of
     *     the other jobs
     * @throws Exception\ConfigException a default option is wrong; nothing was sent
     * @throws Exception\ConnectionException|Exception\AuthenticationException|Exception\TimeoutException
     */
    public function pushMany(iterable $jobs, array $options = []): array {}

    /**
     * Takes the next job without a standing consumer. It locks no other job, and detaches when
     * the job is settled and released.
     *
     * Each call costs several round trips. In a worker, a Consumer is faster.
     *
     * @param float|null $timeout How long to wait for a job, in seconds. 0 takes a job that is
     *     there now; null waits without a limit.
     *
     * @return Task|null null if there is no job
     *
     * @throws Exception\ConnectionException
     * @throws Exception\AuthenticationException
     * @throws Exception\TimeoutException the broker did not answer
     * @throws Exception\QueueNotFoundException
     */
    public function reserve(?float $timeout = 0.0): ?Task {}

    /**
     * Receives jobs that Task::defer() has set aside (Service Bus). They are locked for this process as any other job. A job
     * that is dropped unsettled stays deferred; nack() and release() put it back into the queue.
     *
     * @param int|list<int> $sequenceNumbers From Task::getSequenceNumber(): one number, or several.
     * @param non-empty-string|null $session On a queue with sessions: the jobs' session, from Task::getGroup(). This call
     *     locks the session until the last of these tasks is gone. A consumer that holds it uses Consumer::receiveDeferred().
     *
     * @return list<Task> all of these jobs
     *
     * @throws Exception\ConfigException a number is negative, or not a number
     * @throws Exception\RejectedException one of the jobs is not there, not deferred, or held by another worker, or
     *     another consumer holds the session; none was received
     * @throws Exception\UnsupportedException the broker is not Service Bus
     * @throws Exception\ConnectionException|Exception\AuthenticationException|Exception\TimeoutException
     * @throws Exception\QueueNotFoundException
     */
    public function receiveDeferred(array|int $sequenceNumbers, ?string $session = null): array {}

    /**
     * Looks at jobs without taking them (Service Bus and the embedded broker): nothing is locked or counted, and workers get
     * the jobs as if no one had looked. Jobs that a worker has in hand, scheduled and deferred jobs are shown as well. On
     * Service Bus, so are expired jobs that the service has not removed yet.
     *
     * RabbitMQ and other brokers show a job only by delivering it. There, take jobs with a Consumer, and close it to return
     * them; `amqp1 failed:list` does that with failed jobs. failed()->peek() looks at failed jobs.
     *
     * @param int<1, 10000> $max The most jobs to return. They are in memory together.
     * @param int<0, max> $from The first number: the last job's getSequenceNumber() plus one returns the next jobs.
     *
     * @return list<PeekedTask> in the order of their numbers; empty if there are no more
     *
     * @throws Exception\ConfigException a parameter is out of its range
     * @throws Exception\UnsupportedException the broker shows a job only by delivering it
     * @throws Exception\ConnectionException|Exception\AuthenticationException|Exception\TimeoutException
     * @throws Exception\QueueNotFoundException
     */
    public function peek(int $max = 10, int $from = 0): array {}

    /**
     * Returns the failed queue, in which you can count, inspect, consume or purge failed jobs.
     * Task::getFailure() says why a job failed.
     *
     * @throws Exception\UnsupportedException the broker has no dead-letter queue of its own
     */
    public function failed(): AmqpQueue {}

    /**
     * Moves jobs from the failed queue back to the queues they came from, as if they had never
     * been delivered. Each job is confirmed there before it leaves the failed queue. Jobs that
     * fail again in the meantime stay.
     *
     * @param int<0, max>|null $max The maximum number of jobs to move; null for all.
     * @param list<non-empty-string>|null $ids The ids of the jobs to move (any bytes); null for all. An
     *     empty list moves none.
     *
     * @return int<0, max> how many jobs were moved
     *
     * @throws Exception\ConnectionException
     * @throws Exception\AuthenticationException
     * @throws Exception\TimeoutException no progress within the option "timeout"
     * @throws Exception\QueueNotFoundException
     * @throws Exception\RejectedException
     * @throws Exception\UnsupportedException
     */
    public function retryFailed(?int $max = null, ?array $ids = null): int {}

    /**
     * Declares what the configuration names and is missing, and reports differences to what exists, if the broker
     * can (RabbitMQ 4, embedded). On Service Bus, it checks that the entity exists. On ActiveMQ (Artemis, Classic), it
     * checks that the address is a queue, and creates the queue if it is missing.
     *
     * @throws Exception\ConfigException what exists differs from the configuration, or the broker refuses an option; the
     *     message has the reason
     * @throws Exception\ConnectionException|Exception\AuthenticationException|Exception\TimeoutException
     * @throws Exception\UnsupportedException the broker cannot declare
     */
    public function setup(): void {}

    /**
     * Removes the jobs that are ready. On Service Bus, they are received and deleted; jobs that other
     * consumers have in hand stay. On Artemis, delayed jobs are removed as well.
     *
     * @return int<0, max> how many jobs were removed
     *
     * @throws Exception\ConnectionException|Exception\AuthenticationException|Exception\TimeoutException
     * @throws Exception\QueueNotFoundException
     * @throws Exception\UnsupportedException the broker cannot purge a queue
     */
    public function purge(): int {}

    /**
     * Returns how many jobs are ready to be delivered.
     *
     * Service Bus does not provide this figure over AMQP. There, at most 10,000 messages are peeked
     * at and counted, including those that a consumer has in hand.
     *
     * @return int<0, max>
     *
     * @throws Exception\ConnectionException|Exception\AuthenticationException|Exception\TimeoutException
     * @throws Exception\QueueNotFoundException
     * @throws Exception\UnsupportedException the broker does not provide it
     */
    public function count(): int {}

    /**
     * Returns figures of the queue, as far as the broker provides them.
     *
     * @return array{
     *     active: int<0, max>,
     *     delayed: int<0, max>|null,
     *     ready: int<0, max>,
     *     reserved: int<0, max>|null,
     *     consumers: int<0, max>|null,
     *     broker: Broker,
     * } active is the sum of ready, delayed and reserved; reserved is delivered
     *     but not settled; null if the broker does not provide a figure. RabbitMQ
     *     4.3 does not count jobs of a quorum queue that wait for their next attempt.
     *
     * @throws Exception\ConnectionException|Exception\AuthenticationException|Exception\TimeoutException
     * @throws Exception\QueueNotFoundException
     * @throws Exception\UnsupportedException the broker does not provide it
     */
    public function stats(): array {}

    /**
     * Makes a round trip to the broker. It connects first if necessary.
     *
     * @return float the time of the round trip in seconds
     *
     * @throws Exception\ConnectionException|Exception\AuthenticationException|Exception\TimeoutException
     */
    public function ping(): float {}

    /**
     * Makes the consumers of this object ignore the queue, those that run already included. They request no more jobs
     * of it, and return those that were not handed out: a waitTask() in progress within 50 ms, others with their next call.
     * Jobs in hand stay and can be settled. A consumer of several queues goes on with the others.
     *
     * For this process and this object only: consumers of another AmqpQueue object of the same name continue. A signal
     * handler or a listener can call it. push(), reserve() and all other methods of the queue work as before.
     *
     * If the queue belongs to a Jobs object, this is the same as its pause().
     */
    public function pause(): void {}

    /**
     * Makes consumers serve the queue again. A consumer that is waiting notices within 50 ms.
     */
    public function resume(): void {}

    /**
     * Whether the queue is paused.
     */
    public function isPaused(): bool {}

    /**
     * The pipeline's name: the option "name", or the queue's name.
     */
    public function getName(): string {}

    /**
     * Identifies the broker. It connects first if necessary.
     *
     * @return Broker for example dialect "rabbitmq4", product "RabbitMQ", version "4.1.2". "longest_job": after how
     *     many seconds a job is taken from a consumer that still holds it (options consumer_timeout and
     *     max_lock_renewal, or what this broker does without them); null: never, or it is not known
     *
     * @throws Exception\ConnectionException|Exception\AuthenticationException|Exception\TimeoutException
     */
    public function getBroker(): array {}
}
