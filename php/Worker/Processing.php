<?php

declare(strict_types=1);

namespace Amqp1\Worker;

use Amqp1\Exception\ConfigException;
use Amqp1\Exception\ExceptionInterface;
use Amqp1\Exception\TaskLostException;
use Amqp1\TaskInterface;
use Amqp1\Worker\Monitoring\Monitor;
use Amqp1\WorkerOptions;
use Closure;
use Throwable;

/**
 * Hands jobs to their handler, and settles them by what it does.
 *
 * @internal
 */
final class Processing
{
    private readonly ProcessEnd $processEnd;
    private readonly InHand $inHand;
    private readonly Interruption $interruption;

    /** @param Closure(): void $end Ends the worker, at a signal. */
    public function __construct(
        private readonly WorkerOptions $options,
        private readonly Handlers $handlers,
        private readonly Middleware $middleware,
        private readonly Report $report,
        private readonly ?Monitor $monitor,
        Closure $end,
    ) {
        $this->processEnd = new ProcessEnd();
        $this->inHand = new InHand($report);
        $this->interruption = new Interruption($options, $report, $this->processEnd, $end);
    }

    public function interruption(): Interruption
    {
        return $this->interruption;
    }

    /** Jobs in hand may have been lost: Consumer::onLost(). */
    public function look(): void
    {
        $this->inHand->look();
    }

    /**
     * @param string|null $key of its handler; null: it has none
     *
     * @return bool whether the broker could be told; if not, the worker should slow down
     */
    public function one(TaskInterface $task, ?string $key): bool
    {
        $this->report->job(Event::JOB_START, $task);

        return $key === null ? $this->unknown($task) : $this->handle($task, [$task], $key);
    }

    /**
     * @param non-empty-list<TaskInterface> $tasks of one handler
     *
     * @return bool as for one()
     */
    public function batch(array $tasks, string $key): bool
    {
        $there = array_values(array_filter($tasks, static fn (TaskInterface $task) => !$task->isLost()));
        $lost = count($tasks) - count($there);
        if ($lost > 0) {
            $this->report->write('warning', 'jobs of a batch for "{handler}" were lost before it began, and will be delivered again: {lost}',
                context: ['handler' => $key, 'lost' => $lost]);
        }
        foreach ($there as $task) {
            $this->report->job(Event::JOB_START, $task);
        }

        return $there === [] || $this->handle($there, $there, $key);
    }

    /**
     * @param TaskInterface|list<TaskInterface> $job What the handler is given.
     * @param list<TaskInterface> $tasks The same, always as a list.
     */
    private function handle(TaskInterface|array $job, array $tasks, string $key): bool
    {
        $started = self::now();
        $error = null;
        $this->inHand->begin($tasks);
        $this->monitor?->handlerBegins(count($tasks));
        // The handler may end the process: its jobs have failed, or they would end the next worker as well, for ever.
        $this->processEnd->expect(fn (Throwable $e) => $this->settleAll($tasks, is_array($job), $e, self::now() - $started));
        try {
            $this->interruption->handlerBegins();
            $this->middleware->call($job, $this->handlers->get($key));
        } catch (Throwable $e) {
            $error = $e;
        } finally {
            $this->interruption->handlerEnds();
            $this->processEnd->expect(null);
            $this->monitor?->handlerEnds($tasks[0]->getQueue(), self::now() - $started);
        }

        return $this->settleAll($tasks, is_array($job), $error, self::now() - $started);
    }

    /** @param list<TaskInterface> $tasks */
    private function settleAll(array $tasks, bool $isBatch, ?Throwable $error, float $seconds): bool
    {
        $lost = $this->inHand->end();
        $isTold = true;
        foreach ($tasks as $task) {
            // What a batch settled before it threw has not failed.
            $its = $isBatch && $task->isCompleted() ? null : $error;
            $isTold = $this->settle($task, $its, $seconds, match (true) {
                $error === null => $task->ack(...),
                // Whatever the handler made of the exception: the job was not done.
                $this->interruption->isInterrupted() => $task->release(...),
                default => static fn () => $task->nack($error),
            }, isLost: in_array($task, $lost, true)) && $isTold;
        }

        return $isTold;
    }

    /** A job that nobody has a handler for. */
    private function unknown(TaskInterface $task): bool
    {
        $error = new ConfigException("No handler is registered for job \"{$task->getName()}\"");

        return $this->settle($task, $error, 0.0, match ($this->options->unknownJob) {
            'fail' => static fn () => $task->nack($error),
            'release' => fn () => $task->release($this->options->releaseDelay),
            'dead_letter' => static fn () => $task->deadLetter('unknown', $error->getMessage()),
            'delete' => $task->ack(...),
        }, Event::JOB_DROPPED);
    }

    /**
     * @param callable(): void $how Not called for a job that its handler has settled.
     * @param string $acked What it is called when it was acknowledged.
     * @param bool $isLost It was told to be lost already.
     */
    private function settle(
        TaskInterface $task,
        ?Throwable $error,
        float $seconds,
        callable $how,
        string $acked = Event::JOB_ACK,
        bool $isLost = false,
    ): bool {
        $outcome = null;
        $isTold = true;
        try {
            if (!$task->isCompleted()) {
                $how();
            } elseif ($error !== null) {
                $this->report->about('warning', 'the handler of {job} {id} settled the job, then threw: {error}', $task, $error);
            }
            $outcome = $task->getOutcome();
        } catch (TaskLostException $e) {
            $error = $e;
        } catch (ExceptionInterface $e) {
            $isTold = false;
            $this->giveBack($task, $e);
            $error ??= $e;
        }
        if ($isLost && $outcome === null) {
            return $isTold;
        }
        $this->report->job(match ($outcome) {
            'acked' => $acked,
            'retried' => Event::JOB_RETRY,
            'released', 'deferred' => Event::JOB_RELEASED,
            'dead_lettered', 'rejected' => Event::JOB_DEAD_LETTER,
            'discarded' => Event::JOB_DROPPED,
            default => Event::JOB_LOST,
        }, $task, $error, $seconds);

        return $isTold;
    }

    /** The outcome could not be told: the job goes back as it is. */
    private function giveBack(TaskInterface $task, ExceptionInterface $e): void
    {
        $this->report->about('error', '{job} {id} from {queue} could not be settled: {error}', $task, $e);
        try {
            $task->release();
        } catch (ExceptionInterface) {
            // It comes again in any case, when this consumer closes.
        }
    }

    /** Seconds of a clock that nobody sets. */
    private static function now(): float
    {
        return hrtime(true) / 1e9;
    }
}
