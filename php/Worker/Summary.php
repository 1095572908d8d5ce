<?php

declare(strict_types=1);

namespace Amqp1\Worker;

use Throwable;

/** How a Worker's run ended, and what it did. */
final class Summary implements \JsonSerializable
{
    /**
     * @param StopReason $reason Why it ended.
     * @param int|null $signal The signal's number, with StopReason::Signal.
     * @param bool $interrupted A second signal came: the job in hand was given back unfinished.
     * @param Throwable|null $error With StopReason::BrokerLost.
     * @param float $seconds How long it ran.
     * @param int $jobs How many jobs it took in hand: the sum of those that follow.
     * @param int $acked Done.
     * @param int $retried Failed, and come again.
     * @param int $deadLettered Failed for good.
     * @param int $released Given back.
     * @param int $dropped Without a handler, and deleted.
     * @param int $lost Their delivery died before they were settled: they come again.
     */
    public function __construct(
        public readonly StopReason $reason,
        public readonly ?int $signal,
        public readonly bool $interrupted,
        public readonly ?Throwable $error,
        public readonly float $seconds,
        public readonly int $jobs,
        public readonly int $acked,
        public readonly int $retried,
        public readonly int $deadLettered,
        public readonly int $released,
        public readonly int $dropped,
        public readonly int $lost,
    ) {
    }

    /**
     * For exit(): 0 for an end in good order, 4 when the broker was lost, 128 + the signal when a job was
     * interrupted.
     */
    public function exitCode(): int
    {
        return match (true) {
            $this->reason === StopReason::BrokerLost => 4,
            $this->interrupted => 128 + (int) $this->signal,
            default => 0,
        };
    }

    /** @return array<string, mixed> */
    public function jsonSerialize(): array
    {
        return [
            'reason' => $this->reason->value,
            'signal' => $this->signal,
            'interrupted' => $this->interrupted,
            'error' => $this->error?->getMessage(),
            'seconds' => round($this->seconds, 3),
            'jobs' => $this->jobs,
            'acked' => $this->acked,
            'retried' => $this->retried,
            'dead_lettered' => $this->deadLettered,
            'released' => $this->released,
            'dropped' => $this->dropped,
            'lost' => $this->lost,
        ];
    }
}
