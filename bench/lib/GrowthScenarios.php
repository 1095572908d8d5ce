<?php

declare(strict_types=1);

namespace Amqp1\Bench;

/** What FULL=1 adds: how the cost of a job grows with sizes, backlogs and processes; memory; clients in other languages. */
final class GrowthScenarios
{
    private const PAIR = ['amqp1' => [], 'php-amqp' => []];

    /** As Scenarios::SIZES; those are measured anyway. */
    private const SIZES = [
        '64' => [64, 30_000, 500],
        '1K' => [1 << 10, 30_000, 500],
        '4K' => [4 << 10, 15_000, 100],
        '64K' => [64 << 10, 2_000, 100],
        '1M' => [1 << 20, 150, 20],
    ];

    /** How many looks at the memory. */
    private const SAMPLES = 40;

    /** @return list<Scenario> */
    public static function all(float $scale = 1): array
    {
        $jobs = static fn (int $jobs) => max(10, (int) ($jobs * $scale));

        return [
            ...Scenarios::ofSizes(self::SIZES, $jobs),
            ...self::languages($jobs),
            ...array_map(static fn (int $processes) => self::processes($processes, $jobs(60_000)), [1, 2, 4, 8]),
            ...array_map(static fn (int $backlog) => self::backlog($jobs($backlog)), [10_000, 1_000_000]),
            self::memory('plain', '256 octets', $jobs(2_000_000)),
            self::memory('mixed', '64 octets to 4 MB', $jobs(2_000_000), task: ['size' => 0]),
            // A batch goes to one queue, the next batch to the next one.
            self::memory('queues', '256 octets, 500 queues', $jobs(2_000_000), queues: 500, task: ['block' => 100]),
        ];
    }

    /** @return list<Scenario> */
    private static function languages(callable $jobs): array
    {
        $clients = ['amqp1' => [], 'go-amqp' => [], 'Java' => []];

        return [
            new Scenario('quorum', $jobs(3_000), $clients, [
                new Step('push', 'languages/push', 'one publish at a time, each confirmed', [new Metric('rate'), new Metric('cpu'), new Metric('p50'), new Metric('p99'), new Metric('broker')]),
            ]),
            new Scenario('quorum', $jobs(30_000), $clients, [
                new Step('pushMany', 'languages/pushMany', 'publish many, all confirmed', self::cost()),
                new Step('consume', 'languages/consume', 'consume and ack, prefetch 500', self::cost(), ['prefetch' => 500]),
            ]),
        ];
    }

    /** @return list<Metric> */
    private static function cost(): array
    {
        return [new Metric('rate'), new Metric('cpu'), new Metric('memory'), new Metric('broker')];
    }

    private static function processes(int $processes, int $jobs): Scenario
    {
        $of = $processes === 1 ? '1 process' : "$processes processes";

        return new Scenario('quorum', $jobs, self::PAIR, [
            new Step('pushMany', "processes/push-$processes", "pushMany(), one queue, $of", self::cost(), processes: $processes),
            new Step('consume', "processes/consume-$processes", "consume and ack, one queue, prefetch 100, $of", self::cost(), ['prefetch' => 100], $processes),
        ], rounds: 3);
    }

    private static function backlog(int $jobs): Scenario
    {
        $number = number_format($jobs);

        // In batches, as applications do: pushMany() returns the ids of all its jobs.
        return new Scenario('quorum', $jobs, self::PAIR, [
            new Step('pushMany', "backlog/push-$jobs", "pushMany() until $number jobs wait", self::cost()),
            new Step('consume', "backlog/consume-$jobs", "consume and ack $number waiting jobs, prefetch 500", self::cost(), ['prefetch' => 500]),
        ], task: ['block' => 50_000], rounds: 3);
    }

    /**
     * One process publishes while another one consumes.
     *
     * @param array<string, mixed> $task
     */
    private static function memory(string $name, string $what, int $jobs, int $queues = 1, array $task = []): Scenario
    {
        $metrics = [
            new Metric('rate'),
            new Metric('cpu'),
            new Metric('tenth'),
            new Metric('half'),
            new Metric('last'),
            new Metric('start'),
            new Metric('end'),
            new Metric('growth', Target::atMost(1.05)),
            new Metric('memory'),
        ];
        $number = number_format($jobs);

        return new Scenario($queues === 1 ? 'quorum' : 'classic', $jobs, ['amqp1' => []], [
            new Step('pushMany', "memory/push-$name", "publish $number jobs, $what", $metrics, ['samples' => self::SAMPLES]),
            new Step('consume', "memory/consume-$name", "consume $number jobs, $what", $metrics, ['samples' => self::SAMPLES, 'prefetch' => $queues === 1 ? 100 : 10]),
        ], $queues, $task, together: true, rounds: 1);
    }
}
