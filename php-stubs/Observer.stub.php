<?php

// Amqp1\Observer and what it is given: see amqp1.stub.php.

namespace Amqp1;

/**
 * Is told what the extension does, for traces, metrics and logs. See docs/observability.md.
 *
 * Set it for the process with setObserver(), or for a queue with its option 'observer'. If a
 * queue has both, the process's is called first.
 *
 * The methods run on PHP's thread, in the middle of the calls that they are about: keep them
 * fast. If one throws, a warning is raised and nothing else happens: the job is delivered
 * all the same. exit() ends the script. What an observer does itself (its own pushes) is not
 * observed.
 *
 * Extend NullObserver rather than implement this interface: later versions may add methods.
 */
interface Observer
{
    /**
     * A job is about to be sent. Headers can be added.
     *
     * Called for each job of push(), pushMany() and schedule(), and for each copy that the
     * extension sends: for a retry, to the failed queue, and back from it.
     */
    public function beforePush(Observation\Push $push): void;

    /**
     * The outcome of a job that beforePush() was told of. The same object.
     *
     * Jobs of pushMany() are reported in their order, while the next ones are sent.
     */
    public function afterPush(Observation\Push $push): void;

    /**
     * A worker received a job. Called before the method that received it returns.
     */
    public function received(Observation\Job $job): void;

    /**
     * A worker settled a job, or found it lost. Called before the settling method returns or
     * throws; not for jobs that are settled on receipt (auto_ack).
     */
    public function settled(Observation\Job $job): void;

    /**
     * A connection was opened, lost, and so on.
     *
     * Such events happen at any time. They are reported between two statements or during a wait, as
     * signals are; after an exception, at the next call. At most 1000 wait; the oldest are dropped
     * first. A queue's own observer is told of the events of all connections to its endpoint.
     */
    public function connection(Observation\Connection $event): void;
}

/**
 * An observer that does nothing, to extend.
 */
class NullObserver implements Observer
{
    /** Does nothing. */
    public function beforePush(Observation\Push $push): void
    {
    }

    /** Does nothing. */
    public function afterPush(Observation\Push $push): void
    {
    }

    /** Does nothing. */
    public function received(Observation\Job $job): void
    {
    }

    /** Does nothing. */
    public function settled(Observation\Job $job): void
    {
    }

    /** Does nothing. */
    public function connection(Observation\Connection $event): void
    {
    }
}

/**
 * Sets the observer of all queues in this process, until the end of the request.
 *
 * @return Observer|null the one before. To have several, pass one that calls the others.
 */
function setObserver(?Observer $observer = null): ?Observer
{
}

/**
 * Sets the logger of this process, until the end of the request. A queue's option 'logger' takes
 * precedence for connections to its endpoint.
 *
 * Logged are events of connections (see Observation\Connection) and what observers throw, with
 * these values in the context: event, endpoint, host, role, container_id, queue, attempt, seconds,
 * count, error, error_kind. What a logger throws is dropped. Without a logger, see amqp1.log.
 *
 * @param \Psr\Log\LoggerInterface|object|null $logger an object with the method log($level, $message, $context)
 *
 * @return \Psr\Log\LoggerInterface|object|null the one before
 *
 * @throws Exception\ConfigException the object has no method log()
 */
function setLogger(?object $logger = null): ?object
{
}

/**
 * The logger of this process.
 *
 * @return \Psr\Log\LoggerInterface|object|null
 */
function getLogger(): ?object
{
}

namespace Amqp1\Observation;

use Amqp1\Task;

/**
 * A job that is sent.
 */
final class Push
{
    private function __construct()
    {
    }

    /**
     * Why the job is sent.
     *
     * @return 'push'|'push_many'|'schedule'|'request'|'reply'|'retry'|'release'|'dead_letter'|'replay'|'renew' the
     *     method that the application called: push(), pushMany(), schedule(), request() or
     *     requestAsync(), Task::reply(); or why the extension
     *     sends a copy: a failed job is tried again, release(), to the failed queue,
     *     retryFailed(), and (RabbitMQ) before the broker's delivery limit is reached
     */
    public function getOperation(): string
    {
    }

    /**
     * The name of the AmqpQueue (the pipeline).
     */
    public function getQueue(): string
    {
    }

    /**
     * The broker's address without secrets, for example "amqp://guest@localhost:5672".
     */
    public function getEndpoint(): string
    {
    }

    /**
     * The kind of broker, as in AmqpQueue::getBroker(). Before the first connection, what the DSN
     * says: "servicebus" or "generic".
     */
    public function getBroker(): string
    {
    }

    /**
     * The broker's name of the queue or exchange that the job is sent to.
     */
    public function getDestination(): string
    {
    }

    /**
     * The routing key, if the job is sent to an exchange.
     */
    public function getRoutingKey(): ?string
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
     * The job's index among those of pushMany(), from 0; otherwise null.
     */
    public function getIndex(): ?int
    {
    }

    /**
     * Whether it is the last job of its pushMany(). False in beforePush(), and for all others.
     */
    public function isLast(): bool
    {
    }

    /**
     * The correlation id (trace_id) that push() or pushMany() was given; null if none, and for copies.
     */
    public function getCorrelationId(): ?string
    {
    }

    /**
     * The size of the payload in bytes.
     */
    public function getSize(): int
    {
    }

    /**
     * The job's headers, including those that observers have added. A copy has its original's.
     *
     * @return array<string, list<string>>
     */
    public function getHeaders(): array
    {
    }

    /**
     * Adds a header, in beforePush().
     *
     * @return bool false if the job has a header of this name (case-insensitive), or was sent
     */
    public function addHeader(string $name, string $value): bool
    {
    }

    /**
     * The outcome; null in beforePush().
     *
     * @return 'confirmed'|'config'|'connection'|'authentication'|'timeout'|'rejected'|'unroutable'|'queue-not-found'|'unsupported'|'serialization'|'interrupted'|null
     *     "timeout" and "interrupted": it is unknown whether the broker has the job
     */
    public function getOutcome(): ?string
    {
    }

    /**
     * Why the job was not confirmed: an exception like the one that the method throws.
     */
    public function getError(): ?\Throwable
    {
    }

    /**
     * Seconds from beforePush() to the outcome; null in beforePush().
     */
    public function getSeconds(): ?float
    {
    }
}

/**
 * A job that a worker received or settled.
 */
final class Job
{
    private function __construct()
    {
    }

    /**
     * The job. The same object that the worker has.
     */
    public function getTask(): Task
    {
    }

    /**
     * The broker's address without secrets, for example "amqp://guest@localhost:5672".
     */
    public function getEndpoint(): string
    {
    }

    /**
     * The kind of broker, as in AmqpQueue::getBroker().
     */
    public function getBroker(): string
    {
    }

    /**
     * The broker's name of the queue.
     */
    public function getDestination(): string
    {
    }

    /**
     * Seconds that the call waited for the job; null in settled().
     */
    public function getWaited(): ?float
    {
    }

    /**
     * Seconds since the worker received it; null in received().
     */
    public function getHeld(): ?float
    {
    }

    /**
     * Seconds that settling it took, copies included; null in received().
     */
    public function getSeconds(): ?float
    {
    }

    /**
     * The outcome; null in received().
     *
     * @return string|null as Task::getOutcome(), or 'lost': the job could not be settled and will
     *     be delivered again
     */
    public function getOutcome(): ?string
    {
    }

    /**
     * Why the job is lost, or why settling it failed.
     */
    public function getError(): ?\Throwable
    {
    }
}

/**
 * An event of a connection.
 */
final class Connection
{
    private function __construct()
    {
    }

    /**
     * What has happened.
     *
     * @return 'dialling'|'connected'|'connect_failed'|'lost'|'blocked'|'unblocked'|'link_refused'|'link_lost'|'token_renewed'|'token_refused'|'lock_renewed'|'lock_lost'|'taken_back'
     *     dialling: an attempt to connect begins. connected. connect_failed: the client has given
     *     up. lost: the connection broke, or the broker closed it. blocked: a push waits because the
     *     broker accepts no jobs. unblocked. link_refused: a queue could not be attached.
     *     link_lost: the broker ended the link to a queue. token_renewed, token_refused: (Service
     *     Bus). lock_renewed, lock_lost: of a job or session (Service Bus). taken_back: the
     *     broker took jobs back that a worker holds, because it took too long.
     */
    public function getEvent(): string
    {
    }

    /**
     * When it happened: Unix time in seconds.
     */
    public function getTime(): float
    {
    }

    /**
     * The broker's address without secrets, for example "amqp://guest@localhost:5672".
     */
    public function getEndpoint(): string
    {
    }

    /**
     * The connected host, if the address has several.
     */
    public function getHost(): ?string
    {
    }

    /**
     * What the connection is for.
     *
     * @return 'push'|'consume'|null
     */
    public function getRole(): ?string
    {
    }

    /**
     * The broker's name of the queue, if the event is about one.
     */
    public function getDestination(): ?string
    {
    }

    /**
     * The number of the attempt to connect, from 1.
     */
    public function getAttempt(): ?int
    {
    }

    /**
     * Connected: seconds since the loss was noticed; null for a first connection. Unblocked: how
     * long the push was blocked.
     */
    public function getSeconds(): ?float
    {
    }

    /**
     * The number of jobs that were taken back.
     */
    public function getCount(): ?int
    {
    }

    /**
     * Why it happened. Dialling: why the last attempt failed.
     */
    public function getError(): ?\Throwable
    {
    }
}
