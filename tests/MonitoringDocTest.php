<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\Cli;
use Amqp1\Tests\Support\ProgramBroker;
use Amqp1\Tests\Support\Prometheus;
use PHPUnit\Framework\TestCase;

/** docs/monitoring.md and docs/monitoring/: what a worker tells, and what rules, dashboard and queries ask for, are the same metrics. */
final class MonitoringDocTest extends TestCase
{
    private const DOCS = __DIR__ . '/../docs';

    /** The text of a scrape that has every metric. */
    private static string $scrape;

    /** @var array<string, array{type: string, samples: list<array{labels: array<string, string>}>}> */
    private static array $families;

    private static string $page;
    private static string $folder;

    public static function setUpBeforeClass(): void
    {
        self::$page = (string) file_get_contents(self::DOCS . '/monitoring.md');
        self::$folder = sys_get_temp_dir() . '/amqp1-monitoring-' . bin2hex(random_bytes(6));
        mkdir(self::$folder);
        file_put_contents(self::$folder . '/handlers.php', '<?php return fn () => null;');
        $broker = ProgramBroker::start();
        (new AmqpQueue($broker->dsn, 'orders'))->push('job');
        $worker = Child::command(Cli::command('work', '-H', self::$folder . '/handlers.php', '-Q', 'orders', '--metrics=127.0.0.1:0', '--metrics-interval=1'),
            ['AMQP1_DSN' => $broker->dsn]);
        preg_match('#http://[\d.:]+/metrics#', $worker->waitFor('metrics at '), $match);
        $worker->waitFor('done in');
        for ($until = microtime(true) + 20;; usleep(100_000)) {
            self::$scrape = (string) file_get_contents($match[0]);
            if (str_contains(self::$scrape, 'amqp1_queue_ready_jobs{') && str_contains(self::$scrape, 'outcome="acked"} 1') || microtime(true) > $until) {
                break;
            }
        }
        $worker->signal(SIGTERM);
        $worker->wait(10);
    }

    protected function setUp(): void
    {
        self::$families ??= Prometheus::parse(self::$scrape);
    }

    public static function tearDownAfterClass(): void
    {
        array_map('unlink', glob(self::$folder . '/*') ?: []);
        rmdir(self::$folder);
    }

    public function testTheTableHasEveryMetricAndNoOther(): void
    {
        preg_match_all('/^\| ((?:`amqp1_\w+`(?:, )?)+) \| (counter|gauge|histogram) \| ([^|]*)\|/m', self::$page, $rows, PREG_SET_ORDER);
        $told = [];
        foreach ($rows as [, $names, $type, $labels]) {
            preg_match_all('/`(\w+)`/', $names, $each);
            preg_match_all('/`(\w+)`/', $labels, $its);
            foreach ($each[1] as $name) {
                $told[$name] = [strtoupper($type), $its[1]];
            }
        }
        $real = array_map(static fn (array $family) => [$family['type'], array_keys($family['samples'][0]['labels'])], self::$families);
        foreach ([&$told, &$real] as &$all) {
            ksort($all);
            foreach ($all as &$one) {
                sort($one[1]);
            }
        }
        self::assertSame($real, $told);
    }

    public function testTheAlertRulesAreRulesAboutTheseMetrics(): void
    {
        self::assertSame(self::$families, Prometheus::parse(self::$scrape, [self::DOCS . '/monitoring/alerts.yml']));
        self::assertGreaterThan(8, substr_count((string) file_get_contents(self::DOCS . '/monitoring/alerts.yml'), '- alert: '));
    }

    public function testTheAlertsFireWhenTheyShould(): void
    {
        self::assertSame(0, Prometheus::tool('check', 'rules', self::DOCS . '/monitoring/alerts.yml')[0]);
        // As they are; with a rule that does not fire any more; with one that fires too early.
        foreach (['' => '', 'failed_jobs) > 0' => 'failed_jobs) > 5', 'age_seconds) > 900' => 'age_seconds) > 700'] as $rule => $wrong) {
            $rules = (string) file_get_contents(self::DOCS . '/monitoring/alerts.yml');
            self::assertStringContainsString($rule, $rules);
            file_put_contents(self::$folder . '/alerts.yml', str_replace($rule, $wrong, $rules));
            copy(self::DOCS . '/monitoring/alerts_test.yml', self::$folder . '/alerts_test.yml');
            [$code, $said] = Prometheus::tool('test', 'rules', self::$folder . '/alerts_test.yml');
            self::assertSame($rule === '' ? 0 : 1, $code, "$rule\n$said");
        }
        preg_match_all('/- alert: (\w+)/', $rules, $alerts);
        foreach ($alerts[1] as $alert) {
            self::assertStringContainsString("alertname=\"$alert\"", (string) file_get_contents(self::DOCS . '/monitoring/alerts_test.yml'));
        }
    }

    public function testTheDashboardAsksForTheseMetrics(): void
    {
        $dashboard = json_decode((string) file_get_contents(self::DOCS . '/monitoring/dashboard.json'), true, 512, JSON_THROW_ON_ERROR);
        self::assertSame(['datasource', 'queue'], array_column($dashboard['templating']['list'], 'name'));
        self::assertNotEmpty($dashboard['uid']);
        self::assertGreaterThan(30, $dashboard['schemaVersion']);
        $expressions = $places = [];
        foreach ($dashboard['panels'] as $panel) {
            self::assertContains($panel['type'], ['stat', 'timeseries'], $panel['title']);
            self::assertSame('${datasource}', $panel['datasource']['uid'], $panel['title']);
            self::assertNotSame([], $panel['targets'], $panel['title']);
            self::assertLessThanOrEqual(24, $panel['gridPos']['x'] + $panel['gridPos']['w'], $panel['title']);
            foreach ($panel['targets'] as $target) {
                $expressions[] = strtr($target['expr'], ['$queue' => '.*', '$__rate_interval' => '1m']);
                self::assertStringNotContainsString('$', end($expressions));
                // The labels of the legend are there.
                preg_match_all('/\{\{(\w+)\}\}/', $target['legendFormat'], $labels);
                foreach (array_diff($labels[1], ['instance']) as $label) {
                    self::assertMatchesRegularExpression("/by \([^)]*\b$label\b/", $target['expr'], $panel['title']);
                }
            }
            for ($x = $panel['gridPos']['x']; $x < $panel['gridPos']['x'] + $panel['gridPos']['w']; $x++) {
                for ($y = $panel['gridPos']['y']; $y < $panel['gridPos']['y'] + $panel['gridPos']['h']; $y++) {
                    self::assertArrayNotHasKey("$x $y", $places, "$panel[title] lies on another panel");
                    $places["$x $y"] = true;
                }
            }
        }
        self::assertSame(count($dashboard['panels']), count(array_unique(array_column($dashboard['panels'], 'id'))));
        $this->assertTheseAreExpressions($expressions);
        self::assertSame('label_values(amqp1_jobs_total, queue)', $dashboard['templating']['list'][1]['definition']);
    }

    public function testTheQueriesOfThePage(): void
    {
        preg_match_all('/<!-- query -->\n```\n(.*?)\n```/s', self::$page, $queries);
        preg_match_all('/^ *query: (.*)$/m', self::$page, $more);
        self::assertSame([1, 1], [count($queries[1]), count($more[1])]);
        $this->assertTheseAreExpressions([...$queries[1], ...$more[1]]);
    }

    public function testAnExpressionAboutAMetricThatNobodyTellsIsFound(): void
    {
        $file = $this->rules(['sum(amqp1_jobs_totals)', 'rate(amqp1_jobs_total[5m']);
        [$code, , $err] = Prometheus::check(self::$scrape, [$file]);
        self::assertSame(1, $code);
        self::assertStringContainsString('parse error', $err);
        [$code, , $err] = Prometheus::check(self::$scrape, [$this->rules(['sum(amqp1_jobs_totals)'])]);
        self::assertSame(1, $code);
        self::assertStringContainsString('no metric "amqp1_jobs_totals" in the text', $err);
    }

    public function testTheCommandLinesAreUnderstood(): void
    {
        preg_match_all('/command: (\[.*?\])$/ms', self::$page, $commands);
        self::assertCount(2, $commands[1]);
        foreach ($commands[1] as $command) {
            $words = json_decode((string) preg_replace('/\s+/', ' ', $command), true, 512, JSON_THROW_ON_ERROR);
            self::assertSame(['php', 'vendor/bin/amqp1'], array_slice($words, 0, 2));
            $run = Cli::run([...array_slice($words, 2), '--help']);
            self::assertSame(0, $run->code, $run->err);
        }
        preg_match_all('/^amqp1 (.*)$/m', self::$page, $lines);
        self::assertCount(1, $lines[1]);
        self::assertSame(0, Cli::run([...explode(' ', $lines[1][0]), '--help'])->code);
    }

    public function testTheConfigurationsAreYaml(): void
    {
        preg_match_all('/<!-- file: (\S+\.ya?ml) -->\n```yaml\n(.*?)```/s', self::$page, $files, PREG_SET_ORDER);
        self::assertCount(4, $files);
        foreach ($files as [, $name, $text]) {
            file_put_contents(self::$folder . "/$name", $text);
            // The extension reads YAML, and says where it is none.
            try {
                new \Amqp1\Jobs(self::$folder . "/$name");
            } catch (\Amqp1\Exception\ConfigException $e) {
                self::assertDoesNotMatchRegularExpression('/line \d+, column \d+/', $e->getMessage(), $name);
            }
        }
    }

    /** @param list<string> $expressions */
    private function assertTheseAreExpressions(array $expressions): void
    {
        self::assertNotSame([], $expressions);
        Prometheus::parse(self::$scrape, [$this->rules($expressions)]);
    }

    /** @param list<string> $expressions */
    private function rules(array $expressions): string
    {
        $file = self::$folder . '/rules.yml';
        $rules = array_map(static fn (int $n, string $expression) => ['record' => "test:$n", 'expr' => $expression], array_keys($expressions), $expressions);
        file_put_contents($file, json_encode(['groups' => [['name' => 'test', 'rules' => $rules]]], JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES));

        return $file;
    }
}
