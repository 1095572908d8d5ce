<?php

declare(strict_types=1);

namespace Amqp1\Bench;

/** The scenarios of `make bench`: what is measured, how many jobs, and the targets. GrowthScenarios has those of FULL=1. */
final class Scenarios
{
    /** php-amqplib is slower, so it gets fewer jobs: its figures are per job or per second. */
    public const CLIENTS = ['amqp1' => [], 'php-amqp' => [], 'php-amqplib' => ['share' => 0.25]];

    /** Size => how many jobs make a measurement of about a second, prefetch. */
    private const SIZES = [
        '256' => [256, 30_000, 500],
        '16K' => [16 << 10, 5_000, 100],
        '256K' => [256 << 10, 500, 20],
        '4M' => [4 << 20, 40, 4],
    ];

    private const PREFETCH = [1 => 3_000, 10 => 10_000, 100 => 30_000, 1000 => 30_000];

    /**
     * @param float $scale of the numbers of jobs
     *
     * @return list<Scenario>
     */
    public static function everyday(float $scale = 1, ?int $prefetch = null): array
    {
        $jobs = static fn (int $jobs) => max(10, (int) ($jobs * $scale));

        return [
            self::push('quorum', $jobs(3_000)),
            self::push('classic', $jobs(3_000)),
            ...self::prefetches($jobs),
            self::floor($jobs(1_500)),
            ...self::ofSizes(self::SIZES, $jobs, $prefetch),
            self::classic($jobs(30_000)),
            ...self::envelopes($jobs(30_000)),
            self::fpm($jobs(600)),
            ...array_map(static fn (int $queues) => self::queues($queues, $jobs(max(20_000, 100 * $queues))), [1, 10, 100, 500]),
        ];
    }

    private static function push(string $type, int $jobs): Scenario
    {
        return new Scenario($type, $jobs, self::CLIENTS, [
            new Step('push', "push/$type", "one push() at a time, $type queue", [
                new Metric('rate', Target::ratioAtLeast(1)),
                new Metric('cpu', Target::ratioAtMost(1)),
                new Metric('system'),
                new Metric('p50', Target::ratioAtMost(0.95)),
                new Metric('p99'),
                new Metric('switches', Target::atMost(1.3)),
                new Metric('calls', Target::atMost(4)),
                new Metric('broker'),
            ]),
        ]);
    }

    /** @return list<Metric> */
    public static function throughput(bool $memory = false): array
    {
        return [
            new Metric('rate', Target::ratioAtLeast(1)),
            new Metric('cpu', Target::ratioAtMost(1)),
            ...($memory ? [new Metric('system')] : []),
            ...($memory ? [new Metric('memory', Target::ratioAtMost(1.2))] : []),
            new Metric('broker'),
        ];
    }

    /** @return list<Scenario> */
    private static function prefetches(callable $jobs): array
    {
        $scenarios = [];
        foreach (self::PREFETCH as $prefetch => $count) {
            $scenarios[] = new Scenario('quorum', $jobs($count), self::CLIENTS, [
                new Step('pushMany'),
                new Step('consume', "prefetch/$prefetch", "consume and ack, prefetch $prefetch", self::throughput(), ['prefetch' => $prefetch], at: $prefetch),
            ]);
        }
        // php-amqp's default is 3 (amqp.prefetch_count in php.ini), php-amqplib's has no limit.
        $scenarios[] = new Scenario('quorum', $jobs(20_000), self::CLIENTS, [
            new Step('pushMany'),
            new Step('consume', 'prefetch/default', 'consume and ack, prefetch not given', self::throughput(), ['prefetch' => null]),
        ]);

        return $scenarios;
    }

    /** Without targets: it shows what the broker makes of the two protocols if the clients do as good as nothing. */
    private static function floor(int $jobs): Scenario
    {
        return new Scenario('quorum', $jobs, ['floor 1.0' => [], 'floor 0-9-1' => []], [
            new Step('pushMany'),
            new Step('consume', 'floor/1', 'the least octets and calls, consume and ack, prefetch 1', [new Metric('rate'), new Metric('cpu'), new Metric('switches'), new Metric('broker')], ['prefetch' => 1]),
        ]);
    }

    /**
     * @param array<string, array{int, int, int}> $sizes as SIZES
     *
     * @return list<Scenario>
     */
    public static function ofSizes(array $sizes, callable $jobs, ?int $prefetch = null): array
    {
        $scenarios = [];
        foreach ($sizes as $name => [$size, $count, $usual]) {
            $held = $prefetch ?? $usual;
            $title = self::octets($size);
            $metrics = self::throughput($size >= 16 << 10);
            $scenarios[] = new Scenario('quorum', $jobs($count), self::CLIENTS, [
                new Step('pushMany', "pushMany/$name", "pushMany(), $title", $metrics, at: $size),
                new Step('consume', "consume/$name", "consume and ack, $title, prefetch $held", $metrics, ['prefetch' => $held], at: $size),
            ], task: ['size' => $size]);
        }

        return $scenarios;
    }

    private static function classic(int $jobs): Scenario
    {
        return new Scenario('classic', $jobs, self::CLIENTS, [
            new Step('pushMany', 'pushMany/classic', 'pushMany(), 256 octets, classic queue', self::throughput()),
            new Step('consume', 'consume/classic', 'consume and ack, 256 octets, prefetch 500, classic queue', self::throughput(), ['prefetch' => 500]),
        ]);
    }

    /** @return list<Scenario> jobs of which everything is read, and only the payload */
    private static function envelopes(int $jobs): array
    {
        $metrics = [new Metric('rate', Target::ratioAtLeast(0.9)), new Metric('cpu'), new Metric('broker')];

        return array_map(static fn (bool $all) => new Scenario('quorum', $jobs, ['amqp1' => [], 'amqp1 raw' => ['format' => 'raw']], [
            new Step('pushMany'),
            new Step(
                'consume',
                $all ? 'envelope/all' : 'envelope/payload',
                'consume and ack, with the envelope against format raw, ' . ($all ? 'headers are read' : 'only the payload is read'),
                $metrics,
                ['prefetch' => 500]
            ),
        ], task: ['headers' => $all]), [true, false]);
    }

    private static function fpm(int $requests): Scenario
    {
        return new Scenario('quorum', $requests, ['amqp1' => [], 'php-amqp pconnect' => [], 'php-amqp connect' => ['share' => 0.25]], [
            new Step('fpm', 'fpm/request', 'a php-fpm request that pushes a job', [
                new Metric('requests'),
                new Metric('cpu', Target::ratioAtMost(1)),
                new Metric('p50', Target::ratioAtMost(1)),
                new Metric('p99'),
                new Metric('broker'),
            ]),
        ]);
    }

    /**
     * Classic queues: hundreds of quorum queues take RabbitMQ longer to declare than to serve. A queue has ten times as many jobs
     * as a client takes in advance: otherwise, all of them have arrived before the clock starts, and the more so the longer
     * a client needs to attach to its queues.
     */
    private static function queues(int $queues, int $jobs): Scenario
    {
        return new Scenario('classic', $jobs, self::CLIENTS, [
            new Step('pushMany'),
            new Step(
                'consume',
                "queues/$queues",
                $queues === 1 ? 'one consumer of 1 classic queue, prefetch 10' : "one consumer of $queues classic queues, prefetch 10 each",
                [...self::throughput(), new Metric('first', Target::ratioAtMost(1))],
                ['prefetch' => 10],
                at: $queues
            ),
        ], queues: $queues);
    }

    public static function octets(int $size): string
    {
        return match (true) {
            $size >= 1 << 20 => ($size >> 20) . ' MB',
            $size >= 1 << 10 => ($size >> 10) . ' KB',
            default => "$size octets",
        };
    }
}
