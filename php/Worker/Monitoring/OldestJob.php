<?php

declare(strict_types=1);

namespace Amqp1\Worker\Monitoring;

use Amqp1\AmqpQueue;
use Amqp1\Exception\QueueNotFoundException;
use Amqp1\Exception\UnsupportedException;
use Amqp1\PeekedTask;
use DateTimeInterface;

/**
 * For how long the oldest job of a queue has been due, and its oldest failed job has lain there, where the broker shows
 * jobs without handing them out.
 *
 * A broker that does not refuses before anything is sent. Elsewhere this costs one request, another one if there are failed
 * jobs, and more only if delayed jobs stand before the first one that is due.
 *
 * @internal
 */
final class OldestJob
{
    /** How many delayed jobs are passed over. */
    private const PAGE = 100;
    private const PAGES = 10;

    /**
     * In seconds; 0: there is no such job. Null: the broker does not tell, or the job has no time.
     *
     * @param int|null $ready how many jobs are due, and how many have failed; null: the broker does not tell
     *
     * @return array{oldest_age: float|null, oldest_failed_age: float|null}
     */
    public static function ages(AmqpQueue $queue, ?int $ready, ?int $failed): array
    {
        try {
            return ['oldest_age' => self::age($queue, $ready), 'oldest_failed_age' => self::failedAge($queue->failed(), $failed)];
        } catch (UnsupportedException) {
            return ['oldest_age' => null, 'oldest_failed_age' => null];
        }
    }

    private static function age(AmqpQueue $queue, ?int $ready): ?float
    {
        $from = 0;
        for ($page = 0; $page <= self::PAGES; $page++) {
            // Of an empty queue as well: this tells whether the broker shows jobs.
            $jobs = $queue->peek($page === 0 ? 1 : self::PAGE, $from);
            if ($jobs === [] || $ready === 0) {
                return 0.0;
            }
            foreach ($jobs as $job) {
                if ($job->getState() === 'active') {
                    return self::since(self::due($job));
                }
            }
            $from = end($jobs)->getSequenceNumber() + 1;
        }

        return null;
    }

    private static function failedAge(AmqpQueue $failed, ?int $count): ?float
    {
        if ($count === null) {
            return null;
        }
        try {
            $job = $count === 0 ? null : $failed->peek(1)[0] ?? null;
        } catch (QueueNotFoundException) {
            $job = null; // it is declared when the first job fails
        }
        $at = $job?->getFailure()['failed_at'] ?? null;

        return $job === null ? 0.0 : self::since($at === null ? self::due($job) : (float) $at);
    }

    /** From when a worker could have had it, as Unix time. */
    private static function due(PeekedTask $job): ?float
    {
        // Where a delayed job is the same message when it is due, its creation time is from before.
        $times = array_filter(
            [$job->getEnqueuedTime() ?? $job->getCreationTime(), $job->getAnnotations()['x-opt-scheduled-enqueue-time'] ?? null],
            static fn (mixed $time): bool => $time instanceof DateTimeInterface,
        );

        return $times === [] ? null : max(array_map(static fn (DateTimeInterface $time) => (float) $time->format('U.u'), $times));
    }

    /** Clocks of brokers and producers may differ from this one. */
    private static function since(?float $time): ?float
    {
        return $time === null ? null : max(0.0, microtime(true) - $time);
    }
}
