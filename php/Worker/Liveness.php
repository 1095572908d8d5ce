<?php

declare(strict_types=1);

namespace Amqp1\Worker;

/**
 * Shows that a worker goes round, to whoever watches its file (option aliveFile).
 *
 * @internal
 */
final class Liveness
{
    /** The longest wait for a job between two touches: seconds. */
    private const LONGEST_WAIT = 10.0;

    /** It is not touched more often than that: seconds. */
    private const INTERVAL = 1.0;

    private float $touched = 0;

    public function __construct(private readonly ?string $file, private readonly Report $report)
    {
    }

    /** How long a wait for a job may last: seconds. */
    public function longestWait(): float
    {
        return $this->file === null ? INF : self::LONGEST_WAIT;
    }

    public function touch(): void
    {
        $now = hrtime(true) / 1e9;
        if ($this->file === null || $now - $this->touched < self::INTERVAL) {
            return;
        }
        $this->touched = $now;
        if (!@touch($this->file)) {
            $this->report->write('warning', 'cannot touch the alive file {file}', context: ['file' => $this->file]);
        }
    }
}
