<?php

declare(strict_types=1);

namespace Amqp1\Bench;

/**
 * How many rounds each scenario gets, so that the run ends in time: one of each, then a second of each, and so on, as long as
 * there is time. How long a round takes is estimated; after each scenario, the machine's pace is known better.
 */
final class Plan
{
    /** How much of the time is kept for what the estimates do not know. */
    private const RESERVE = 0.1;

    private float $estimated = 0;
    private float $taken = 0;

    /** @param list<Scenario> $scenarios in their order */
    public function __construct(private readonly array $scenarios, private readonly int $rounds)
    {
    }

    /** How much slower than estimated this machine is. */
    public function pace(): float
    {
        // The estimate counts as well, as if a minute had gone by it: the first scenario says little about the others.
        return (60 + $this->taken) / (60 + $this->estimated);
    }

    /** Notes how long some rounds of a scenario took. */
    public function took(Scenario $scenario, int $rounds, float $seconds): void
    {
        $this->estimated += $scenario->seconds($rounds);
        $this->taken += $seconds;
    }

    /**
     * The rounds of the scenarios from number `$from` on, if they have so many seconds.
     *
     * @return array<int, int> the scenario's number => its rounds, at least one
     */
    public function rounds(int $from, float $seconds): array
    {
        $scenarios = array_slice($this->scenarios, $from, null, true);
        $rounds = array_map(static fn () => 1, $scenarios);
        $left = (1 - self::RESERVE) * $seconds - $this->seconds($rounds);
        for ($round = 2; $round <= $this->rounds; ++$round) {
            foreach ($scenarios as $i => $scenario) {
                $cost = $this->pace() * ($scenario->seconds($round) - $scenario->seconds($round - 1));
                if ($round <= ($scenario->rounds ?? $round) && $cost <= $left) {
                    $rounds[$i] = $round;
                    $left -= $cost;
                }
            }
        }

        return $rounds;
    }

    /**
     * How long they take.
     *
     * @param array<int, int> $rounds as of rounds()
     */
    public function seconds(array $rounds): float
    {
        return $this->pace() * array_sum(array_map(fn (int $i, int $count) => $this->scenarios[$i]->seconds($count), array_keys($rounds), $rounds));
    }
}
