<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

/**
 * Has the probes ask for the figures of each queue when they are due, and puts the answers on the board.
 *
 * @internal
 */
final class Watch
{
    /** When the workers' states are read again: their files are here, so that takes no time. */
    private float $workersDue = 0;

    /**
     * @param list<string> $names
     */
    public function __construct(
        private readonly Board $board,
        private readonly array $names,
        private readonly Probes $probes,
        private readonly Workers $workers,
        public float $interval,
    ) {
    }

    public static function now(): float
    {
        return hrtime(true) / 1e9;
    }

    /**
     * @param bool $all those too that are not due
     */
    public function ask(bool $all = false): void
    {
        $now = self::now();
        if ($this->workers->areWatched() && ($all || $now >= $this->workersDue)) {
            $this->workersDue = $now + $this->interval;
            $this->workers->read($now);
        }
        $due = [];
        foreach ($this->names as $name) {
            $queue = $this->board->queue($name);
            if (!$queue->isAsked() && ($all || $queue->due($this->interval) <= $now)) {
                $due[$name] = $queue->due($this->interval);
            }
        }
        asort($due);
        foreach (array_keys($due) as $name) {
            $this->askFor((string) $name);
        }
    }

    private function askFor(string $name): void
    {
        $queue = $this->board->queue($name);
        // Those of a broker that does not answer must not occupy all probes.
        $others = count($this->names) > 1 && $queue->isSlow() ? 1 : 0;
        $queue->ask(self::now());
        $isAsked = $this->probes->ask(['do' => 'figures', 'queue' => $name], function (array $answer) use ($name): void {
            if (isset($answer['error'])) {
                $this->board->fail($name, $answer['error'], $answer['code'], self::now(), time());
            } else {
                $this->board->answer($name, Reading::of($answer['result'], self::now()), time());
            }
        }, $others);
        if (!$isAsked) {
            $queue->unask();
        }
    }

    public function isWaiting(): bool
    {
        foreach ($this->names as $name) {
            if ($this->board->queue($name)->isAsked()) {
                return true;
            }
        }

        return false;
    }

    /** Seconds until something is due; those that are asked already are not. */
    public function rest(): float
    {
        $rest = $this->interval;
        foreach ($this->names as $name) {
            $queue = $this->board->queue($name);
            if (!$queue->isAsked()) {
                $rest = min($rest, $queue->due($this->interval) - self::now());
            }
        }

        return max(0.0, $rest);
    }
}
