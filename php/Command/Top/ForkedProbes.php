<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

/**
 * Several ForkedProbes, started when they are needed.
 *
 * @internal
 */
final class ForkedProbes implements Probes
{
    /** @var list<ForkedProbe> */
    private array $started = [];

    public function __construct(private readonly Probe $probe, private readonly int $most)
    {
    }

    public function ask(array $request, callable $then, int $spare = 0): bool
    {
        $free = array_values(array_filter($this->started, static fn (ForkedProbe $probe) => $probe->isFree()));
        if (count($free) + $this->most - count($this->started) <= $spare) {
            return false;
        }
        $probe = $free[0] ?? $this->started[] = ForkedProbe::start($this->probe, $this->started);
        $probe->ask($request, $then);

        return true;
    }

    public function streams(): array
    {
        return array_values(array_filter(array_map(static fn (ForkedProbe $probe) => $probe->stream(), $this->started)));
    }

    public function settle(): void
    {
        foreach ($this->started as $probe) {
            $probe->settle();
        }
        $this->started = array_values(array_filter($this->started, static fn (ForkedProbe $probe) => !$probe->isDead()));
    }

    public function close(float $patience): void
    {
        $until = hrtime(true) / 1e9 + $patience;
        foreach ($this->started as $probe) {
            $probe->close(max(0, $until - hrtime(true) / 1e9));
        }
        $this->started = [];
    }
}
