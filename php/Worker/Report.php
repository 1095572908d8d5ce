<?php

declare(strict_types=1);

namespace Amqp1\Worker;

use Amqp1\Console\Suggestion;
use Amqp1\Exception\ConfigException;
use Amqp1\TaskInterface;
use Amqp1\Worker\Monitoring\Figures;
use Throwable;

/**
 * What a Worker tells of its work: counts, log lines, events.
 *
 * @internal
 */
final class Report
{
    private const CLASSES = [
        Event\WorkerStarted::NAME => Event\WorkerStarted::class,
        Event\WorkerIdle::NAME => Event\WorkerIdle::class,
        Event\BrokerLost::NAME => Event\BrokerLost::class,
        Event\WorkerStopped::NAME => Event\WorkerStopped::class,
        Event\JobStarted::NAME => Event\JobStarted::class,
        Event\JobAcked::NAME => Event\JobAcked::class,
        Event\JobRetried::NAME => Event\JobRetried::class,
        Event\JobDeadLettered::NAME => Event\JobDeadLettered::class,
        Event\JobDropped::NAME => Event\JobDropped::class,
        Event\JobReleased::NAME => Event\JobReleased::class,
        Event\JobLost::NAME => Event\JobLost::class,
    ];

    /** @var array<string, list<callable(Event): mixed>> by the event's name */
    private array $listeners = [];

    /** @var array<string, int> how many jobs had each event */
    private array $counts = [];

    private ?Figures $figures = null;

    public function __construct(private readonly Log $log)
    {
        $this->begin();
    }

    /**
     * @param string $event A name, "*", or a class: then the events of that class and of those that extend it.
     *
     * @throws ConfigException no such event
     */
    public function listen(string $event, callable $listener): void
    {
        $isKnown = false;
        foreach (self::CLASSES as $name => $class) {
            if ($event === '*' || $event === $name || is_a($class, $event, true)) {
                $this->listeners[$name][] = $listener;
                $isKnown = true;
            }
        }
        if (!$isKnown) {
            throw new ConfigException("Unknown worker event \"$event\"" . Suggestion::for($event, Event::ALL));
        }
    }

    /** @throws ConfigException it is no PSR-14 dispatcher */
    public function dispatchTo(object $dispatcher): void
    {
        if (!method_exists($dispatcher, 'dispatch')) {
            throw new ConfigException('The dispatcher (' . get_debug_type($dispatcher) . ') must have a method dispatch()');
        }
        $this->listen('*', $dispatcher->dispatch(...));
    }

    /** Who counts besides, for metrics. */
    public function count(?Figures $figures): void
    {
        $this->figures = $figures;
    }

    /** Counts from nothing. */
    public function begin(): void
    {
        $this->counts = array_fill_keys(Event::ALL, 0);
    }

    public function counted(string $event): int
    {
        return $this->counts[$event];
    }

    public function job(string $event, TaskInterface $task, ?Throwable $error = null, ?float $seconds = null): void
    {
        $this->counts[$event]++;
        $this->figures?->job($event, $task);
        [$level, $message] = match ($event) {
            Event::JOB_START => ['debug', '{job} {id} started, attempt {attempt}'],
            Event::JOB_ACK => ['info', '{job} {id} done in {seconds} s'],
            Event::JOB_RETRY => ['warning', '{job} {id} failed on attempt {attempt} and will be retried: {error}'],
            Event::JOB_DEAD_LETTER => ['error', '{job} {id} failed permanently on attempt {attempt}: {error}'],
            Event::JOB_RELEASED => ['info', '{job} {id} released'],
            Event::JOB_DROPPED => ['warning', '{job} {id} deleted: {error}'],
            Event::JOB_LOST => ['warning', '{job} {id} was lost and will be delivered again: {error}'],
        };
        if ($error === null) {
            // The handler dead-lettered the job itself.
            $message = str_replace(': {error}', '', $message);
        }
        if ($seconds !== null) {
            $this->about($level, $message, $task, $error, ['seconds' => round($seconds, 6)]);
        } else {
            $this->about($level, $message, $task, $error);
        }
        if (isset($this->listeners[$event])) {
            $class = self::CLASSES[$event];
            $this->emit($event === Event::JOB_START ? new $class($task) : new $class($task, $error, $seconds));
        }
    }

    /**
     * A log line about a job.
     *
     * @param array<string, mixed> $more
     */
    public function about(string $level, string $message, TaskInterface $task, ?Throwable $error = null, array $more = []): void
    {
        if (!$this->log->takes($level)) {
            return;
        }
        $this->write($level, $message, $error, [
            'job' => $task->getName(), 'id' => $task->getId(), 'queue' => $task->getQueue(),
            'attempt' => $task->getAttempts(),
        ] + $more);
    }

    /** @param array<string, mixed> $context */
    public function write(string $level, string $message, ?Throwable $error = null, array $context = []): void
    {
        if ($error !== null) {
            $context += ['error' => $error->getMessage() ?: $error::class, 'exception' => $error];
        }
        $this->log->write($level, $message, $context);
    }

    public function emit(Event $event): void
    {
        foreach ($this->listeners[$event->name] ?? [] as $listener) {
            try {
                $listener($event);
            } catch (Throwable $e) {
                $this->write('error', 'a listener for {event} failed: {error}', $e, ['event' => $event->name]);
            }
        }
    }
}
