<?php

// Amqp1\Consumer and its iterator: see amqp1.stub.php.

namespace Amqp1;

/**
 * An iteration over a consumer's jobs. It holds only the current task.
 *
 * @implements \Iterator<int, Task>
 */
final class TaskIterator implements \Iterator
{
    private function __construct()
    {
    }

    /**
     * The current task; null before rewind() and after the last task.
     */
    public function current(): ?Task
    {
    }

    /**
     * The number of tasks before the current one.
     *
     * @return int<0, max>
     */
    public function key(): int
    {
    }

    /**
     * Releases the current task and waits for the next one.
     *
     * @throws Exception\ExceptionInterface as Consumer::waitTask()
     */
    public function next(): void
    {
    }

    /**
     * Waits for the first task. If there is a current task, it stays there.
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
 * Takes jobs from one or more queues, and serves them fairly. It attaches on first use.
 *
 * `foreach ($consumer as $task)` does the same as `while ($task = $consumer->waitTask())`.
 *
 * @implements \IteratorAggregate<int, Task>
 */
final class Consumer implements ConsumerInterface
{
    /**
     * Options (null keeps the default):
     * - prefetch: how many unsettled jobs to hold for each queue, 1 to 65535. Default: the queue's; if
     *   it has none, as many as last for 100 ms, at most 500 for all queues together (adaptive).
     * - timeout: how long waitTask() without an argument waits. Default: no limit.
     * - priority: consumer priority; a higher one is served first (RabbitMQ, Artemis, embedded).
     * - consumer_timeout: how long this consumer may hold a job before RabbitMQ takes it back. Default:
     *   the queue's. For quorum queues from RabbitMQ 4.3 on; UnsupportedException elsewhere.
     * - auto_ack: settle each job when it is handed out. Default: false.
     * - session: the session to take (Service Bus): its id, or true for the next free session
     *   that has jobs. Such a session is released for the next one when it has had no job for a
     *   second and none of its jobs is in hand. A session that another consumer holds is waited
     *   for. The session's lock is renewed as long as waitTask() is called at least every
     *   max_lock_renewal seconds.
     * - max_attempts, backoff, failed_queue, requeue_on_fail: the options of AmqpQueue, for the
     *   jobs of this consumer. Default: those of each queue.
     *
     * @param AmqpQueue|list<AmqpQueue>|Jobs|null $queues For a Jobs object, the pipelines that its
     *     jobs.consume names, or all of them if there is no such key. null: those of new Jobs().
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
     * @throws Exception\ConfigException there are no queues, or an option is wrong; also as new Jobs()
     *     and Jobs::create()
     * @throws \Error if called again on a constructed object
     */
    public function __construct(AmqpQueue|Jobs|array|null $queues = null, array $options = [])
    {
    }

    /**
     * Waits for the next job and returns it.
     *
     * With a timeout of 0, it takes a job that is already there. If none has arrived yet, it asks the
     * broker, for all queues at once, and returns null if the broker has none. This costs one round
     * trip, or two if the first answer may be one to an earlier question (ActiveMQ, Artemis, unknown
     * brokers). RabbitMQ 3 cannot be asked: there, it waits for up to 50 ms of silence, or half a
     * second after attaching. If the broker does not answer within the queue's option "timeout" (at most
     * 5 seconds), it throws a TimeoutException: the queue may not be empty.
     *
     * @param int|float|null $timeout Seconds; 0 takes a job that is already there. null: the
     *     consumer's option "timeout", or no limit.
     *
     * @return Task|null null if the timeout passed, after stop(), or if a signal handler called close()
     *
     * @throws Exception\ConfigException the timeout is negative
     * @throws Exception\TimeoutException the broker did not answer an attach in time or, with a
     *     timeout of 0, did not say whether there is a job
     * @throws Exception\ConnectionException the connection was lost and could not be restored in time, or was lost
     *     again and again; the message has the broker's reason
     * @throws Exception\AuthenticationException
     * @throws Exception\QueueNotFoundException
     * @throws Exception\RejectedException the broker refused the consumer
     * @throws Exception\UnsupportedException
     */
    public function waitTask(?float $timeout = null): ?Task
    {
    }

    /**
     * Returns up to $max jobs: it waits for the first one and takes the others that have arrived. With
     * a timeout of 0, it takes the jobs that are already there, as waitTask() does, up to the prefetch.
     *
     * @param int<1, max> $max
     * @param int|float|null $timeout As for waitTask().
     *
     * @return list<Task> empty if the timeout passed, or after stop()
     *
     * @throws Exception\ConfigException $max is below 1, or the timeout is negative
     * @throws Exception\TimeoutException as waitTask()
     * @throws Exception\ConnectionException
     * @throws Exception\AuthenticationException
     * @throws Exception\QueueNotFoundException
     * @throws Exception\UnsupportedException
     */
    public function waitTasks(int $max, ?float $timeout = null): array
    {
    }

    /**
     * Iterates over the jobs that waitTask() without an argument returns, until it returns null.
     */
    public function getIterator(): TaskIterator
    {
    }

    /**
     * Calls $listener, without arguments, when jobs in hand may have been lost: their connection or Service Bus lock is
     * gone, or the broker has taken them back. Check each job with Task::isLost(). Like a signal handler, the listener is
     * called between two statements of the running PHP code, but not before a call into a C library returns. An exception
     * that it throws is thrown at that point; the listeners of other consumers are called all the same, and what they
     * throw follows as the previous exceptions of the first.
     *
     * @param (callable(): void)|null $listener null removes the listener.
     */
    public function onLost(?callable $listener = null): void
    {
    }

    /**
     * Requests no more jobs. Buffered jobs that were not handed out are returned to the
     * broker at once. waitTask() continues to wait.
     *
     * @throws Exception\ConnectionException
     */
    public function pause(): void
    {
    }

    /**
     * Requests jobs again, after pause().
     *
     * @throws Exception\ConnectionException
     */
    public function resume(): void
    {
    }

    /**
     * Whether the consumer is paused: after pause() and before resume().
     */
    public function isPaused(): bool
    {
    }

    /**
     * Ends the current wait and all later ones: waitTask() returns null. Buffered jobs are
     * returned to the broker. Designed for signal handlers.
     */
    public function stop(): void
    {
    }

    /**
     * Receives jobs that Task::defer() has set aside (Service Bus), as AmqpQueue::receiveDeferred() does. The deferred jobs of a
     * session can be received only here: by the consumer that holds the session. If the option 'session' names one, the
     * consumer takes it for this call unless it already has it.
     *
     * @param int|list<int> $sequenceNumbers From Task::getSequenceNumber(): one number, or several, of the consumer's session.
     *
     * @return list<Task> all of these jobs. Without sessions they have locks of their own; otherwise the session's lock holds
     *     them, and the consumer keeps the session until they are settled or dropped. What is dropped unsettled stays deferred, for
     *     the session's next consumer.
     *
     * @throws Exception\ConfigException a number is negative, or not a number; or the consumer has several queues
     * @throws Exception\RejectedException one of the jobs is not there, not deferred, of another session, or held by another
     *     worker; none was received
     * @throws Exception\TaskLostException the option 'session' is true, and the consumer has no session, or has lost it
     * @throws Exception\TimeoutException another consumer holds the session, or the broker did not answer within the queue's
     *     'timeout'
     * @throws Exception\UnsupportedException the broker is not Service Bus
     * @throws Exception\ConnectionException|Exception\AuthenticationException|Exception\QueueNotFoundException
     */
    public function receiveDeferred(array|int $sequenceNumbers): array
    {
    }

    /**
     * The id of the session that the consumer currently holds (Service Bus).
     *
     * @return string|null null before the first job, and between two sessions
     */
    public function getSession(): ?string
    {
    }

    /**
     * Returns the state stored with the session by setSessionState(), now or by an earlier consumer.
     *
     * @return string|null any bytes; null if there is no state
     *
     * @throws Exception\TaskLostException the consumer has no session, or has lost it
     * @throws Exception\ConfigException the consumer has several queues
     * @throws Exception\ConnectionException
     * @throws Exception\TimeoutException
     */
    public function getSessionState(): ?string
    {
    }

    /**
     * Stores state with the session, for the consumer that takes it next.
     *
     * @param string|null $state Any bytes; null removes the state.
     *
     * @throws Exception\TaskLostException the consumer has no session, or has lost it
     * @throws Exception\ConfigException the consumer has several queues
     * @throws Exception\ConnectionException
     * @throws Exception\TimeoutException
     */
    public function setSessionState(?string $state = null): void
    {
    }

    /**
     * Completes pending settlements, returns all jobs that are buffered or not settled to the broker, and detaches. If a
     * signal handler calls it during waitTask(), that waitTask() returns null. A later waitTask() attaches again, unless
     * stop() was called.
     *
     * Jobs that were handed out and not settled return without counting the attempt: Task::getAttempts() is the same at
     * their next delivery, and settling them now throws a TaskLostException. To count the attempt, call Task::nack() first.
     *
     * @throws Exception\ConnectionException
     * @throws Exception\TimeoutException
     */
    public function close(): void
    {
    }
}
