<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

use Amqp1\Console\ExitCode;

/**
 * One queue: its last figures, and what they say together.
 *
 * Brokers tell how many jobs there are, not how many came and went: a rate is the change of such a number.
 *
 * @internal
 */
final class WatchedQueue
{
    /** Rates are over so many seconds, or over the last two readings if those lie further apart. */
    private const WINDOW = 10.0;

    /** After so many seconds, an answer that has not come is late. */
    private const LATE = 2.0;

    /** Of the time of a broker that takes long to count, at most one part in so many. */
    private const SHARE = 5;

    /** @var list<Reading> the oldest first */
    private array $readings = [];

    private ?float $askedAt = null;
    private ?float $answeredAt = null;
    private float $took = 0;
    private ?string $error = null;
    private int $code = ExitCode::OK;
    private State $stateOfError = State::Error;
    private float $failingSince = 0;

    public function __construct(public readonly string $name)
    {
    }

    public function ask(float $now): void
    {
        $this->askedAt = $now;
    }

    /** No one was free to ask. */
    public function unask(): void
    {
        $this->askedAt = null;
    }

    public function isAsked(): bool
    {
        return $this->askedAt !== null;
    }

    public function answer(Reading $reading): void
    {
        $this->answered($reading->at);
        $this->error = null;
        $this->code = ExitCode::OK;
        $this->readings[] = $reading;
        while (count($this->readings) > 2 && $reading->at - $this->readings[1]->at >= self::WINDOW) {
            array_shift($this->readings);
        }
    }

    /** @param int $code one of ExitCode's */
    public function fail(string $error, int $code, float $now): void
    {
        if ($this->error === null || $this->code !== $code) {
            $this->failingSince = $this->askedAt ?? $now;
        }
        $this->answered($now);
        $this->error = $error;
        $this->code = $code;
        $this->stateOfError = State::after($code);
        $this->readings = [];
    }

    private function answered(float $now): void
    {
        $this->took = $now - ($this->askedAt ?? $now);
        $this->answeredAt = $now;
        $this->askedAt = null;
    }

    /** When to ask again: not much more often than the broker can answer. */
    public function due(float $interval): float
    {
        return match (true) {
            $this->answeredAt === null => 0.0,
            $this->error !== null => $this->answeredAt + $interval,
            default => $this->answeredAt + max($interval - $this->took, $this->took * self::SHARE),
        };
    }

    /** Whether it kept its probe waiting the last time. */
    public function isSlow(): bool
    {
        return $this->took > self::LATE || $this->stateOfError === State::Silent && $this->error !== null;
    }

    public function state(float $now): State
    {
        return match (true) {
            $this->askedAt !== null && $now - $this->askedAt > self::LATE && $this->error === null => State::Late,
            $this->error !== null => $this->stateOfError,
            $this->readings === [] => State::Asked,
            default => State::Ok,
        };
    }

    public function error(): ?string
    {
        return $this->error;
    }

    /** What a command ends with that asked only for these. */
    public function code(): int
    {
        return $this->code;
    }

    /** Seconds since it began to fail, or since it was asked what it has not answered. */
    public function silence(float $now): float
    {
        return $this->error !== null ? $now - $this->failingSince : $now - ($this->askedAt ?? $now);
    }

    public function reading(): ?Reading
    {
        return $this->readings === [] ? null : $this->readings[count($this->readings) - 1];
    }

    /** Open jobs a second more (or less, below 0); null: not known yet. */
    public function change(): ?float
    {
        return $this->rate(static fn (Reading $reading) => $reading->open());
    }

    /** Failed jobs a second more. */
    public function failedChange(): ?float
    {
        return $this->rate(static fn (Reading $reading) => $reading->failed);
    }

    /** How many failed jobs there are more than at the reading before. */
    public function newlyFailed(): int
    {
        [$last, $before] = [$this->reading()?->failed, $this->readings[count($this->readings) - 2]->failed ?? null];

        return $last === null || $before === null ? 0 : max(0, $last - $before);
    }

    /** Seconds until no job is open any more, if it goes on like this; null: it does not get there. */
    public function emptyIn(): ?float
    {
        $change = $this->change();
        $open = $this->reading()?->open();

        return $change === null || $change >= 0 || (int) $open === 0 ? null : $open / -$change;
    }

    /** @param callable(Reading): ?int $figure */
    private function rate(callable $figure): ?float
    {
        if (count($this->readings) < 2) {
            return null;
        }
        [$first, $last] = [$this->readings[0], $this->readings[count($this->readings) - 1]];
        [$before, $after, $seconds] = [$figure($first), $figure($last), $last->at - $first->at];

        return $before === null || $after === null || $seconds <= 0 ? null : ($after - $before) / $seconds;
    }
}
