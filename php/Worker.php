<?php

declare(strict_types=1);

namespace Amqp1;

use Amqp1\Exception\ConfigException;
use Amqp1\Exception\ExceptionInterface;
use Amqp1\Exception\TimeoutException;
use Amqp1\Exception\UnsupportedException;
use Amqp1\Testing\FakeQueue;
use Amqp1\Worker\Batch;
use Amqp1\Worker\Batches;
use Amqp1\Worker\Event;
use Amqp1\Worker\Handlers;
use Amqp1\Worker\Interruption;
use Amqp1\Worker\Liveness;
use Amqp1\Worker\Log;
use Amqp1\Worker\Middleware;
use Amqp1\Worker\Monitoring\Health;
use Amqp1\Worker\Monitoring\Monitor;
use Amqp1\Worker\Outage;
use Amqp1\Worker\Pausing;
use Amqp1\Worker\Processing;
use Amqp1\Worker\Report;
use Amqp1\Worker\Resolver;
use Amqp1\Worker\StopReason;
use Amqp1\Worker\Summary;
use Throwable;

/**
 * Takes jobs and hands each to the handler of its name, until it is told to end.
 *
 *     $worker = new Worker($queue, ['ProcessOrder' => fn (TaskInterface $task) => order($task->getPayload())]);
 *     exit($worker->run()->exitCode());
 *
 * A handler that returns has done its job (ack); one that throws has failed it (nack, by the retry policy); what a
 * handler settled itself stays as it is. The first SIGTERM, SIGINT or SIGQUIT lets the job in hand end and gives back
 * what is buffered; a second one gives back the job in hand too; a third ends the process. SIGUSR2 pauses it, SIGCONT lets it go on.
 */
final class Worker
{
    private readonly AmqpQueue|array|Jobs|null $queues;
    private readonly WorkerOptions $options;
    private readonly Handlers $handlers;
    private readonly Middleware $middleware;
    private readonly Report $report;
    private readonly Processing $processing;
    private readonly Interruption $interruption;
    private readonly Liveness $liveness;
    private readonly Outage $outage;
    private readonly Pausing $pausing;
    private readonly Batches $batches;
    private readonly ?Monitor $monitor;

    private ?Consumer $consumer = null;
    private ?StopReason $stopping = null;

    private float $started = 0;

    /** Whether handlers take batches: without, nothing is asked about them. */
    private bool $hasBatches = false;

    /**
     * @param AmqpQueue|Testing\FakeQueue|array<AmqpQueue|Testing\FakeQueue>|Jobs|null $queues As for new Consumer(): null takes
     *     what the configuration says under "consume".
     * @param array<string, callable|object|string|array> $handlers By job name: see on(). A Worker\Batch in place of a
     *     handler takes many jobs at once: see batch().
     * @param WorkerOptions|array<string, mixed> $options
     * @param \Psr\Log\LoggerInterface|object|null $logger PSR-3. Without one, that of Amqp1\setLogger(); without both, warnings and errors go to PHP's error log.
     * @param \Psr\Container\ContainerInterface|object|callable|null $container Makes the handlers that are named by class: PSR-11, or a callable that
     *     is given the class name. Without one they are made with new, without arguments.
     * @param \Psr\EventDispatcher\EventDispatcherInterface|object|null $dispatcher PSR-14: is given each event, an
     *     object of one of the classes below Worker\Event. What it throws is logged.
     *
     * @throws ConfigException an option or a handler that cannot be used
     */
    public function __construct(
        QueueInterface|array|Jobs|null $queues = null,
        array $handlers = [],
        WorkerOptions|array $options = [],
        ?object $logger = null,
        object|callable|null $container = null,
        ?object $dispatcher = null,
    ) {
        $this->queues = FakeQueue::real($queues);
        $this->options = WorkerOptions::from($options);
        $resolver = new Resolver($container);
        $this->handlers = new Handlers($resolver);
        $this->middleware = new Middleware($resolver);
        $this->report = new Report(new Log($logger));
        if ($dispatcher !== null) {
            $this->report->dispatchTo($dispatcher);
        }
        $this->monitor = Monitor::of($this->options, $this->report);
        $this->processing = new Processing($this->options, $this->handlers, $this->middleware, $this->report, $this->monitor,
            fn () => $this->end(StopReason::Signal));
        $this->interruption = $this->processing->interruption();
        $this->liveness = new Liveness($this->options->aliveFile, $this->report);
        $this->outage = new Outage($this->options->reconnectTimeout, $this->report);
        $this->pausing = new Pausing($this->options, $this->report, $this->monitor);
        $this->batches = new Batches();
        if ($handlers !== [] && array_is_list($handlers)) {
            throw new ConfigException('The handlers must be an array of job name => handler, not a list; the name "*" handles all jobs');
        }
        foreach ($handlers as $name => $handler) {
            $this->handlers->add((string) $name, $handler);
        }
        $this->checkBatches();
    }

    /**
     * @param string $name The job's name. "mail.*" is for all names that begin so, "*" for all that have no other
     *     handler: the name itself goes first, then the patterns in the order they were given, then "*".
     * @param callable|object|string|array $handler Is given the Task. A callable, an object with __invoke() or
     *     handle(), the name of such a class, or [class name, method]. Classes are made at the first job.
     *
     * @throws ConfigException a handler that cannot be used
     */
    public function on(string $name, callable|object|string|array $handler): static
    {
        $this->handlers->add($name, $handler);
        $this->checkBatches();

        return $this;
    }

    /**
     * A handler that takes many jobs at once: it is called with a list of Tasks when $size jobs have come, or $seconds
     * after the first of them, or when the worker ends.
     *
     * When it returns, the jobs that it has not settled are acknowledged; when it throws, they have failed. What it
     * settled itself stays as it is. The worker holds as many jobs as its batches need: see the option prefetch.
     *
     * @param string $name As for on(): the jobs of one batch are those of this name or pattern.
     * @param callable|object|string|array $handler As for on().
     *
     * @throws ConfigException a handler, a size or a time that cannot be used
     */
    public function batch(string $name, callable|object|string|array $handler, int $size = 100, float $seconds = 1.0): static
    {
        return $this->on($name, new Batch($handler, $size, $seconds));
    }

    /**
     * Runs around each handler; the one added first is outermost. It calls $next($task) to go on. What it throws fails
     * the job, as if the handler had thrown it; if it returns without calling $next, the job is done.
     *
     * @param callable|object|string|array $middleware callable(TaskInterface $task, callable $next). As for on(), it can be a
     *     class with __invoke() or handle(). With handlers of batches, it is given their list of Tasks.
     *
     * @throws ConfigException a middleware that cannot be used
     */
    public function middleware(callable|object|string|array $middleware): static
    {
        $this->middleware->add($middleware);

        return $this;
    }

    /**
     * @param string $event One of Event's constants, as "job.ack", or the class of an event, as Event\JobAcked::class;
     *     "*" for all.
     * @param callable(Event): mixed $listener What it throws is logged and has no effect on the job.
     *
     * @throws ConfigException no such event
     */
    public function listen(string $event, callable $listener): static
    {
        $this->report->listen($event, $listener);

        return $this;
    }

    /** Ends run() when the job in hand is done. For handlers, listeners and signal handlers of your own. */
    public function stop(): void
    {
        $this->end(StopReason::Stopped);
    }

    /**
     * Works until something ends it, then gives back what is buffered. Can be called again.
     *
     * Once the broker was reached, the worker goes on when it is lost (option reconnectTimeout).
     *
     * @throws ConfigException no handlers, no queues, an option that the queues refuse, or it runs already
     * @throws ExceptionInterface the broker was not reached at all, refuses the login, or has no such queue
     */
    public function run(): Summary
    {
        if ($this->handlers->isEmpty()) {
            throw new ConfigException('The worker has no handlers: register one with $worker->on(\'JobName\', $handler); the name "*" handles all jobs');
        }
        if ($this->consumer !== null) {
            throw new ConfigException('The worker is already running: a handler cannot call run()');
        }
        $batches = $this->handlers->batches();
        $this->hasBatches = $batches !== [];
        $this->middleware->check($batches, $this->handlers->hasOthers());
        $this->consumer = new Consumer($this->queues, $this->options->consumerOptions()
            + ($batches === [] ? [] : ['prefetch' => Batch::jobsOf($batches)]));
        $this->started = self::now();
        $this->report->begin();
        $this->outage->reset();
        $error = null;
        try {
            $this->monitor?->begin($this->queues());
            $this->interruption->begin();
            $this->pausing->begin($this->consumer);
            $this->consumer->onLost($this->processing->look(...));
            $this->report->emit(new Event\WorkerStarted());
            $error = $this->loop($this->consumer);
            // What was collected for a batch is in hand.
            $this->handOver(INF);
            $this->close($this->consumer);
            $summary = $this->summary($error);
            $this->report->write('info', 'worker stopped after {seconds} s ({reason}), jobs: {jobs}', $error, $summary->jsonSerialize());
            $this->report->emit(new Event\WorkerStopped($summary));

            return $summary;
        } finally {
            $this->pausing->end();
            $this->interruption->end();
            $this->consumer->onLost(null);
            $this->consumer = null;
            $this->stopping = null;
            $this->batches->clear();
            $this->monitor?->end();
        }
    }

    /**
     * Does one job as run() does: middleware, handler, settling, events. For tests, with a Testing\FakeTask: no broker
     * is needed. A handler of batches is given this job alone.
     *
     * @return string|null how it was settled, as Task::getOutcome()
     *
     * @throws ConfigException a middleware that cannot be used
     */
    public function handle(TaskInterface $task): ?string
    {
        $batches = $this->handlers->batches();
        $this->middleware->check($batches, $this->handlers->hasOthers());
        $key = $this->handlers->keyOf($task->getName());
        $this->interruption->begin();
        try {
            $key !== null && $this->handlers->batchOf($key) !== null
                ? $this->processing->batch([$task], $key) : $this->processing->one($task, $key);
        } finally {
            $this->interruption->end();
        }

        return $task->getOutcome();
    }

    /** @return Throwable|null why the broker was given up */
    private function loop(Consumer $consumer): ?Throwable
    {
        $reached = false;
        $idleSince = $waitingSince = self::now();
        $emptyAfter = $this->options->stopWhenEmpty ? ($this->options->reserveTimeout ?: 1.0) : INF;
        $period = min(max($this->options->reserveTimeout ?? 0.0, $this->options->sleepWhenEmpty) ?: INF, $emptyAfter);
        while (!$this->isOver()) {
            $this->turn();
            if ($this->hasBatches && $this->handOver(self::now())) {
                $idleSince = $waitingSince = self::now();
                continue;
            }
            try {
                // Who watches wants to know at once that the broker was reached.
                $task = $this->monitor !== null && !$reached ? $this->look($consumer)
                    : $consumer->waitTask($this->wait($period === INF ? INF : $period - (self::now() - $waitingSince)));
            } catch (ConfigException | UnsupportedException $e) {
                throw $e;
            } catch (ExceptionInterface $e) {
                if (!$reached) {
                    throw $e;
                }
                // Of several brokers, the others are still there.
                $this->handOver(INF);
                if (!$this->survive($e)) {
                    return $e;
                }
                $waitingSince = self::now();
                continue;
            }
            $reached = true;
            $this->monitor?->is(match (true) {
                $this->stopping !== null => Health::STOPPING,
                $this->pausing->isPaused() => Health::PAUSED,
                default => Health::CONSUMING,
            });
            if ($task !== null) {
                $this->outage->over();
                $this->work($task);
                unset($task);
                $idleSince = $waitingSince = self::now();
            } elseif ($this->stopping === null && $this->batches->count() === 0 && self::now() - $waitingSince >= $period - 0.001) {
                $waitingSince = self::now();
                $this->report->emit(new Event\WorkerIdle());
                if (self::now() - $idleSince >= $emptyAfter - 0.001 && !$this->isOver() && !$this->pausing->isPaused()) {
                    $this->end(StopReason::Empty);
                }
            }
        }

        return null;
    }

    /** Takes a job that is there already: then the broker has answered. */
    private function look(Consumer $consumer): ?TaskInterface
    {
        try {
            return $consumer->waitTask(0);
        } catch (TimeoutException) {
            return $consumer->waitTask($this->wait(INF));
        }
    }

    /** The loop goes round. */
    private function turn(): void
    {
        $this->liveness->touch();
        $this->monitor?->turn();
        $this->pausing->turn();
    }

    /** Whether a limit is reached; the first reason stands. */
    private function isOver(): bool
    {
        $options = $this->options;
        if ($this->stopping === null) {
            $reason = match (true) {
                (bool) $options->maxJobs && $this->report->counted(Event::JOB_START) + $this->batches->count() >= $options->maxJobs
                    => StopReason::MaxJobs,
                (bool) $options->maxRuntime && self::now() - $this->started >= $options->maxRuntime
                    => StopReason::MaxRuntime,
                // Not before the first job: an application that begins above the limit would never do one.
                (bool) $options->memoryLimitMb && $this->report->counted(Event::JOB_START) > 0
                    && memory_get_usage(true) >= $options->memoryLimitMb << 20 => StopReason::MemoryLimit,
                default => null,
            };
            if ($reason !== null) {
                $this->end($reason);
            }
        }

        return $this->stopping !== null;
    }

    /** How long the next wait may last, so that every limit is looked at in time. */
    private function wait(float $period): ?float
    {
        if ($period === INF && !$this->hasBatches && $this->monitor === null && !$this->options->maxRuntime
            && $this->options->aliveFile === null) {
            return null;
        }
        $wait = min(
            max(0.001, $period),
            $this->liveness->longestWait(),
            $this->monitor?->longestWait() ?? INF,
            $this->hasBatches ? max(0.0, $this->batches->nextDue() - self::now()) : INF,
            $this->options->maxRuntime ? max(0.0, $this->options->maxRuntime - (self::now() - $this->started)) : INF,
        );

        return $wait === INF ? null : $wait;
    }

    private function work(TaskInterface $task): void
    {
        $key = $this->handlers->keyOf($task->getName());
        $batch = $this->hasBatches && $key !== null ? $this->handlers->batchOf($key) : null;
        if ($batch !== null) {
            $this->batches->add((string) $key, $batch, $task, self::now());
        } else {
            $this->afterwards($this->processing->one($task, $key));
        }
    }

    /** Hands over the batches that are full or due by then. @return bool whether there was one */
    private function handOver(float $now): bool
    {
        $due = $this->batches->nextDue() <= $now ? $this->batches->takeDue($now) : [];
        foreach ($due as $key => $tasks) {
            // After a second signal, those that have not begun are given back when the consumer closes.
            if (!$this->interruption->isInterrupted()) {
                $this->afterwards($this->processing->batch($tasks, (string) $key));
            }
        }

        return $due !== [];
    }

    /** A broker that did not take the outcome of a job gets some time. */
    private function afterwards(bool $isTold): void
    {
        if ($isTold) {
            $this->outage->worked();
        } else {
            $this->pause($this->outage->pause());
        }
    }

    /** @throws ConfigException the worker may not hold as many jobs as its batches need */
    private function checkBatches(): void
    {
        $batches = $this->handlers->batches();
        $needed = Batch::jobsOf($batches);
        $most = $this->options->prefetch ?? 65535;
        if ($needed > $most) {
            $sizes = implode(', ', array_map(static fn (string|int $name, Batch $batch) => "\"$name\" $batch->size",
                array_keys($batches), $batches));
            throw new ConfigException("The batches ($sizes) need a prefetch of at least $needed, but "
                . ($this->options->prefetch === null ? "$most is the most that a worker can hold"
                    : "the worker option \"prefetch\" is $most"));
        }
    }

    /** The broker is lost: wait and go on, or false when it was lost for too long. */
    private function survive(ExceptionInterface $e): bool
    {
        $pause = $this->outage->lost($e);
        if ($pause === null) {
            $this->end(StopReason::BrokerLost);

            return false;
        }
        $this->monitor?->is(Health::LOST);
        $this->report->emit(new Event\BrokerLost($e));
        $this->pause($pause);

        return true;
    }

    private function close(Consumer $consumer): void
    {
        try {
            $consumer->close();
        } catch (ExceptionInterface $e) {
            $this->report->write('warning', 'the consumer did not close cleanly: {error}', $e);
        }
    }

    /** What is buffered goes back at once; the job in hand may end. */
    private function end(StopReason $reason): void
    {
        $this->stopping ??= $reason;
        $this->monitor?->is(Health::STOPPING);
        $this->consumer?->stop();
    }

    /** Sleeps, unless the worker is to end. */
    private function pause(float $seconds): void
    {
        $until = self::now() + $seconds;
        while (!$this->isOver() && ($left = $until - self::now()) > 0) {
            $this->turn();
            usleep((int) (min($left, 0.1) * 1e6));
        }
    }

    /** @return array<AmqpQueue> */
    private function queues(): array
    {
        return match (true) {
            $this->queues instanceof AmqpQueue => [$this->queues],
            is_array($this->queues) => $this->queues,
            default => array_values(iterator_to_array($this->queues ?? new Jobs())),
        };
    }

    private function summary(?Throwable $error): Summary
    {
        return new Summary(
            reason: $this->stopping ?? StopReason::Stopped,
            signal: $this->interruption->signal(),
            interrupted: $this->interruption->isInterrupted(),
            error: $error,
            seconds: self::now() - $this->started,
            jobs: $this->report->counted(Event::JOB_START),
            acked: $this->report->counted(Event::JOB_ACK),
            retried: $this->report->counted(Event::JOB_RETRY),
            deadLettered: $this->report->counted(Event::JOB_DEAD_LETTER),
            released: $this->report->counted(Event::JOB_RELEASED),
            dropped: $this->report->counted(Event::JOB_DROPPED),
            lost: $this->report->counted(Event::JOB_LOST),
        );
    }

    /** Seconds of a clock that nobody sets. */
    private static function now(): float
    {
        return hrtime(true) / 1e9;
    }
}
