<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Bench\Growth;
use Amqp1\Bench\GrowthScenarios;
use Amqp1\Bench\Metric;
use Amqp1\Bench\Plan;
use Amqp1\Bench\Printer;
use Amqp1\Bench\Report;
use Amqp1\Bench\Results;
use Amqp1\Bench\Row;
use Amqp1\Bench\Scenario;
use Amqp1\Bench\Scenarios;
use Amqp1\Bench\Statistics;
use Amqp1\Bench\Step;
use Amqp1\Bench\Target;
use Amqp1\Bench\Task;
use Amqp1\Bench\Workers;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use RuntimeException;

require_once __DIR__ . '/../bench/lib/autoload.php';

/** A benchmark that reckons wrongly, or hides a missed target. Nothing is timed here. */
final class BenchTest extends TestCase
{
    public function testTheArithmetic(): void
    {
        self::assertSame(2.0, Statistics::median([3, 1, 2]));
        self::assertSame(2.5, Statistics::median([4, 1, 3, 2]));
        self::assertSame(7.0, Statistics::median([7]));
        self::assertSame(50.0, Statistics::percentile(range(99, 0), 0.5));
        self::assertSame(99.0, Statistics::percentile(range(0, 99), 0.99));
        self::assertSame(99.0, Statistics::percentile(range(0, 99), 1));
        self::assertSame([2.0, 0.5], Statistics::ratios([10, 20], [5, 40]));
        self::assertSame([2.0], Statistics::ratios([10, 20, 30], [5, 0]), 'nothing to compare with in the other rounds');
    }

    public function testTheRatioIsOfPairsAndNotOfMedians(): void
    {
        // The machine was slow in the second round, for both. The medians' ratio would be 100 / 80.
        $row = self::row(['rate' => [100, 40, 110]], ['rate' => [50, 80, 100]], new Metric('rate'));

        self::assertSame(['median' => 1.1, 'least' => 0.5, 'most' => 2.0], $row->ratio('rate'));
        self::assertSame(100.0, $row->figure('amqp1', 'rate'));
        self::assertNull($row->figure('amqp1', 'p50'));
        self::assertNull($row->ratio('p50'));
    }

    /** @return array<string, array{Target, float, float, bool}> the target, our figure, the reference's, whether it is met */
    public static function targets(): array
    {
        return [
            'a rate above' => [Target::ratioAtLeast(1), 101, 100, true],
            'a rate at the limit' => [Target::ratioAtLeast(1), 100, 100, true],
            'a rate that is printed as the limit' => [Target::ratioAtLeast(1), 99.6, 100, true],
            'a rate below' => [Target::ratioAtLeast(1), 99, 100, false],
            'CPU below' => [Target::ratioAtMost(1), 99, 100, true],
            'CPU above' => [Target::ratioAtMost(1), 101, 100, false],
            'p50 just above' => [Target::ratioAtMost(0.95), 96, 100, false],
            'a figure of its own, whatever the reference has' => [Target::atMost(1.3), 1.3, 1, true],
            'a figure of its own above' => [Target::atMost(1.3), 1.31, 10, false],
        ];
    }

    /** @dataProvider targets */
    #[DataProvider('targets')]
    public function testAMissedTargetIsMarked(Target $target, float $ours, float $theirs, bool $met): void
    {
        $metric = new Metric('cpu', $target);
        $row = self::row(['cpu' => [$ours]], ['cpu' => [$theirs]], $metric);

        self::assertSame($met, $row->isMet($metric));
        self::assertSame($met ? [] : ['µs CPU a job'], $row->missed());
        self::assertSame(!$met, str_contains((new Printer(false))->text($row), 'MISSED'));
        self::assertSame(!$met, str_contains((new Printer(true))->text($row), "\e[31m"));
        self::assertStringNotContainsString("\e", (new Printer(false))->text($row));
        self::assertSame(!$met, str_contains((new Printer(false))->markdown([$row]), 'MISSED'));
    }

    public function testATargetWithoutAFigureIsNeitherMetNorMissed(): void
    {
        $metric = new Metric('calls', Target::atMost(4));
        $row = self::row(['rate' => [1]], ['rate' => [1]], $metric);
        $row->leaveOut('system calls: strace is not installed');

        self::assertNull($row->isMet($metric));
        self::assertSame([], $row->missed());
        self::assertStringContainsString('left out: system calls: strace is not installed', (new Printer(false))->text($row));
    }

    public function testARowPrintsItsFiguresRatioRangeAndLoad(): void
    {
        $row = self::row(['rate' => [1000, 3000, 2000]], ['rate' => [1000, 2000, 1000]], new Metric('rate', Target::ratioAtLeast(1)));
        $row->add('php-amqplib', ['rate' => 500]);
        $row->load = [0.4, 1.26];

        $text = (new Printer(false))->text($row);
        self::assertMatchesRegularExpression('/^A row  \(test\/row; 3 rounds, load 0\.4–1\.3\)$/m', $text);
        self::assertMatchesRegularExpression('/^ +amqp1 +php-amqp +ratio +rounds +php-amqplib +ratio +target$/m', $text);
        self::assertMatchesRegularExpression('/^ +jobs\/s +2,000 +1,000 +1\.50 +1\.00–2\.00 +500 +2\.00 +≥ 1$/m', $text);
        self::assertStringContainsString("| **A row** | | | | | | | |\n| jobs/s | 2,000 | 1,000 | 1.50 | 1.00–2.00 | 500 | 2.00 | ≥ 1 |", (new Printer(false))->markdown([$row]));
    }

    /** @return array<string, array{list<int>, int}> amqp1's CPU in each round, the exit status of --check */
    public static function checks(): array
    {
        return ['all targets are met' => [[9, 9, 11], 0], 'one is missed' => [[11, 9, 11], 1]];
    }

    /**
     * @dataProvider checks
     *
     * @param list<int> $cpu
     */
    #[DataProvider('checks')]
    public function testCheckFailsIfATargetIsMissed(array $cpu, int $status): void
    {
        $file = tempnam(sys_get_temp_dir(), 'amqp1-bench-');
        try {
            $results = self::results(self::row(['cpu' => $cpu], ['cpu' => [10, 10, 10]], new Metric('cpu', Target::ratioAtMost(1))));
            $results->save($file);
            self::assertEquals($results, Results::load([$file]), 'the file has everything');
            exec(escapeshellarg(PHP_BINARY) . ' ' . escapeshellarg(__DIR__ . '/../bench/table') . ' --check ' . escapeshellarg($file), $lines, $code);

            self::assertSame([$status, Report::markdown($results)], [$code, implode("\n", $lines) . "\n"]);
            self::assertSame($status === 1, str_contains(implode("\n", $lines), 'MISSED'));
        } finally {
            unlink($file);
        }
    }

    public function testTheRowsHaveTheirTargets(): void
    {
        $targets = [];
        foreach (Scenarios::everyday() as $scenario) {
            foreach ($scenario->steps as $step) {
                if ($step->row !== null) {
                    self::assertArrayNotHasKey($step->row, $targets, 'an id is of one row');
                    $targets[$step->row] = array_filter(array_combine(
                        array_map(static fn (Metric $metric) => $metric->key, $step->metrics),
                        array_map(static fn (Metric $metric) => $metric->target === null ? null : (string) $metric->target, $step->metrics)
                    ));
                }
            }
        }

        foreach (['quorum', 'classic'] as $type) {
            self::assertSame(['rate' => '≥ 1', 'cpu' => '≤ 1', 'p50' => '≤ 0.95', 'switches' => '≤ 1.3', 'calls' => '≤ 4'], $targets["push/$type"]);
        }
        foreach (['prefetch/1', 'prefetch/10', 'prefetch/100', 'prefetch/1000', 'prefetch/default', 'pushMany/256', 'pushMany/classic'] as $row) {
            self::assertSame(['rate' => '≥ 1', 'cpu' => '≤ 1'], $targets[$row], $row);
        }
        foreach (['16K', '256K', '4M'] as $size) {
            foreach (['pushMany', 'consume'] as $group) {
                self::assertSame(['rate' => '≥ 1', 'cpu' => '≤ 1', 'memory' => '≤ 1.2'], $targets["$group/$size"]);
            }
        }
        self::assertSame(['rate' => '≥ 0.9'], $targets['envelope/payload']);
        self::assertSame(['rate' => '≥ 1', 'cpu' => '≤ 1', 'first' => '≤ 1'], $targets['queues/500']);
        self::assertSame([], $targets['floor/1'], 'it has no client of ours');
    }

    /** @return array<string, array{bool, float, float}> with the growth rows, how slow the machine is, the minutes of bench/run */
    public static function machines(): array
    {
        return [
            'as estimated' => [false, 1, 14],
            'twice as fast' => [false, 0.5, 14],
            'twice as slow' => [false, 2, 14],
            'little time' => [false, 1, 5],
            'all rows' => [true, 1, 90],
            'all rows, slow' => [true, 2, 90],
        ];
    }

    /** @dataProvider machines */
    #[DataProvider('machines')]
    public function testThePlanHasEachRowAndKeepsToItsTime(bool $full, float $pace, float $minutes): void
    {
        $scenarios = [...Scenarios::everyday(), ...($full ? GrowthScenarios::all() : [])];
        $plan = new Plan($scenarios, 5);
        $taken = 0.0;
        foreach ($scenarios as $i => $scenario) {
            $rounds = $plan->rounds($i, 60 * $minutes - $taken)[$i];
            self::assertGreaterThanOrEqual($pace <= 1 && $minutes > 10 ? min(3, $scenario->rounds ?? 3) : 1, $rounds, $scenario->name());
            self::assertLessThanOrEqual($scenario->rounds ?? 5, $rounds, $scenario->name());
            $seconds = $pace * $scenario->seconds($rounds);
            $taken += $seconds;
            $plan->took($scenario, $rounds, $seconds);
        }

        self::assertLessThanOrEqual($minutes, $taken / 60);
    }

    public function testTimeThatIsLeftGoesToTheLaterRows(): void
    {
        $scenarios = array_fill(0, 4, new Scenario('quorum', 1_000, ['amqp1' => []], [new Step('consume', 'a/row')]));
        $each = $scenarios[0]->seconds(1);
        $plan = new Plan($scenarios, 3);

        self::assertSame([2, 2, 1, 1], $plan->rounds(0, 7 * $each));
        $plan->took($scenarios[0], 2, 0.1 * $each);
        self::assertSame([1 => 3, 2 => 3, 3 => 3], $plan->rounds(1, 10 * $each));
        self::assertSame([3 => 1], $plan->rounds(3, -10), 'one in any case');
    }

    public function testARowThatFailsIsSaidToHaveFailed(): void
    {
        $row = self::row(['rate' => [1]], ['rate' => [2]], new Metric('rate'));
        $row->failure = 'job 7 came twice';
        $results = self::results(Row::fromArray($row->toArray()));

        self::assertSame(['test/row' => 'job 7 came twice'], $results->failed());
        self::assertStringContainsString("\n  FAILED: job 7 came twice\n", (new Printer(false))->text($row));
        self::assertStringContainsString("\nFAILED: A row: job 7 came twice.\n", Report::markdown($results));
    }

    public function testAMeasurementThatTakesTooLongIsEnded(): void
    {
        $program = tempnam(sys_get_temp_dir(), 'amqp1-bench-');
        file_put_contents($program, "#!/bin/sh\necho begun\nexec sleep 600\n");
        chmod($program, 0o700);
        putenv("AMQP1_BENCH_PHP=$program");
        try {
            $begun = microtime(true);
            (new Workers())->together(array_fill(0, 2, new Task('amqp1', 'push', '', [], 1, 0)), 1);
            self::fail('it ended by itself');
        } catch (RuntimeException $e) {
            self::assertSame('amqp1, push was killed after 1 s: begun; amqp1, push was killed after 1 s: begun', $e->getMessage());
            self::assertLessThan(60, microtime(true) - $begun);
        } finally {
            putenv('AMQP1_BENCH_PHP');
            unlink($program);
        }
    }

    public function testTheGrowthTableHasWhatWasMeasured(): void
    {
        $results = self::results();
        self::assertSame('', Growth::markdown($results));
        foreach (['consume/4K' => 4, 'consume/256' => 2, 'pushMany/256' => 3, 'pushMany/classic' => 9, 'queues/1' => 5, 'backlog/push-10000' => 6, 'backlog/push-1000000' => 7] as $id => $cpu) {
            $row = new Row($id, $id, 'amqp1', 'php-amqp', []);
            $row->add('amqp1', ['rate' => 1000 * $cpu, 'cpu' => $cpu]);
            $row->add('php-amqp', ['rate' => 2000 * $cpu, 'cpu' => 2 * $cpu]);
            $results->add($row);
        }

        self::assertSame([
            '| Size: 256 octets | 3,000 | 0.50 | 3.0 | 0.50 | 2,000 | 0.50 | 2.0 | 0.50 |',
            '| Size: 4 KB | - | - | - | - | 4,000 | 0.50 | 4.0 | 0.50 |',
            '| Backlog: 10,000 | 6,000 | 0.50 | 6.0 | 0.50 | - | - | - | - |',
            '| Backlog: 1,000,000 | 7,000 | 0.50 | 7.0 | 0.50 | - | - | - | - |',
        ], array_slice(explode("\n", trim(Growth::markdown($results))), 2));
        self::assertStringContainsString("\nRatios are to php-amqp.\n", Report::markdown($results));
    }

    public function testMixedPayloadsAreTheSameForEveryClientAndKeepTheirBounds(): void
    {
        $task = new Task('amqp1', 'pushMany', '', ['q'], 1, 0, size: 0);
        $sizes = array_map($task->size(...), range(0, 99_999));

        self::assertSame($sizes, array_map(Task::fromJson($task->toJson())->size(...), range(0, 99_999)));
        self::assertSame(64, min($sizes));
        self::assertGreaterThan(1 << 20, max($sizes));
        self::assertLessThanOrEqual(4 << 20, max($sizes));
        self::assertSame($sizes[7], strlen($task->payload(7)));
        $small = count(array_filter($sizes, static fn (int $size) => $size < 128));
        self::assertEqualsWithDelta(50_000, $small, 500, 'half of them are smaller than twice the least');
    }

    public function testAConsumerOfManyQueuesHasNotGotAllJobsBeforeTheClockStarts(): void
    {
        foreach (Scenarios::everyday() as $scenario) {
            foreach ($scenario->queues > 1 ? $scenario->steps : [] as $step) {
                self::assertLessThan(0.5, ($step->task['prefetch'] ?? 0) * $scenario->queues / $scenario->jobs, $scenario->name());
            }
        }
    }

    private static function results(Row ...$rows): Results
    {
        $results = new Results([
            'cpu' => 'a CPU', 'cores' => 2, 'system' => 'Linux', 'php' => '8.2', 'date' => '2026-01-01',
            'amqp1' => '1.0', 'rabbitmq' => '4.3', 'clients' => 'php-amqp 1.11', 'load' => [1, 2, 3],
        ]);
        array_map($results->add(...), $rows);

        return $results;
    }

    /**
     * @param array<string, list<int|float>> $ours key => its rounds
     * @param array<string, list<int|float>> $theirs
     */
    private static function row(array $ours, array $theirs, Metric ...$metrics): Row
    {
        $row = new Row('test/row', 'A row', 'amqp1', 'php-amqp', array_values($metrics));
        foreach (['amqp1' => $ours, 'php-amqp' => $theirs] as $client => $figures) {
            foreach ($figures as $key => $rounds) {
                foreach ($rounds as $figure) {
                    $row->add($client, [$key => $figure]);
                }
            }
        }

        return $row;
    }
}
