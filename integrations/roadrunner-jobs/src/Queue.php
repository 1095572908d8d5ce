<?php

declare(strict_types=1);

namespace Amqp1\RoadRunner;

use Amqp1\AmqpQueue;
use Spiral\RoadRunner\Jobs\Exception\JobsException;
use Spiral\RoadRunner\Jobs\KafkaOptionsInterface;
use Spiral\RoadRunner\Jobs\Options;
use Spiral\RoadRunner\Jobs\OptionsAwareInterface;
use Spiral\RoadRunner\Jobs\OptionsInterface;
use Spiral\RoadRunner\Jobs\QueueInterface;
use Spiral\RoadRunner\Jobs\Task\PreparedTask;
use Spiral\RoadRunner\Jobs\Task\PreparedTaskInterface;
use Spiral\RoadRunner\Jobs\Task\ProvidesHeadersInterface;
use Spiral\RoadRunner\Jobs\Task\QueuedTask;
use Spiral\RoadRunner\Jobs\Task\QueuedTaskInterface;

/** A queue, in place of Spiral\RoadRunner\Jobs\Queue. Its tasks are confirmed by the broker when dispatch() returns. */
final class Queue implements QueueInterface
{
    public readonly string $name;

    private OptionsInterface $options;

    public function __construct(private readonly AmqpQueue $queue, ?OptionsInterface $options = null)
    {
        $this->name = $queue->getName();
        $this->options = $options ?? new Options();
    }

    public function __clone()
    {
        $this->options = clone $this->options;
    }

    public function getName(): string
    {
        return $this->name;
    }

    public function getDefaultOptions(): OptionsInterface
    {
        return $this->options;
    }

    public function withDefaultOptions(?OptionsInterface $options = null): self
    {
        $self = clone $this;
        $self->options = $options ?? new Options();

        return $self;
    }

    public function create(string $name, string|\Stringable $payload, ?OptionsInterface $options = null): PreparedTaskInterface
    {
        // A method of the SDK's Options that its interface does not have.
        if (method_exists($this->options, 'mergeOptional')) {
            $options = $this->options->mergeOptional($options);
        }
        $options ??= $this->options;

        return new PreparedTask($name, $payload, $options, $options instanceof ProvidesHeadersInterface ? $options->getHeaders() : []);
    }

    /** @throws JobsException */
    public function push(string $name, string|\Stringable $payload, ?OptionsInterface $options = null): QueuedTaskInterface
    {
        return $this->dispatch($this->create($name, $payload, $options));
    }

    public function dispatch(PreparedTaskInterface $task): QueuedTaskInterface
    {
        $id = Failure::rethrown(fn () => $this->queue->push($task->getName(), $task->getPayload(), self::optionsOf($task)));

        return $this->queued($id, $task);
    }

    /**
     * @return list<QueuedTaskInterface>
     *
     * @throws JobsException some tasks were not confirmed. Its previous exception, a BatchException, says which, and has the
     *     ids of the others.
     */
    public function dispatchMany(PreparedTaskInterface ...$tasks): iterable
    {
        $tasks = array_values($tasks);
        $jobs = array_map(
            static fn (PreparedTaskInterface $task) => ['name' => $task->getName(), 'payload' => $task->getPayload(), 'options' => self::optionsOf($task)],
            $tasks,
        );

        return array_map($this->queued(...), Failure::rethrown(fn () => $this->queue->pushMany($jobs)), $tasks);
    }

    /** Pauses the queue for the consumers of its Jobs object, in this process. */
    public function pause(): void
    {
        $this->queue->pause();
    }

    public function resume(): void
    {
        $this->queue->resume();
    }

    public function isPaused(): bool
    {
        return $this->queue->isPaused();
    }

    /** The extension's queue, for everything that the SDK has no method for: count(), stats(), failed(), … */
    public function getAmqpQueue(): AmqpQueue
    {
        return $this->queue;
    }

    private function queued(string $id, PreparedTaskInterface $task): QueuedTask
    {
        return new QueuedTask($id, $this->name, $task->getName(), $task->getPayload(), $task->getHeaders());
    }

    /**
     * @return array<string, mixed>
     *
     * @throws JobsException options of another broker
     */
    private static function optionsOf(PreparedTaskInterface $task): array
    {
        $options = $task instanceof OptionsAwareInterface ? $task->getOptions() : $task;
        if ($options instanceof KafkaOptionsInterface) {
            throw new JobsException("Task '{$task->getName()}' has options of Kafka: use " . Options::class);
        }

        return [
            'delay' => $task->getDelay() ?: null,
            'priority' => Priority::of($task->getPriority()),
            'auto_ack' => $task->getAutoAck() ?: null,
            'headers' => array_filter($task->getHeaders()),
        ];
    }
}
