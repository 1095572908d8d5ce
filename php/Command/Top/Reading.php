<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

/**
 * A queue's figures at one moment; null: its broker does not tell.
 *
 * @internal
 */
final class Reading
{
    /** @param float $at Seconds of a clock that nobody sets. */
    public function __construct(
        public readonly float $at,
        public readonly ?int $ready = null,
        public readonly ?int $delayed = null,
        public readonly ?int $reserved = null,
        public readonly ?int $consumers = null,
        public readonly ?int $failed = null,
        public readonly string $broker = '',
        /** Seconds. */
        public readonly ?float $oldest = null,
        public readonly ?float $oldestFailed = null,
    ) {
    }

    /** @param array<string, mixed> $figures as Probe answers them */
    public static function of(array $figures, float $at): self
    {
        return new self(
            $at,
            $figures['ready'],
            $figures['delayed'],
            $figures['reserved'],
            $figures['consumers'],
            $figures['failed'],
            trim("{$figures['broker']['product']} {$figures['broker']['version']}"),
            $figures['oldest_age'],
            $figures['oldest_failed_age'],
        );
    }

    /** All jobs of the queue that have not been done, as far as the broker tells. */
    public function open(): ?int
    {
        return $this->ready === null ? null : $this->ready + (int) $this->delayed + (int) $this->reserved;
    }
}
