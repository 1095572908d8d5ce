<?php

declare(strict_types=1);

namespace Amqp1\RoadRunner;

use Amqp1\Task;
use Spiral\RoadRunner\Jobs\Queue\Driver;
use Spiral\RoadRunner\Jobs\Task\QueuedTask;
use Spiral\RoadRunner\Jobs\Task\ReceivedTaskInterface;
use Spiral\RoadRunner\Jobs\Task\WritableHeadersTrait;

/**
 * A task that a worker has taken. Its clones (withHeader(), withDelay()) are the same delivery: it is settled once.
 *
 * What RoadRunner's server would drop (a task that failed for good) goes to the queue's failed queue, with the error.
 */
final class ReceivedTask extends QueuedTask implements ReceivedTaskInterface
{
    use WritableHeadersTrait;

    private int $delay = 0;

    public function __construct(private readonly Task $task)
    {
        parent::__construct($task->getId(), $task->getPipeline(), $task->getName(), $task->getBody(), $task->getHeaders());
    }

    /** @internal */
    public static function of(Task $task): self
    {
        return new self($task);
    }

    public function ack(): void
    {
        Failure::rethrown($this->task->ack(...));
    }

    /** @deprecated by the SDK: use ack() */
    public function complete(): void
    {
        $this->ack();
    }

    /**
     * The task failed. With $redelivery, it is delivered again, after withDelay(); without, it goes to the failed queue.
     */
    public function nack(string|\Stringable|\Throwable $message, bool $redelivery = false): void
    {
        if ($redelivery) {
            $this->release($message, []);
        } else {
            Failure::rethrown(fn () => $this->task->nack($message, false));
        }
    }

    /** The task is delivered again, after withDelay() and with the headers of withHeader(). */
    public function requeue(string|\Stringable|\Throwable $message): void
    {
        $own = $this->task->getHeaders();
        $changed = static fn (array $values, string $name) => $values !== [] && $values !== ($own[$name] ?? []);
        $this->release($message, array_filter($this->headers, $changed, ARRAY_FILTER_USE_BOTH));
    }

    /** @deprecated by the SDK: use nack() or requeue() */
    public function fail(string|\Stringable|\Throwable $error, bool $requeue = false): void
    {
        $requeue ? $this->requeue($error) : $this->nack($error);
    }

    public function isCompleted(): bool
    {
        return $this->task->isCompleted();
    }

    public function isSuccessful(): bool
    {
        return $this->task->getOutcome() === 'acked';
    }

    public function isFails(): bool
    {
        return $this->isCompleted() && !$this->isSuccessful();
    }

    /** The queue's name at the broker. */
    public function getQueue(): string
    {
        $source = $this->task->getSource();
        foreach (['/queues/', '/amq/queue/'] as $prefix) { // RabbitMQ 4 and 3
            if (str_starts_with($source, $prefix)) {
                return rawurldecode(substr($source, strlen($prefix)));
            }
        }

        return $source;
    }

    public function getDriver(): Driver
    {
        return Driver::AMQP;
    }

    public function withDelay(int $seconds): self
    {
        assert($seconds >= 0, 'Precondition [seconds >= 0] failed');
        $self = clone $this;
        $self->delay = $seconds;

        return $self;
    }

    /** The extension's task, for everything that the SDK has no method for: getAttempts(), renew(), … */
    public function getAmqpTask(): Task
    {
        return $this->task;
    }

    /** @param array<string, list<string>> $headers */
    private function release(string|\Stringable|\Throwable $message, array $headers): void
    {
        $reason = $message instanceof \Throwable ? $message->getMessage() : (string) $message;
        Failure::rethrown(fn () => $this->task->release($this->delay, $headers, $reason));
    }
}
