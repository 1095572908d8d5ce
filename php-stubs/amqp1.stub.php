<?php

/**
 * What the extension amqp1 defines, for editors and static analysis. This file
 * is never loaded beside the extension; tests/ compares it with the extension
 * by reflection.
 *
 * Times are seconds, as int or float. Where an int, float or bool is expected,
 * its usual other spellings are taken as well ("5", 1 for true), as PHP does in
 * weak mode; an int is taken for a string. Anything else is a ConfigException
 * in an array of options, and PHP's own TypeError for a parameter.
 *
 * Every method that blocks runs signal handlers while it does (with
 * pcntl_async_signals(true)). A handler may throw: the method returns at once
 * and the exception goes on unchanged.
 *
 * php.ini: amqp1.timeout (30; the default of the option "timeout"),
 * amqp1.shutdown_timeout (2; how long the end of the process may wait for the
 * broker; php.ini only), amqp1.config (path of a configuration file).
 */

namespace Amqp1 {
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
         * - heartbeat: the idle time-out announced to the broker, at least 1; 60.
         * - container_id: prefix of the AMQP container-id; "amqp1-php".
         * - exchange: publish to this exchange instead of directly to the queue (RabbitMQ).
         * - exchange_type: its type for setup(), and "x-delayed-message"; "direct".
         * - routing_key: for the exchange; the queue's name by default.
         * - declare: declare what is missing before the first use, where the broker can; true.
         * - queue_type: "quorum" or "classic", for declaring; "quorum".
         * - arguments: queue arguments for declaring, besides the type.
         * - durable: jobs survive a broker restart unless they say otherwise; true.
         * - exclusive: declare the queue for this connection alone; false.
         * - prefetch: jobs in flight to one consumer, 1 to 65535; 10.
         * - priority: of jobs that name none, 0 to 255; AMQP's 4.
         * - delay, ttl: of jobs that name none.
         * - format: "roadrunner".
         * - tls: cert and key (PEM files, together), root_ca (PEM file), insecure_skip_verify.
         *
         * @param string $dsn amqp://user:password@host:5672/vhost, amqps://…, a Service Bus
         *     connection string (Endpoint=sb://…), or embedded://. Options may stand in its
         *     query (?prefetch=20); those in $options go first. Left out of traces.
         * @param string|null $queue The queue's name; "default" when it is left out.
         * @param array{
         *     name?: non-empty-string|null,
         *     timeout?: int|float|null,
         *     redial_timeout?: int|float|null,
         *     heartbeat?: int|float|null,
         *     container_id?: non-empty-string|null,
         *     exchange?: string|null,
         *     exchange_type?: non-empty-string|null,
         *     routing_key?: string|null,
         *     declare?: bool|null,
         *     queue_type?: 'quorum'|'classic'|null,
         *     arguments?: array<string, mixed>|null,
         *     durable?: bool|null,
         *     exclusive?: bool|null,
         *     prefetch?: int<1, 65535>|null,
         *     priority?: int<0, 255>|null,
         *     delay?: int|float|null,
         *     ttl?: int|float|null,
         *     format?: 'roadrunner'|null,
         *     tls?: array{cert?: string|null, key?: string|null, root_ca?: string|null, insecure_skip_verify?: bool|null}|null,
         * } $options Left out of traces.
         *
         * @throws Exception\ConfigException a wrong DSN or option, a TLS file that cannot be used; an unknown option names the nearest known one
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
         * - trace_id: carried as correlation-id.
         * - group: carried as group-id, the session on Service Bus.
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
         * @throws Exception\ConfigException a wrong name, option or header; nothing was sent
         * @throws Exception\SerializationException the payload has no JSON; nothing was sent
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
         * Declares what the configuration names, and reports what exists with other
         * settings, where the broker can (RabbitMQ 4 management).
         *
         * @throws Exception\ConfigException what exists differs
         * @throws Exception\ConnectionException
         * @throws Exception\AuthenticationException
         * @throws Exception\TimeoutException
         * @throws Exception\UnsupportedException the broker cannot declare
         */
        public function setup(): void
        {
        }

        /**
         * Removes the jobs that are ready.
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
         *     consumers: int<0, max>,
         *     broker: Broker,
         * } active is ready + delayed + reserved; reserved is delivered and
         *     not settled; null where the broker does not tell
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

    /**
     * One walk over a consumer's jobs. It holds the current task only.
     *
     * @implements \Iterator<int, Task>
     */
    final class TaskIterator implements \Iterator
    {
        private function __construct()
        {
        }

        /**
         * The current task; null before rewind() and after the last one.
         */
        public function current(): ?Task
        {
        }

        /**
         * How many tasks came before the current one.
         *
         * @return int<0, max>
         */
        public function key(): int
        {
        }

        /**
         * Lets go of the current task and waits for the next.
         *
         * @throws Exception\ExceptionInterface as Consumer::waitTask()
         */
        public function next(): void
        {
        }

        /**
         * Waits for the first task. A walk that has a current task stays there.
         *
         * @throws Exception\ExceptionInterface as Consumer::waitTask()
         */
        public function rewind(): void
        {
        }

        /**
         * Whether there is a current task.
         */
        public function valid(): bool
        {
        }
    }

    /**
     * Takes jobs from one or more queues, served fairly. Attaches on first use.
     *
     * `foreach ($consumer as $task)` is `while ($task = $consumer->waitTask())`.
     *
     * @implements \IteratorAggregate<int, Task>
     */
    final class Consumer implements \IteratorAggregate
    {
        /**
         * Options (null leaves the default):
         * - prefetch: jobs in flight for each queue, 1 to 65535; the queue's.
         * - timeout: how long waitTask() without an argument waits; for ever.
         * - priority: consumer priority, higher is served first (RabbitMQ, embedded).
         * - auto_ack: settle each job when it is handed out; false.
         * - session: the session to take (Service Bus).
         *
         * @param AmqpQueue|list<AmqpQueue>|null $queues
         * @param array{
         *     prefetch?: int<1, 65535>|null,
         *     timeout?: int|float|null,
         *     priority?: int|null,
         *     auto_ack?: bool|null,
         *     session?: string|null,
         * } $options
         *
         * @throws Exception\ConfigException no queues, or a wrong option
         */
        public function __construct(AmqpQueue|array|null $queues = null, array $options = [])
        {
        }

        /**
         * The next job.
         *
         * @param int|float|null $timeout Seconds; 0 takes what is there. null: the consumer's
         *     option "timeout", or for ever.
         *
         * @return Task|null null when the timeout passed, or after stop()
         *
         * @throws Exception\ConfigException a negative timeout
         * @throws Exception\ConnectionException the connection was lost and could not be restored in time
         * @throws Exception\AuthenticationException
         * @throws Exception\QueueNotFoundException
         * @throws Exception\UnsupportedException
         */
        public function waitTask(?float $timeout = null): ?Task
        {
        }

        /**
         * Up to so many jobs: waits for the first, takes what is there of the others.
         *
         * @param int<1, max> $max
         * @param int|float|null $timeout As for waitTask().
         *
         * @return list<Task> empty when the timeout passed, or after stop()
         *
         * @throws Exception\ConfigException a maximum below 1, a negative timeout
         * @throws Exception\ConnectionException
         * @throws Exception\AuthenticationException
         * @throws Exception\QueueNotFoundException
         * @throws Exception\UnsupportedException
         */
        public function waitTasks(int $max, ?float $timeout = null): array
        {
        }

        /**
         * The jobs, as waitTask() without an argument gives them, until it gives null.
         */
        public function getIterator(): TaskIterator
        {
        }

        /**
         * Asks for no more jobs; what is buffered and was not handed out goes back to
         * the broker at once. waitTask() waits on.
         *
         * @throws Exception\ConnectionException
         */
        public function pause(): void
        {
        }

        /**
         * Asks for jobs again.
         *
         * @throws Exception\ConnectionException
         */
        public function resume(): void
        {
        }

        /**
         * Between pause() and resume().
         */
        public function isPaused(): bool
        {
        }

        /**
         * Ends the wait under way and those to come: waitTask() gives null. What is
         * buffered goes back to the broker. Made for signal handlers.
         */
        public function stop(): void
        {
        }

        /**
         * Completes what was settled, gives back what is buffered or in hand unsettled, and detaches.
         *
         * @throws Exception\ConnectionException
         * @throws Exception\TimeoutException
         */
        public function close(): void
        {
        }
    }

    /**
     * One job in a worker's hands. Made by a Consumer; cannot be cloned or serialized.
     *
     * It is settled once, by ack(), nack(), release() or deadLetter(): calls after
     * the first do nothing. One that is never settled is delivered again when its
     * consumer closes.
     */
    final class Task
    {
        private function __construct()
        {
        }

        /**
         * The job's id.
         */
        public function getId(): string
        {
        }

        /**
         * The job's name.
         */
        public function getName(): string
        {
        }

        /**
         * What the producer gave as payload.
         *
         * @return mixed a string as it was; what travelled as JSON decoded, objects as
         *     associative arrays
         *
         * @throws Exception\SerializationException the body says it is JSON and is not
         */
        public function getPayload(): mixed
        {
        }

        /**
         * The body as it travelled, any bytes.
         */
        public function getBody(): string
        {
        }

        /**
         * All headers.
         *
         * @return array<string, non-empty-list<string>>
         */
        public function getHeaders(): array
        {
        }

        /**
         * @param string $name In any case.
         */
        public function hasHeader(string $name): bool
        {
        }

        /**
         * @param string $name In any case.
         *
         * @return list<string> empty when there is none of that name
         */
        public function getHeader(string $name): array
        {
        }

        /**
         * @param string $name In any case.
         *
         * @return string the values joined by ", "; empty when there is none of that name
         */
        public function getHeaderLine(string $name): string
        {
        }

        /**
         * Name of the AmqpQueue (the pipeline) it was taken from.
         */
        public function getQueue(): string
        {
        }

        /**
         * The pipeline its producer named.
         */
        public function getPipeline(): string
        {
        }

        /**
         * The broker's address.
         */
        public function getSource(): string
        {
        }

        /**
         * Which delivery this is.
         *
         * @return int<1, max> 1 for the first
         */
        public function getAttempts(): int
        {
        }

        /**
         * The priority its producer asked for.
         */
        public function getPriority(): int
        {
        }

        /**
         * The delay its producer asked for, in seconds.
         *
         * @return int|float an int when it is whole
         */
        public function getDelay(): int|float
        {
        }

        /**
         * The trace id, when its producer gave one.
         */
        public function getTraceId(): ?string
        {
        }

        /**
         * Whether it was settled, in any way.
         */
        public function isCompleted(): bool
        {
        }

        /**
         * The job is done.
         *
         * @throws Exception\TaskLostException the delivery died with its connection or lock:
         *     the job will be delivered again
         * @throws Exception\TimeoutException
         */
        public function ack(): void
        {
        }

        /**
         * The job failed.
         *
         * @param string|\Stringable|\Throwable|null $error Why. Of an exception, its message
         *     and class are recorded.
         * @param bool|null $requeue true: try again; false: to the failed queue; null: by the
         *     pipeline's policy (max_attempts, backoff).
         *
         * @throws Exception\ConnectionException
         * @throws Exception\TimeoutException
         * @throws Exception\RejectedException
         */
        public function nack(\Stringable|\Throwable|string|null $error = null, ?bool $requeue = null): void
        {
        }

        /**
         * The job goes back to its queue.
         *
         * @param int|float $delay Not to be delivered again sooner than in so many seconds.
         * @param array<non-empty-string, scalar|\Stringable|non-empty-list<scalar|\Stringable>> $headers
         *     Added to its headers, replacing those of the same name.
         *
         * @throws Exception\ConfigException a negative delay, a wrong header
         * @throws Exception\ConnectionException
         * @throws Exception\TimeoutException
         * @throws Exception\RejectedException
         * @throws Exception\UnsupportedException the broker cannot delay
         */
        public function release(int|float $delay = 0, array $headers = []): void
        {
        }

        /**
         * The job goes to the failed queue (or the broker's own dead-letter queue),
         * whatever the policy says.
         *
         * @param string|\Throwable $reason Of an exception, its class is the reason, and its
         *     message and class are recorded.
         * @param string|null $description For the person who looks at it there.
         *
         * @throws Exception\ConnectionException
         * @throws Exception\TimeoutException
         * @throws Exception\RejectedException
         * @throws Exception\UnsupportedException
         */
        public function deadLetter(\Throwable|string $reason, ?string $description = null): void
        {
        }
    }
}

namespace Amqp1\Exception {
    /**
     * Marks every exception of this extension.
     */
    interface ExceptionInterface extends \Throwable
    {
    }

    /**
     * A wrong option, DSN or configuration; found before anything is sent.
     */
    class ConfigException extends \InvalidArgumentException implements ExceptionInterface
    {
    }

    /**
     * The broker cannot be reached, or the connection was lost.
     */
    class ConnectionException extends \RuntimeException implements ExceptionInterface
    {
    }

    /**
     * The broker refused the credentials or the access.
     */
    class AuthenticationException extends \RuntimeException implements ExceptionInterface
    {
    }

    /**
     * The deadline passed; the outcome is unknown.
     */
    class TimeoutException extends \RuntimeException implements ExceptionInterface
    {
    }

    /**
     * The broker refused the job: rejected, queue full, too large.
     */
    class RejectedException extends \RuntimeException implements ExceptionInterface
    {
    }

    /**
     * No queue is bound for the routing key.
     */
    class UnroutableException extends \RuntimeException implements ExceptionInterface
    {
    }

    /**
     * The queue or exchange does not exist.
     */
    class QueueNotFoundException extends \RuntimeException implements ExceptionInterface
    {
    }

    /**
     * The delivery died with its connection or lock; the job will be delivered again.
     */
    class TaskLostException extends \RuntimeException implements ExceptionInterface
    {
    }

    /**
     * The broker cannot do what was asked for.
     */
    class UnsupportedException extends \RuntimeException implements ExceptionInterface
    {
    }

    /**
     * A payload that cannot be written as JSON, or a body that cannot be read.
     */
    class SerializationException extends \RuntimeException implements ExceptionInterface
    {
    }

    /**
     * Some jobs of a pushMany() were not confirmed. The message has the first reasons.
     */
    class BatchException extends \RuntimeException implements ExceptionInterface
    {
        /**
         * Why each job failed, by its index in the order given.
         *
         * @return array<int<0, max>, ExceptionInterface> each of its own type
         */
        public function getFailures(): array
        {
        }

        /**
         * The ids of the jobs that the broker has taken, by index. They must not be sent again.
         *
         * @return array<int<0, max>, non-empty-string>
         */
        public function getConfirmedIds(): array
        {
        }
    }
}
