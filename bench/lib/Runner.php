<?php

declare(strict_types=1);

namespace Amqp1\Bench;

use Closure;
use Exception;
use RuntimeException;

/** Runs scenarios: rounds in which the clients take turns, until there are enough of them or the time is up. */
final class Runner
{
    /** How many seconds a measurement may take, and how many times its estimate in addition. */
    private const LIMIT = [60, 10];

    /** When the run must end, in seconds since 1970. */
    private float $end = INF;

    /**
     * @param list<string> $only the rows that are asked for: an id, a group, or a pattern such as prefetch/1*; none for all
     * @param float $seconds how long all may take
     * @param Closure(Row): void $report gets each row when it is complete
     */
    public function __construct(
        private readonly RabbitMq $broker,
        private readonly Workers $workers,
        private readonly int $rounds,
        private readonly array $only,
        private readonly float $seconds,
        private readonly Task $task,
        private readonly Closure $report,
    ) {
    }

    public function wants(string $id): bool
    {
        foreach ($this->only as $pattern) {
            if ($id === $pattern || explode('/', $id)[0] === $pattern || fnmatch($pattern, $id)) {
                return true;
            }
        }

        return $this->only === [];
    }

    /** @param list<Scenario> $scenarios */
    public function run(array $scenarios): void
    {
        $scenarios = array_values(array_filter($scenarios, fn (Scenario $scenario) => array_filter($scenario->rows(), $this->wants(...)) !== []));
        $this->end = microtime(true) + $this->seconds;
        $plan = new Plan($scenarios, $this->rounds);
        foreach ($scenarios as $i => $scenario) {
            $rounds = $plan->rounds($i, $this->end - microtime(true));
            if ($i === 0) {
                fprintf(STDERR, "%d scenarios, %d to %d rounds: about %.0f minutes\n", count($rounds), min($rounds), max($rounds), $plan->seconds($rounds) / 60);
            }
            $begun = microtime(true);
            $done = $this->scenario($scenario, $rounds[$i]);
            $plan->took($scenario, $done, microtime(true) - $begun);
        }
    }

    /** @return int how many rounds were measured; a failure ends them */
    private function scenario(Scenario $scenario, int $rounds): int
    {
        $rows = [];
        [$ours, $reference] = array_keys($scenario->clients) + [1 => ''];
        foreach ($scenario->steps as $i => $step) {
            if ($step->row !== null && $this->wants($step->row)) {
                $rows[$i] = new Row($step->row, $step->title, $ours, $reference, $step->metrics, $step->at);
            }
        }
        $clients = [];
        foreach ($scenario->clients as $client => $values) {
            $missing = OtherLanguages::missing($client);
            if ($missing === null) {
                $clients[$client] = $values;
            }
            foreach ($missing === null ? [] : $rows as $row) {
                $row->leaveOut($missing);
            }
        }
        $round = 0;
        try {
            for (; $round < $rounds; ++$round) {
                foreach ($round % 2 ? array_reverse($clients) : $clients as $client => $values) {
                    $this->round($scenario, $client, $values, $rows);
                }
                foreach ($rows as $row) {
                    $row->load[] = Machine::load();
                }
            }
            foreach ($rows as $i => $row) {
                if ($scenario->steps[$i]->countsCalls()) {
                    $this->countCalls($scenario, $scenario->steps[$i], $row);
                }
            }
        } catch (Exception $e) {
            // The other rows can still be measured.
            foreach ($rows as $row) {
                $row->failure = $e->getMessage();
            }
        }
        array_map($this->report, $rows);

        return max(1, $round);
    }

    /** How long the processes of a measurement may take, which the estimate says takes so many seconds. */
    private function limit(float $estimate): float
    {
        $left = $this->end - microtime(true);
        if ($left < 1) {
            throw new RuntimeException('there was no time left');
        }

        return min($left, self::LIMIT[0] + self::LIMIT[1] * $estimate);
    }

    /**
     * @param array<string, mixed> $values
     * @param array<int, Row> $rows by step
     */
    private function round(Scenario $scenario, string $client, array $values, array $rows): void
    {
        $estimate = $scenario->seconds(1);
        $this->limit($estimate);
        $queues = $this->broker->queues($scenario->type, $scenario->queues);
        try {
            $this->measureAll($scenario, $client, $values, $rows, $queues, $estimate);
        } finally {
            $this->broker->delete($queues);
        }
    }

    /**
     * @param array<string, mixed> $values
     * @param array<int, Row> $rows by step
     * @param list<string> $queues
     */
    private function measureAll(Scenario $scenario, string $client, array $values, array $rows, array $queues, float $estimate): void
    {
        // The same for each queue.
        $all = max(2, intdiv((int) ($scenario->jobs * ($values['share'] ?? 1)), $scenario->queues)) * $scenario->queues;
        $warm = max(1, min(200, intdiv($all, 10)));
        $jobs = $all - $warm;
        unset($values['share']);
        $values += $scenario->task + ['warm' => $warm, 'block' => intdiv($all, $scenario->queues)];
        $tasks = array_map(
            fn (Step $step) => $this->task->with(...array_merge(['client' => $client, 'mode' => $step->mode, 'queues' => $queues, 'jobs' => $jobs], $step->task, $values)),
            $scenario->steps
        );
        if ($scenario->together) {
            foreach ($this->workers->together($tasks, $this->limit($estimate)) as $i => $figures) {
                $this->note($rows[$i] ?? null, $client, $figures);
            }
            $this->broker->expect($queues, 0, "$client, {$scenario->name()}");
        } else {
            foreach ($scenario->steps as $i => $step) {
                usleep(300_000); // lets the broker finish the work of the previous measurement
                $before = $this->broker->cpu();
                $figures = $this->measure($step, $tasks[$i], $this->limit($estimate));
                $figures['broker'] = $before === null ? null : ($this->broker->cpu() - $before) / $all * 1e6;
                $this->note($rows[$i] ?? null, $client, $figures);
                $this->broker->expect($queues, $step->mode === 'consume' ? 0 : $all, "$client, $step->title");
            }
        }
    }

    /** @return array<string, mixed> the figures of the process, or of all processes that share the jobs */
    private function measure(Step $step, Task $task, float $limit): array
    {
        if ($step->processes === 1) {
            return $this->workers->run($task, $limit);
        }
        $jobs = intdiv($task->jobs, $step->processes);
        $warm = intdiv($task->warm, $step->processes);
        $parts = [];
        for ($i = 0; $i < $step->processes; ++$i) {
            $last = $i === $step->processes - 1;
            $parts[] = $task->with(
                jobs: $last ? $task->jobs - $i * $jobs : $jobs,
                warm: $last ? $task->warm - $i * $warm : $warm,
                startAt: microtime(true) + 1 + 0.2 * $step->processes
            );
        }
        $all = $this->workers->together($parts, $limit);
        $sum = static fn (string $key) => array_sum(array_map(static fn (array $figures, Task $part) => $figures[$key] * $part->jobs, $all, $parts));

        return [
            'rate' => $task->jobs / (max(array_column($all, 'to')) - min(array_column($all, 'from'))),
            'cpu' => $sum('cpu') / $task->jobs,
            'switches' => $sum('switches') / $task->jobs,
            'memory' => array_sum(array_column($all, 'memory')),
        ];
    }

    /** @param array<string, mixed> $figures */
    private function note(?Row $row, string $client, array $figures): void
    {
        $row?->add($client, $figures);
        if ($row !== null) {
            fprintf(STDERR, "  %-20s %-18s%s%s%s\n", $row->id, $client, isset($figures['rate']) ? sprintf(' %8.0f jobs/s', $figures['rate']) : '',
                sprintf(' %8.1f µs CPU a job', $figures['cpu']), isset($figures['p50']) ? sprintf('  p50 %.0f µs', $figures['p50']) : '');
        }
    }

    private function countCalls(Scenario $scenario, Step $step, Row $row): void
    {
        $missing = SystemCalls::missing();
        if ($missing !== null) {
            $row->leaveOut($missing);

            return;
        }
        foreach ([$row->ours, $row->reference] as $client) {
            $queues = $this->broker->queues($scenario->type, 1);
            $task = $this->task->with(client: $client, mode: $step->mode, queues: $queues, jobs: 1, warm: 50);
            try {
                $row->rounds[$client][0]['calls'] = (new SystemCalls($this->workers))->perJob($task, $this->limit(10));
            } finally {
                $this->broker->delete($queues);
            }
        }
    }
}
