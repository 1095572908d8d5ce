<?php

declare(strict_types=1);

namespace Amqp1\Bench;

/** What each client does in a round, with queues of its own: some steps, one after the other, or all at once. */
final class Scenario
{
    /**
     * @param string $type of the queues: quorum or classic
     * @param array<string, array<string, mixed>> $clients name => its values of the Task; the first is judged, the second is the
     *     reference. "share" is the part of the jobs that a slow client gets
     * @param list<Step> $steps
     * @param int $queues how many
     * @param array<string, mixed> $task values of the Task for all steps
     * @param bool $together the steps run at the same time
     * @param int|null $rounds at most so many, because it takes long
     */
    public function __construct(
        public readonly string $type,
        public readonly int $jobs,
        public readonly array $clients,
        public readonly array $steps,
        public readonly int $queues = 1,
        public readonly array $task = [],
        public readonly bool $together = false,
        public readonly ?int $rounds = null,
    ) {
    }

    /** @return list<string> the ids of its rows */
    public function rows(): array
    {
        return array_values(array_filter(array_map(static fn (Step $step) => $step->row, $this->steps), 'is_string'));
    }

    /**
     * The same work for other clients, without targets: those are for the clients that were meant.
     *
     * @param array<string, array<string, mixed>> $clients
     */
    public function with(array $clients): self
    {
        $steps = array_map(static fn (Step $step) => new Step(...array_merge(get_object_vars($step), [
            'metrics' => array_map(static fn (Metric $metric) => new Metric($metric->key), $step->metrics),
        ])), $this->steps);

        return new self(...array_merge(get_object_vars($this), ['clients' => $clients, 'steps' => $steps]));
    }

    /** About how many seconds so many rounds of all clients take on a quiet machine with two cores: see Plan. */
    public function seconds(int $rounds): float
    {
        $seconds = 0;
        foreach ($this->clients as $values) {
            // Declared, counted after each step, attached one by one, deleted.
            $seconds += $this->queues * ($this->type === 'quorum' ? 0.05 : 0.02);
            foreach ($this->steps as $step) {
                $seconds += 0.8 + $step->microseconds($this->task, $this->queues) * $this->jobs * ($values['share'] ?? 1) / 1e6;
            }
        }
        $counted = count(array_filter($this->steps, static fn (Step $step) => $step->countsCalls()));

        return $rounds * $seconds + 8 * $counted;
    }

    public function name(): string
    {
        return implode(', ', $this->rows());
    }
}
