<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\Cli;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\ProgramBroker;
use Amqp1\Tests\Support\Prometheus;
use Amqp1\Worker;
use Amqp1\Worker\Monitoring\ClientMetrics;
use Amqp1\Worker\Monitoring\Exposition;
use Amqp1\Worker\Monitoring\StateFile;
use PHPUnit\Framework\Attributes\DataProvider;

/** `amqp1 work --metrics` and `--metrics-file`: a worker's metrics and probes are there while a handler runs, and gone with it. */
final class WorkerMetricsTest extends ContractTestCase
{
    private const HANDLERS = <<<'PHP'
        <?php
        return [
            'quick' => fn () => null,
            'bad' => fn () => throw new DomainException('no'),
            'long' => function ($task) {
                fwrite(STDERR, "begin\n");
                for ($until = microtime(true) + $task->getPayload(); ($left = $until - microtime(true)) > 0;) { usleep((int) ($left * 1e6)); }
                fwrite(STDERR, "end\n");
            },
            'waits' => function () {
                if (pcntl_fork() === 0) { posix_kill(getmypid(), SIGKILL); }
                for ($n = 0; pcntl_wait($status) > 0; $n++);
                fwrite(STDERR, "$n ended\n");
            },
            'leaves' => function () {
                if (pcntl_fork() === 0) { sleep(20); posix_kill(getmypid(), SIGKILL); }
                fwrite(STDERR, "begin\n");
                sleep(20);
            },
            'row' => new Amqp1\Worker\Batch(fn (array $tasks) => null, size: 3, seconds: 0.2),
        ];
        PHP;

    private string $folder;

    protected function setUp(): void
    {
        $this->folder = sys_get_temp_dir() . '/amqp1-metrics-' . bin2hex(random_bytes(6));
        mkdir($this->folder);
        file_put_contents("$this->folder/handlers.php", self::HANDLERS);
    }

    protected function tearDown(): void
    {
        array_map('unlink', glob("$this->folder/*") ?: []);
        rmdir($this->folder);
        parent::tearDown();
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testMetricsAndProbesWhileAHandlerRuns(string $broker): void
    {
        $began = microtime(true);
        $queue = $this->declared($this->queue($broker));
        $name = $queue->getName();
        foreach (['quick', 'bad', 'row', 'row', 'row'] as $job) {
            $queue->push($job);
        }
        [$worker, $at] = $this->start($this->broker($broker)->dsn, $name, '--max-attempts=1', '--metrics-interval=1');
        $this->eventually(fn () => self::value($at, 'amqp1_jobs_total', ['outcome' => 'acked']) === 4, 'four are acknowledged');
        $isManaged = $this->broker($broker)->supports('management');
        if ($isManaged) {
            $this->eventually(fn () => self::value($at, 'amqp1_queue_failed_jobs') === 1, 'one has failed');
        }
        // Figures are written ten times a second at most.
        usleep(300_000);
        $queue->push('long', 6);
        $worker->waitFor('begin');
        $queue->pushMany(array_fill(0, 5, ['name' => 'quick']));
        usleep(1_500_000);

        $families = Prometheus::parse(self::get("$at/metrics")[1]);
        $only = static fn (string $family, array $labels = []) => self::only($families, $family, $labels);
        self::assertSame([4, 1, 0], [$only('amqp1_jobs_total', ['queue' => $name, 'outcome' => 'acked']),
            $only('amqp1_jobs_total', ['outcome' => 'dead_lettered']), $only('amqp1_jobs_total', ['outcome' => 'lost'])]);
        self::assertSame('COUNTER', $families['amqp1_jobs_total']['type']);
        self::assertSame([4, 0, 1], [$only('amqp1_client_settled_jobs_total', ['queue' => $name, 'outcome' => 'acked']),
            $only('amqp1_client_redelivered_jobs_total', ['queue' => $name]), $only('amqp1_client_in_hand_jobs', ['queue' => $name])]);
        self::assertGreaterThanOrEqual(1, $only('amqp1_client_open_connections'));
        self::assertSame(3, $only('amqp1_handler_duration_seconds')['count'], 'a batch is one call');
        self::assertSame([1, 1, 1], [$only('amqp1_worker_jobs_in_hand'), $only('amqp1_worker_alive'), $only('amqp1_worker_ready')]);
        self::assertGreaterThan(1.0, $only('amqp1_worker_handler_running_seconds'));
        $isOfThisTest = self::logicalAnd(self::greaterThan($began - 1), self::lessThan(microtime(true) + 1));
        self::assertThat($only('amqp1_last_job_timestamp_seconds'), $isOfThisTest);
        self::assertGreaterThan(1 << 20, $only('amqp1_worker_resident_memory_bytes'));
        if ($isManaged) {
            self::assertSame(1, $only('amqp1_queue_up', ['queue' => $name]));
            // A broker that takes long to count is asked less often.
            self::assertThat($only('amqp1_queue_polled_timestamp_seconds'), $isOfThisTest);
            self::assertGreaterThanOrEqual(1, $only('amqp1_queue_ready_jobs'), 'more than it buffers');
        } else {
            self::assertArrayNotHasKey('amqp1_queue_up', $families);
        }
        $busy = ['HTTP/1.1 200 OK', "worker {$worker->pid()} is working on 1 job for N s\n"];
        self::assertSame([$busy, $busy], [self::get("$at/healthz"), self::get("$at/readyz")]);

        $worker->signal(SIGTERM);
        $stopping = "worker {$worker->pid()} is stopping, working on 1 job for N s\n";
        $this->eventually(static fn () => self::get("$at/readyz") === ['HTTP/1.1 503 Service Unavailable', $stopping], 'it is stopping', 2);
        self::assertSame(['HTTP/1.1 200 OK', $stopping], self::get("$at/healthz"));
        self::assertSame(0, $worker->wait(20), $worker->output());
        self::assertStringContainsString("end\n", $worker->output());
        self::assertNull(self::get("$at/healthz"), 'it ends with its worker');
        self::assertSame([], self::sidecars($worker));
    }

    /** @return array<string, array{string}> what the worker does meanwhile */
    public static function kills(): array
    {
        return ['it waits' => [''], 'a handler runs' => ['long'], 'a process is left that has the same sockets' => ['leaves']];
    }

    /** @dataProvider kills */
    #[DataProvider('kills')]
    public function testNothingIsLeftOfAWorkerThatIsKilled(string $job): void
    {
        $broker = ProgramBroker::start();
        if ($job !== '') {
            (new AmqpQueue($broker->dsn, 'q'))->push($job, 20);
        }
        [$worker, $at] = $this->start($broker->dsn, 'q');
        if ($job !== '') {
            $worker->waitFor('begin');
        }
        self::assertCount(1, self::sidecars($worker));
        $worker->kill();
        $start = hrtime(true);
        $this->eventually(static fn () => self::sidecars($worker) === [], 'the process has ended', 5);
        self::assertNull(self::get("$at/metrics"));
        self::assertLessThan(3.0, (hrtime(true) - $start) / 1e9);
    }

    public function testTheNextWorkerGetsTheAddressAtOnce(): void
    {
        $broker = ProgramBroker::start();
        [$worker, $at] = $this->start($broker->dsn, 'q');
        $address = substr($at, strlen('http://'));
        $second = Cli::run(['work', '-H', "$this->folder/handlers.php", '-Q', 'q', '--metrics', $address], ['AMQP1_DSN' => $broker->dsn]);
        self::assertSame(2, $second->code);
        self::assertStringContainsString("cannot listen on $address: Address already in use. Each worker needs an address of its own", $second->err);
        $worker->kill();
        [$next] = $this->start($broker->dsn, 'q', "--metrics=$address");
        self::assertSame("worker {$next->pid()} is waiting for jobs\n", self::get("$at/readyz")[1]);
    }

    public function testAHandlerThatWaitsForItsChildrenDoesNotWaitForTheMetrics(): void
    {
        $broker = ProgramBroker::start();
        (new AmqpQueue($broker->dsn, 'q'))->push('waits');
        [$worker, $at] = $this->start($broker->dsn, 'q');
        $worker->waitFor('1 ended');
        self::assertSame('HTTP/1.1 200 OK', self::get("$at/healthz")[0]);
    }

    public function testABrokerThatIsAwayAndOneThatIsSilent(): void
    {
        $broker = ProgramBroker::start();
        $port = (int) parse_url($broker->dsn, PHP_URL_PORT);
        [$worker, $at] = $this->start("$broker->dsn?redial_timeout=1", 'q', '--metrics-interval=1');
        $this->eventually(static fn () => self::value($at, 'amqp1_queue_up') === 1, 'the broker has answered');
        $broker->stop();
        $this->eventually(static fn () => self::get("$at/readyz") === ['HTTP/1.1 503 Service Unavailable', "worker {$worker->pid()} has lost its broker\n"],
            'it is not ready', 30);
        self::assertSame('HTTP/1.1 200 OK', self::get("$at/healthz")[0], 'a new worker would not bring it back');
        $this->eventually(static fn () => self::value($at, 'amqp1_queue_up') === 0, 'the queue is not known');
        self::assertNull(self::value($at, 'amqp1_queue_ready_jobs'), 'old figures are not told');
        self::assertSame(1, self::value($at, 'amqp1_worker_outages_total'));
        $again = ProgramBroker::start([], $port);
        $this->eventually(static fn () => self::get("$at/readyz")[0] === 'HTTP/1.1 200 OK' && self::value($at, 'amqp1_queue_up') === 1, 'all is well', 60);

        $again->freeze();
        for ($longest = 0.0, $until = microtime(true) + 5; microtime(true) < $until; usleep(100_000)) {
            $start = microtime(true);
            self::assertSame('HTTP/1.1 200 OK', self::get("$at/healthz")[0]);
            $longest = max($longest, microtime(true) - $start);
        }
        self::assertLessThan(1.9, $longest);
        $again->thaw();
        $again->stop();
    }

    public function testTheServerSpeaksHttpAndNobodySlowMakesOthersWait(): void
    {
        $broker = ProgramBroker::start();
        [$worker, $at] = $this->start($broker->dsn, 'q');
        $raw = static function (string ...$parts) use ($at): string {
            $socket = stream_socket_client('tcp' . substr($at, 4));
            foreach ($parts as $part) {
                fwrite($socket, $part);
                usleep(50_000);
            }

            return (string) stream_get_contents($socket);
        };
        $slow = array_map(static fn () => stream_socket_client('tcp' . substr($at, 4)), range(1, 50));
        array_map(static fn ($socket) => fwrite($socket, 'GET /met'), $slow);
        self::assertStringContainsString("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n", $raw("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"));
        self::assertMatchesRegularExpression('#^HTTP/1\.1 200 OK\r\n.*Content-Length: [1-9]\d+\r\n.*\r\n\r\n$#s', $raw("HEAD /metrics?x=1 HTTP/1.0\r\n\r\n"));
        self::assertStringStartsWith('HTTP/1.1 200 ', $raw("GET /hea", "lthz HTTP/1.1\r\nHo", "st: x\r\n", "\r\n"));
        self::assertStringStartsWith('HTTP/1.1 404 Not Found', $raw("GET / HTTP/1.1\r\n\r\n"));
        self::assertStringContainsString("\r\nAllow: GET, HEAD\r\n", $raw("POST /metrics HTTP/1.1\r\n\r\n"));
        self::assertStringStartsWith('HTTP/1.1 400 ', $raw("\x16\x03\x01\r\n\r\n"));
        self::assertStringStartsWith('HTTP/1.1 431 ', $raw('GET /metrics HTTP/1.1' . str_repeat('x', 9000)));
        $this->eventually(static fn () => fread($slow[0], 1) === '' && feof($slow[0]), 'a slow one is dropped', 10);
        $worker->signal(SIGTERM);
        self::assertSame(0, $worker->wait(10), $worker->output());
    }

    public function testAServerThatDiesIsReported(): void
    {
        $broker = ProgramBroker::start();
        [$worker, $at] = $this->start($broker->dsn, 'q');
        posix_kill(self::sidecars($worker)[0], SIGKILL);
        $worker->waitFor('the process that serves the metrics has ended');
        self::assertNull(self::get("$at/healthz"), 'so that a probe fails');
        $worker->signal(SIGTERM);
        self::assertSame(0, $worker->wait(10), $worker->output());
    }

    public function testSignalsToTheWholeGroupLeaveTheProbesUntilTheWorkerEnds(): void
    {
        $broker = ProgramBroker::start();
        (new AmqpQueue($broker->dsn, 'q'))->push('long', 3);
        [$worker, $at] = $this->start($broker->dsn, 'q');
        $worker->waitFor('begin');
        foreach ([$worker->pid(), ...self::sidecars($worker)] as $pid) {
            posix_kill($pid, SIGTERM);
        }
        usleep(500_000);
        self::assertSame('HTTP/1.1 200 OK', self::get("$at/healthz")[0]);
        self::assertSame(0, $worker->wait(10), $worker->output());
        self::assertSame([], self::sidecars($worker));
    }

    public function testNamesOfQueuesAreEscaped(): void
    {
        $name = "a\"b\\c\nd\u{fc}\xff";
        $text = (new Exposition(['worker' => $name]))->metric('x_total', 'counter', "One\nline \\.")->sample(1, ['queue' => $name])->sample(null)
            ->metric('y', 'gauge', 'Of none.')->sample(null)
            ->metric('z_seconds', 'gauge', 'A float.')->sample(1e-7)->sample(INF, ['queue' => 'inf'])->text();
        $families = Prometheus::parse($text);
        self::assertSame(['x_total', 'z_seconds'], array_keys($families));
        self::assertSame(['queue' => "a\"b\\c\nd\u{fc}\u{fffd}", 'worker' => "a\"b\\c\nd\u{fc}\u{fffd}"], $families['x_total']['samples'][0]['labels']);
        self::assertSame([1e-7, '+Inf'], array_column($families['z_seconds']['samples'], 'value'));
    }

    public function testHowLongJobsWaitedForTheirFirstAttempt(): void
    {
        $queue = $this->queue('embedded');
        $queue->push('retried');
        $queue->push('quick', null, ['delay' => 1]);
        usleep(300_000);
        $file = "$this->folder/state";
        $worker = new Worker($queue, ['quick' => static fn () => null, 'retried' => static fn ($task) => $task->getAttempts() === 1 ? $task->nack(new \DomainException('no')) : null],
            ['stateFile' => $file, 'maxJobs' => 3, 'backoff' => 1.5, 'maxRuntime' => 20]);
        $before = ini_set('error_log', '/dev/null');
        self::assertSame(3, $worker->run()->jobs);
        ini_set('error_log', (string) $before);

        $waits = StateFile::read($file)['figures']['waits'][$queue->getName()];
        self::assertSame(2, $waits['count'], 'not the second attempt');
        self::assertGreaterThan(0.29, $waits['sum']);
        self::assertLessThan(0.9, $waits['sum'], 'not the delay');
    }

    public function testTheFiguresOfTheExtension(): void
    {
        $histogram = ['buckets' => [['le' => 0.001, 'count' => 1], ['le' => 1, 'count' => 3]], 'count' => 4, 'sum' => 5.5];
        $queue = ['endpoint' => 'amqp://localhost', 'pushed' => 4, 'confirmed' => 3, 'failed' => ['timeout' => 1, 'rejected' => 0], 'received' => 9,
            'redelivered' => 2, 'settled' => ['acked' => 5, 'retried' => 1, 'released' => 0, 'dead_lettered' => 0], 'lost' => 1, 'abandoned' => 0,
            'in_hand' => 1, 'buffered' => 7, 'push_seconds' => $histogram, 'held_seconds' => $histogram];
        $out = new Exposition();
        ClientMetrics::write($out, [
            'queues' => [['queue' => 'orders'] + $queue, ['queue' => '*'] + $queue],
            'connections' => ['open' => 2, 'opened' => 3, 'reopened' => 1, 'lost' => 1, 'failed' => 0, 'locks_renewed' => 0, 'locks_lost' => 0,
                'taken_back' => 0, 'blocked_seconds' => 1.5],
        ]);
        $families = Prometheus::parse($out->text());
        self::assertCount(21, $families);
        $at = ['queue' => 'orders', 'endpoint' => 'amqp://localhost'];
        self::assertSame([4, 7, 1, 5, 1.5], [
            self::only($families, 'amqp1_client_pushed_jobs_total', $at),
            self::only($families, 'amqp1_client_buffered_jobs', $at),
            self::only($families, 'amqp1_client_failed_pushes_total', ['kind' => 'timeout'] + $at),
            self::only($families, 'amqp1_client_settled_jobs_total', ['outcome' => 'acked'] + $at),
            self::only($families, 'amqp1_client_blocked_seconds_total'),
        ]);
        self::assertSame(['buckets' => ['+Inf' => 4, '0.001' => 1, '1' => 3], 'count' => 4, 'sum' => 5.5],
            self::only($families, 'amqp1_client_held_duration_seconds', $at));
    }

    public function testAFileForNodeExporter(): void
    {
        $broker = ProgramBroker::start();
        $queue = new AmqpQueue($broker->dsn, 'q');
        $queue->push('quick');
        $file = "$this->folder/orders.prom";
        $worker = Child::command(Cli::command('work', '-H', "$this->folder/handlers.php", '-Q', 'q', '--metrics-file', $file, '--metrics-interval=1'),
            ['AMQP1_DSN' => $broker->dsn]);
        for ($texts = [], $until = microtime(true) + 10; count($texts) < 4 && microtime(true) < $until; usleep(500)) {
            $text = (string) @file_get_contents($file);
            if ($text !== '') {
                self::assertStringEndsWith("\n", $text);
                self::assertStringContainsString('amqp1_queue_polled_timestamp_seconds{worker="orders",queue="q"}', $text, 'never half of it');
                $texts[$text] = true;
            }
        }
        $families = Prometheus::parse((string) array_key_last($texts));
        self::assertSame(1, self::only($families, 'amqp1_jobs_total', ['worker' => 'orders', 'queue' => 'q', 'outcome' => 'acked']));
        self::assertSame('0644', substr(sprintf('%o', fileperms($file)), -4));
        foreach ($families as $name => $family) {
            foreach ($family['samples'] as $sample) {
                self::assertSame('orders', $sample['labels']['worker'] ?? null, "$name: two files may not have the same metric");
            }
        }

        $queue->push('quick');
        $this->eventually(static fn () => count($queue) === 0, 'it is taken');
        $worker->signal(SIGTERM);
        self::assertSame(0, $worker->wait(10), $worker->output());
        $last = Prometheus::parse((string) file_get_contents($file));
        self::assertSame([2, 0, 0], [self::only($last, 'amqp1_jobs_total', ['outcome' => 'acked']), self::only($last, 'amqp1_worker_alive'), self::only($last, 'amqp1_worker_ready')]);
        self::assertArrayNotHasKey('amqp1_queue_ready_jobs', $last, 'nobody asks for it any more');
        $killed = Child::command(Cli::command('work', '-H', "$this->folder/handlers.php", '-Q', 'q', '--metrics-file', $file), ['AMQP1_DSN' => $broker->dsn]);
        $this->eventually(static fn () => str_contains((string) file_get_contents($file), 'amqp1_worker_ready{worker="orders"} 1'), 'it is ready', 40);
        $killed->kill();
        $this->eventually(static fn () => str_contains((string) file_get_contents($file), 'amqp1_worker_alive{worker="orders"} 0'), 'it is not alive');
        $this->eventually(static fn () => self::sidecars($killed) === [], 'the process has ended');
        self::assertSame([], array_diff(scandir($this->folder), ['.', '..', 'handlers.php', 'orders.prom']), 'no other file is left');
    }

    public function testTheParsersOfPrometheusFindMistakes(): void
    {
        foreach ([
            "# TYPE a_total counter\na_total{x=\"1\" 1\n" => 'cannot be parsed',
            "# HELP a A.\n# TYPE a counter\na 1\n" => 'counter metrics should have "_total" suffix',
            "# TYPE a_total counter\na_total 1\n" => 'no help text',
        ] as $text => $problem) {
            [$code, , $err] = Prometheus::check($text);
            self::assertSame(1, $code);
            self::assertStringContainsString($problem, $err);
        }
    }

    /** @return array{Child, string} the worker and http://HOST:PORT, when it is ready */
    private function start(string $dsn, string $queue, string ...$options): array
    {
        $metrics = preg_grep('/^--metrics=/', $options) === [] ? ['--metrics=127.0.0.1:0'] : [];
        $worker = Child::command(Cli::command('work', '-H', "$this->folder/handlers.php", '-Q', $queue, ...$metrics, ...$options), ['AMQP1_DSN' => $dsn]);
        preg_match('#http://[\d.:]+#', $worker->waitFor('metrics at '), $match);
        $this->eventually(static fn () => self::get("$match[0]/readyz")[0] === 'HTTP/1.1 200 OK', 'it is ready');

        return [$worker, $match[0]];
    }

    /** @return array{string, string}|null status line and body; null: nobody is there */
    private static function get(string $url): ?array
    {
        $stream = @fopen($url, 'r', false, stream_context_create(['http' => ['ignore_errors' => true, 'timeout' => 10]]));
        $body = $stream === false ? false : stream_get_contents($stream);

        return $body === false ? null : [stream_get_meta_data($stream)['wrapper_data'][0], (string) preg_replace('/[\d.]+ s$/m', 'N s', $body)];
    }

    /** Of the only sample with these labels; null: there is none. */
    private static function value(string $at, string $name, array $labels = []): mixed
    {
        foreach (explode("\n", self::get("$at/metrics")[1] ?? '') as $line) {
            if (preg_match("/^$name(?:\{(.*)\})? (\S+)$/", $line, $match) === 1) {
                foreach ($labels as $label => $value) {
                    if (!str_contains($match[1], "$label=\"$value\"")) {
                        continue 2;
                    }
                }

                return json_decode($match[2]);
            }
        }

        return null;
    }

    private static function only(array $families, string $name, array $labels = []): mixed
    {
        self::assertArrayHasKey($name, $families);
        $found = array_filter($families[$name]['samples'], static fn (array $sample) => array_intersect_assoc($labels, $sample['labels']) === $labels);
        self::assertCount(1, $found, $name . json_encode($labels));

        return reset($found)['value'];
    }

    /** @return list<int> the processes that serve this worker's metrics */
    private static function sidecars(Child $worker): array
    {
        $found = [];
        foreach (glob('/proc/[0-9]*/cmdline') ?: [] as $file) {
            if (str_contains((string) @file_get_contents($file), "amqp1 metrics of {$worker->pid()}")) {
                $found[] = (int) explode('/', $file)[2];
            }
        }

        return $found;
    }
}
