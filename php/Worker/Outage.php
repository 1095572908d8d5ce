<?php

declare(strict_types=1);

namespace Amqp1\Worker;

use Amqp1\Exception\ExceptionInterface;

/**
 * How long a worker has been without its broker, and how long it waits before it tries again.
 *
 * @internal
 */
final class Outage
{
    /** Seconds. */
    private const LONGEST_PAUSE = 30;

    private ?float $since = null;
    private int $failures = 0;

    /** @param float|null $limit The option reconnectTimeout: seconds. */
    public function __construct(private readonly ?float $limit, private readonly Report $report)
    {
    }

    public function reset(): void
    {
        $this->since = null;
        $this->failures = 0;
    }

    /** @return int|float how long to wait after one more failure: 1 s, then twice as long each time */
    public function pause(): int|float
    {
        return min(2 ** $this->failures++, self::LONGEST_PAUSE);
    }

    /** The broker has done what it was asked. */
    public function worked(): void
    {
        $this->failures = 0;
    }

    /** @return int|float|null how long to wait before the next try; null: the broker was lost for too long */
    public function lost(ExceptionInterface $error): int|float|null
    {
        $this->since ??= self::now();
        $pause = $this->pause();
        if ($this->limit !== null) {
            $left = $this->limit - (self::now() - $this->since);
            if ($left <= 0) {
                $this->report->write('error', 'no jobs can be received and reconnectTimeout has passed, stopping the worker: {error}', $error);

                return null;
            }
            $pause = min($pause, $left);
        }
        $this->report->write('error', 'no jobs can be received, retrying in {seconds} s: {error}', $error, ['seconds' => $pause]);

        return $pause;
    }

    /** A job came. */
    public function over(): void
    {
        if ($this->since !== null) {
            $this->report->write('warning', 'receiving jobs again after {seconds} s', context: [
                'seconds' => self::now() - $this->since,
            ]);
            $this->reset();
        }
    }

    private static function now(): float
    {
        return hrtime(true) / 1e9;
    }
}
