<?php

// Amqp1\Consumer and its iterator: see amqp1.stub.php.

namespace Amqp1;

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
     * - consumer_timeout: how long this consumer may hold a job before RabbitMQ takes it back, in
     *   place of the queue's; quorum queues from RabbitMQ 4.3 on, UnsupportedException elsewhere.
     * - auto_ack: settle each job when it is handed out; false.
     * - session: the session to take (Service Bus): its id, or true for the next free one
     *   that has jobs. When that has had none for a second, and none of them is in hand, it is
     *   let go for the next. A session that another consumer has is waited for. The session's
     *   lock is renewed as long as waitTask() is called at least every max_lock_renewal seconds.
     * - max_attempts, backoff, failed_queue, requeue_on_fail: as those of AmqpQueue, for the
     *   jobs of this consumer; each queue's own.
     *
     * @param AmqpQueue|list<AmqpQueue>|Jobs|null $queues A Jobs: the pipelines that its
     *     jobs.consume names, all of them where it has no such key. null: those of new Jobs().
     * @param array{
     *     prefetch?: int<1, 65535>|null,
     *     timeout?: int|float|null,
     *     priority?: int|null,
     *     consumer_timeout?: int|float|null,
     *     auto_ack?: bool|null,
     *     session?: non-empty-string|bool|null,
     *     max_attempts?: int<0, 1000000>|null,
     *     backoff?: int|float|list<int|float>|'exponential'|null,
     *     failed_queue?: non-empty-string|null,
     *     requeue_on_fail?: bool|null,
     * } $options
     *
     * @throws Exception\ConfigException no queues, or a wrong option; what new Jobs() and
     *     Jobs::create() throw
     * @throws \Error when it is called again on an object that has been made
     */
    public function __construct(AmqpQueue|Jobs|array|null $queues = null, array $options = [])
    {
    }

    /**
     * The next job.
     *
     * With a timeout of 0 it takes what is there: unless a job has arrived already, it asks
     * the broker, for all queues at once, and gives null when that has said that it has none.
     * That costs one round trip; where the answer may come too early (ActiveMQ, Artemis,
     * brokers unknown) 50 ms more. RabbitMQ 3 cannot be asked: it takes up to 50 ms of silence,
     * half a second after attaching. A broker that does not answer within the queue's option
     * "timeout", 5 seconds at most, is a TimeoutException, not an empty queue.
     *
     * @param int|float|null $timeout Seconds; 0 takes what is there. null: the consumer's
     *     option "timeout", or for ever.
     *
     * @return Task|null null when the timeout passed, or after stop()
     *
     * @throws Exception\ConfigException a negative timeout
     * @throws Exception\TimeoutException the broker did not answer an attach in time, or, with
     *     a timeout of 0, whether there is a job
     * @throws Exception\ConnectionException the connection was lost and could not be restored in time, or was lost
     *     again and again: with the broker's reason
     * @throws Exception\AuthenticationException
     * @throws Exception\QueueNotFoundException
     * @throws Exception\RejectedException the broker refused the consumer
     * @throws Exception\UnsupportedException
     */
    public function waitTask(?float $timeout = null): ?Task
    {
    }

    /**
     * Up to so many jobs: waits for the first, takes what has arrived of the others. With a
     * timeout of 0 it takes all that is there, as waitTask() does, as far as the prefetch goes.
     *
     * @param int<1, max> $max
     * @param int|float|null $timeout As for waitTask().
     *
     * @return list<Task> empty when the timeout passed, or after stop()
     *
     * @throws Exception\ConfigException a maximum below 1, a negative timeout
     * @throws Exception\TimeoutException As for waitTask().
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
     * Has $listener called, without arguments, when jobs in hand may have been lost: their connection or Service Bus'
     * lock is gone, or the broker has taken them back. It is called between two statements of whatever PHP runs then, as
     * the handler of a signal is (and, as that, not before a call into a C library returns): ask each Task::isLost().
     * What it throws is thrown there. null takes it away. A listener that holds the consumer itself (`use ($consumer)`)
     * keeps it, and the jobs that it has buffered, until onLost(null) or the request's end.
     */
    public function onLost(?callable $listener = null): void
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
     * The session that the consumer has now (Service Bus).
     *
     * @return string|null null before the first job, and between two sessions
     */
    public function getSession(): ?string
    {
    }

    /**
     * What was kept with the session by setSessionState(), now or by an earlier consumer.
     *
     * @return string|null any bytes; null when nothing is kept
     *
     * @throws Exception\TaskLostException the consumer has no session (any more)
     * @throws Exception\ConfigException the consumer has several queues
     * @throws Exception\ConnectionException
     * @throws Exception\TimeoutException
     */
    public function getSessionState(): ?string
    {
    }

    /**
     * Keeps something with the session, for whoever takes it next.
     *
     * @param string|null $state Any bytes; null for nothing.
     *
     * @throws Exception\TaskLostException the consumer has no session (any more)
     * @throws Exception\ConfigException the consumer has several queues
     * @throws Exception\ConnectionException
     * @throws Exception\TimeoutException
     */
    public function setSessionState(?string $state = null): void
    {
    }

    /**
     * Completes what was settled, gives back what is buffered or in hand unsettled, and detaches. A `waitTask()`
     * that a signal handler closes it under returns null; a later one attaches again, unless it was stopped.
     *
     * @throws Exception\ConnectionException
     * @throws Exception\TimeoutException
     */
    public function close(): void
    {
    }
}
