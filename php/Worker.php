<?php

declare(strict_types=1);

namespace Amqp1;

use Amqp1\Exception\ConfigException;
use Amqp1\Exception\ExceptionInterface;
use Amqp1\Exception\TaskLostException;
use Amqp1\Exception\UnsupportedException;
use Amqp1\Worker\Event;
use Amqp1\Worker\Handlers;
use Amqp1\Worker\InHand;
use Amqp1\Worker\Interrupted;
use Amqp1\Worker\JobTimeout;
use Amqp1\Worker\Liveness;
use Amqp1\Worker\Log;
use Amqp1\Worker\Outage;
use Amqp1\Worker\ProcessEnd;
use Amqp1\Worker\Report;
use Amqp1\Worker\Signals;
use Amqp1\Worker\StopReason;
use Amqp1\Worker\Summary;
use Throwable;

/**
 * Takes jobs and hands each to the handler of its name, until it is told to end.
 *
 *     $worker = new Worker($queue, ['ProcessOrder' => fn (Task $task) => order($task->getPayload())]);
 *     exit($worker->run()->exitCode());
 *
 * A handler that returns has done its job (ack); one that throws has failed it (nack, by the retry policy); what a
 * handler settled itself stays as it is. The first SIGTERM, SIGINT or SIGQUIT lets the job in hand end and gives back
 * what is buffered; a second one gives back the job in hand too; a third ends the process.
 */
final class Worker
{
    /** A second signal within so many seconds is the first one, sent by two. */
    private const SAME_SIGNAL = 0.1;

    private readonly WorkerOptions $options;
    private readonly Handlers $handlers;
    private readonly Report $report;
    private readonly Signals $signals;
    private readonly ProcessEnd $processEnd;
    private readonly InHand $inHand;
    private readonly Liveness $liveness;
    private readonly Outage $outage;

    private ?Consumer $consumer = null;
    private ?StopReason $stopping = null;
    private ?int $signal = null;
    private int $signalCount = 0;
    private float $signalled = 0;
    private bool $inHandler = false;
    private bool $interrupted = false;

    private float $started = 0;

    private static bool $saidNoPcntl = false;

    /**
     * @param AmqpQueue|array<AmqpQueue>|Jobs|null $queues As for new Consumer(): null takes what the configuration
     *     says under "consume".
     * @param array<string, callable|object|string|array> $handlers By job name: see on().
     * @param WorkerOptions|array<string, mixed> $options
     * @param object|null $logger PSR-3. Without one, warnings and errors go to PHP's error log.
     * @param object|callable|null $container Makes the handlers that are named by class: PSR-11, or a callable that
     *     is given the class name. Without one they are made with new, without arguments.
     *
     * @throws ConfigException an option or a handler that cannot be used
     */
    public function __construct(
        private readonly AmqpQueue|array|Jobs|null $queues = null,
        array $handlers = [],
        WorkerOptions|array $options = [],
        ?object $logger = null,
        object|callable|null $container = null,
    ) {
        $this->options = WorkerOptions::from($options);
        $this->handlers = new Handlers($container);
        $this->report = new Report(new Log($logger));
        $this->signals = new Signals();
        $this->processEnd = new ProcessEnd();
        $this->inHand = new InHand($this->report);
        $this->liveness = new Liveness($this->options->aliveFile, $this->report);
        $this->outage = new Outage($this->options->reconnectTimeout, $this->report);
        if ($handlers !== [] && array_is_list($handlers)) {
            throw new ConfigException('The handlers must be an array of job name => handler, not a list; the name "*" handles all jobs');
        }
        foreach ($handlers as $name => $handler) {
            $this->handlers->add((string) $name, $handler);
        }
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

        return $this;
    }

    /**
     * @param string $event One of Event's constants, as "job.ack"; "*" for all.
     * @param callable(Event): void $listener What it throws is logged and has no effect on the job.
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
        $this->consumer = new Consumer($this->queues, $this->options->consumerOptions());
        $this->started = self::now();
        $this->report->begin();
        $this->outage->reset();
        $error = null;
        try {
            $this->catchSignals();
            $this->consumer->onLost($this->inHand->look(...));
            $this->report->emit(Event::START);
            $error = $this->loop($this->consumer);
            $this->close($this->consumer);
            $summary = $this->summary($error);
            $this->report->write('info', 'worker stopped after {seconds} s ({reason}), jobs: {jobs}', $error, $summary->jsonSerialize());
            $this->report->emit(Event::STOP, error: $error, summary: $summary);

            return $summary;
        } finally {
            $this->signals->restore();
            $this->consumer->onLost(null);
            $this->consumer = null;
            $this->stopping = $this->signal = null;
            $this->signalCount = 0;
            $this->interrupted = false;
        }
    }

    /** @return Throwable|null why the broker was given up */
    private function loop(Consumer $consumer): ?Throwable
    {
        $reached = false;
        $idleSince = self::now();
        $emptyAfter = $this->options->stopWhenEmpty ? ($this->options->reserveTimeout ?: 1.0) : INF;
        while (!$this->isOver()) {
            $this->liveness->touch();
            try {
                $task = $consumer->waitTask($this->wait($emptyAfter));
            } catch (ConfigException | UnsupportedException $e) {
                throw $e;
            } catch (ExceptionInterface $e) {
                if (!$reached) {
                    throw $e;
                }
                if (!$this->survive($e)) {
                    return $e;
                }
                continue;
            }
            $reached = true;
            if ($task !== null) {
                $this->outage->over();
                $this->work($task);
                unset($task);
                $idleSince = self::now();
            } elseif ($this->stopping === null) {
                $this->report->emit(Event::IDLE);
                if (self::now() - $idleSince >= $emptyAfter && !$this->isOver()) {
                    $this->end(StopReason::Empty);
                }
            }
        }

        return null;
    }

    /** Whether a limit is reached; the first reason stands. */
    private function isOver(): bool
    {
        $options = $this->options;
        if ($this->stopping === null) {
            $reason = match (true) {
                (bool) $options->maxJobs && $this->report->counted(Event::JOB_START) >= $options->maxJobs => StopReason::MaxJobs,
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
    private function wait(float $emptyAfter): ?float
    {
        $options = $this->options;
        $wait = max($options->reserveTimeout ?? 0.0, $options->sleepWhenEmpty) ?: INF;
        $wait = min(
            $wait,
            $emptyAfter,
            $this->liveness->longestWait(),
            $options->maxRuntime ? max(0.0, $options->maxRuntime - (self::now() - $this->started)) : INF,
        );

        return $wait === INF ? null : $wait;
    }

    private function work(Task $task): void
    {
        $this->report->job(Event::JOB_START, $task);
        $name = $task->getName();
        if (!$this->handlers->has($name)) {
            $this->unknown($task);

            return;
        }
        $started = self::now();
        $error = null;
        $this->inHand->begin($task);
        $this->processEnd->expect(fn (Throwable $e) => $this->endedBy($task, $e, self::now() - $started));
        try {
            $this->inHandler = true;
            $this->alarm((int) $this->options->jobTimeout);
            ($this->handlers->get($name))($task);
        } catch (Throwable $e) {
            $error = $e;
        } finally {
            $this->inHandler = false;
            $this->alarm(0);
            $this->processEnd->expect(null);
        }
        $this->settle($task, $error, self::now() - $started, match (true) {
            $error === null => $task->ack(...),
            // Whatever the handler made of the exception: the job was not done.
            $this->interrupted => $task->release(...),
            default => static fn () => $task->nack($error),
        });
    }

    /** The handler ended the process: its job has failed, or it would end the next worker as well, for ever. */
    private function endedBy(Task $task, Throwable $error, float $seconds): void
    {
        $this->stopping ??= StopReason::Stopped;
        $this->settle($task, $error, $seconds, static fn () => $task->nack($error));
    }

    /** A job that nobody has a handler for. */
    private function unknown(Task $task): void
    {
        $error = new ConfigException("No handler is registered for job \"{$task->getName()}\"");
        $this->settle($task, $error, 0.0, match ($this->options->unknownJob) {
            'fail' => static fn () => $task->nack($error),
            'release' => fn () => $task->release($this->options->releaseDelay),
            'dead_letter' => static fn () => $task->deadLetter('unknown', $error->getMessage()),
            'delete' => $task->ack(...),
        }, Event::JOB_DROPPED);
    }

    /**
     * @param callable(): void $how Not called for a job that its handler has settled.
     * @param string $acked What it is called when it was acknowledged.
     */
    private function settle(Task $task, ?Throwable $error, float $seconds, callable $how, string $acked = Event::JOB_ACK): void
    {
        $outcome = null;
        $isTold = $this->inHand->end($task);
        try {
            if (!$task->isCompleted()) {
                $how();
            } elseif ($error !== null) {
                $this->report->about('warning', 'the handler of {job} {id} settled the job, then threw: {error}', $task, $error);
            }
            $outcome = $task->getOutcome();
            $this->outage->worked();
        } catch (TaskLostException $e) {
            $error = $e;
        } catch (ExceptionInterface $e) {
            $this->unsettled($task, $e);
            $error ??= $e;
        }
        if ($isTold && $outcome === null) {
            return;
        }
        $this->report->job(match ($outcome) {
            'acked' => $acked,
            'retried' => Event::JOB_RETRY,
            'released' => Event::JOB_RELEASED,
            'dead_lettered' => Event::JOB_DEAD_LETTER,
            default => Event::JOB_LOST,
        }, $task, $error, $seconds);
    }

    /** The outcome could not be told: the job goes back as it is, and the worker slows down. */
    private function unsettled(Task $task, ExceptionInterface $e): void
    {
        $this->report->about('error', '{job} {id} from {queue} could not be settled: {error}', $task, $e);
        try {
            $task->release();
        } catch (ExceptionInterface) {
            // It comes again in any case, when this consumer closes.
        }
        $this->pause($this->outage->pause());
    }

    /** The broker is lost: wait and go on, or false when it was lost for too long. */
    private function survive(ExceptionInterface $e): bool
    {
        $pause = $this->outage->lost($e);
        if ($pause === null) {
            $this->end(StopReason::BrokerLost);

            return false;
        }
        $this->report->emit(Event::LOST, error: $e);
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
        $this->consumer?->stop();
    }

    private function catchSignals(): void
    {
        $wanted = $this->options->signals || $this->options->jobTimeout;
        if ($wanted && !Signals::available()) {
            if (!self::$saidNoPcntl) {
                self::$saidNoPcntl = true;
                $this->report->write('warning', 'the pcntl extension is not loaded: SIGTERM kills this worker in the middle of'
                    . ' a job (which is then delivered again), and jobTimeout has no effect');
            }

            return;
        }
        if ($this->options->signals) {
            $this->signals->onEnd($this->onSignal(...));
        }
        if ($this->options->jobTimeout) {
            $this->signals->onAlarm(function (): void {
                if ($this->inHandler) {
                    throw new JobTimeout("The job took longer than {$this->options->jobTimeout} s");
                }
            });
        }
    }

    private function onSignal(int $signal): void
    {
        if ($this->signal !== null && self::now() - $this->signalled < self::SAME_SIGNAL) {
            return;
        }
        $this->signal ??= $signal;
        $this->signalled = self::now();
        switch (++$this->signalCount) {
            case 1:
                $this->end(StopReason::Signal);
                break;
            case 2:
                if ($this->inHandler) {
                    $this->interrupted = true;
                    throw new Interrupted("The worker was interrupted by signal $signal");
                }
                break;
            default:
                // It is not the job that ends the process.
                $this->processEnd->expect(null);
                exit(128 + $signal);
        }
    }

    private function alarm(int $seconds): void
    {
        if ($this->options->jobTimeout && Signals::available()) {
            pcntl_alarm($seconds);
        }
    }

    /** Sleeps, unless the worker is to end. */
    private function pause(float $seconds): void
    {
        $until = self::now() + $seconds;
        while (!$this->isOver() && ($left = $until - self::now()) > 0) {
            $this->liveness->touch();
            usleep((int) (min($left, 0.1) * 1e6));
        }
    }

    private function summary(?Throwable $error): Summary
    {
        return new Summary(
            reason: $this->stopping ?? StopReason::Stopped,
            signal: $this->signal,
            interrupted: $this->interrupted,
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
