<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\ConfigException;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\Cli;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\ProgramBroker;
use Amqp1\Worker;
use Amqp1\Worker\Monitoring\Health;
use Amqp1\Worker\Monitoring\StateFile;

/** The state file of a worker and `amqp1 health`, which reads it or asks the broker: what each end and each trouble looks like. */
final class WorkerHealthTest extends ContractTestCase
{
    private const HANDLERS = <<<'PHP'
        <?php
        return [
            'long' => function ($task) { fwrite(STDERR, "begin\n"); time_nanosleep((int) $task->getPayload(), 0); fwrite(STDERR, "end\n"); },
        ];
        PHP;

    private string $folder;
    private string $file;

    protected function setUp(): void
    {
        $this->folder = sys_get_temp_dir() . '/amqp1-health-' . bin2hex(random_bytes(6));
        mkdir($this->folder);
        $this->file = "$this->folder/state";
        file_put_contents("$this->folder/handlers.php", self::HANDLERS);
    }

    protected function tearDown(): void
    {
        array_map('unlink', glob("$this->folder/*") ?: []);
        rmdir($this->folder);
        parent::tearDown();
    }

    public function testAWorkerFromItsStartToItsEnd(): void
    {
        $broker = ProgramBroker::start();
        $queue = new AmqpQueue($broker->dsn, 'q');
        self::assertSame([3, '', "amqp1: No worker has written its state to $this->file: the file does not exist\n"], $this->health('--ready'));

        $worker = $this->start($broker->dsn, '--stuck-after=2');
        $waits = "ok: worker {$worker->pid()} is waiting for jobs\n";
        $this->eventually(fn () => $this->health('--ready')[1] === $waits, 'it consumes');
        self::assertSame([0, $waits, ''], $this->health());
        self::assertSame([0, '', ''], $this->health('--quiet'));
        self::assertSame([0, "{\"healthy\":true,\"text\":\"worker {$worker->pid()} is waiting for jobs\"}\n", ''], $this->health('--json'));

        $queue->push('long', 4);
        $worker->waitFor('begin');
        self::assertSame([0, "ok: worker {$worker->pid()} is working on 1 job for N s\n", ''], $this->health('--ready'));
        usleep(2_200_000);
        self::assertSame([1, "not ok: worker {$worker->pid()} is stuck: its handler has run for N s, longer than N s\n", ''], $this->health());
        $worker->waitFor('end');
        $this->eventually(fn () => $this->health()[1] === $waits, 'it goes on');

        $worker->signal(SIGTERM);
        self::assertSame(0, $worker->wait(10), $worker->output());
        self::assertSame([1, "not ok: worker {$worker->pid()} has stopped\n", ''], $this->health());

        $next = $this->start($broker->dsn);
        $this->eventually(fn () => $this->health('--ready')[0] === 0, 'the next one consumes');
        self::assertSame(1, StateFile::read($this->file)['figures']['restarts']);
        $other = Cli::run(['work', '-H', "$this->folder/handlers.php", '-Q', 'q', '--state-file', $this->file], ['AMQP1_DSN' => $broker->dsn]);
        self::assertSame(2, $other->code);
        self::assertStringContainsString("belongs to the worker of process {$next->pid()}, which is running", $other->err);
        $next->kill();
        self::assertSame([1, "not ok: worker {$next->pid()} is not running: it ended without saying so\n", ''], $this->health());
        self::assertFalse(Health::of($this->file)?->isAlive);
    }

    public function testALostBrokerIsNoReasonToRestartAWorker(): void
    {
        $broker = ProgramBroker::start();
        $worker = $this->start("$broker->dsn?redial_timeout=1");
        $this->eventually(fn () => $this->health('--ready')[0] === 0, 'it consumes');
        $broker->stop();
        $this->eventually(fn () => $this->health('--ready') === [1, "not ok: worker {$worker->pid()} has lost its broker\n", ''], 'it is not ready', 30);
        self::assertSame([0, "ok: worker {$worker->pid()} has lost its broker\n", ''], $this->health());
        $worker->signal(SIGTERM);
        self::assertSame(0, $worker->wait(10), $worker->output());
    }

    public function testALoopThatNoLongerTurns(): void
    {
        $clock = hrtime(true);
        $now = ['pid' => getmypid(), 'born' => null, 'at' => $clock, 'since' => null, 'in_hand' => 0, 'phase' => Health::CONSUMING, 'limit' => null];
        foreach ([[0, true, true], [10, true, true], [15, true, false], [119, true, false], [121, false, false]] as [$age, $alive, $ready]) {
            $health = Health::judge(['at' => $clock - $age * 10 ** 9] + $now);
            self::assertSame([$alive, $ready], [$health->isAlive, $health->isReady], "$age s: $health->text");
        }
        self::assertTrue(Health::judge(['at' => $clock - 150 * 10 ** 9, 'limit' => 200] + $now)->isAlive);
        self::assertTrue(Health::judge(['since' => $clock - 5000 * 10 ** 9, 'at' => $clock - 5000 * 10 ** 9, 'in_hand' => 2] + $now)->isReady, 'a long job');
        self::assertFalse(Health::judge(['since' => $clock - 201 * 10 ** 9, 'limit' => 200] + $now)->isAlive);
        // Another process has its number by now.
        self::assertFalse(Health::judge(['born' => 1] + $now)->isAlive);
    }

    public function testTheBroker(): void
    {
        $broker = ProgramBroker::start();
        $run = Cli::run(['health'], ['AMQP1_DSN' => $broker->dsn]);
        self::assertSame(0, $run->code, $run->err);
        self::assertMatchesRegularExpression('/^ok: the broker answered within [\d.]+ ms\n$/', $run->out);
        $broker->stop();
        $run = Cli::run(['health', '--timeout=1'], ['AMQP1_DSN' => $broker->dsn]);
        self::assertSame([4, ''], [$run->code, $run->out]);
        foreach ([['--ready', '--dsn=embedded://'], ['--state-file', $this->file, '--queue=q']] as $words) {
            self::assertSame(2, Cli::run(['health', ...$words])->code);
        }
    }

    public function testNobodyReadsHalfARecord(): void
    {
        $writer = Child::php('
            require $argv[1];
            $file = Amqp1\Worker\Monitoring\StateFile::create($argv[2]);
            for ($n = 0; ; $n++) {
                $text = str_repeat((string) ($n % 10), 1 + $n * 37 % 700);
                $file->writeNow(["pid" => 0, "since" => 1, "in_hand" => 2, "text" => $text]);
                $file->writeIdle();
                $file->writeFigures(["text" => $text . $text . $text]);
                $n === 100 && print("writing\n");
            }
        ', [dirname(__DIR__) . '/php/autoload.php', $this->file]);
        $writer->waitFor('writing');
        for ($seen = [], $until = microtime(true) + 2; microtime(true) < $until;) {
            $state = StateFile::read($this->file);
            self::assertNotNull($state);
            self::assertMatchesRegularExpression('/^(\d)\1*$/', $state['now']['text']);
            self::assertMatchesRegularExpression('/^(\d)\1*$/', $state['figures']['text']);
            self::assertContains([$state['now']['since'], $state['now']['in_hand']], [[1, 2], [null, 0]]);
            $seen[$state['now']['text']] = true;
        }
        self::assertGreaterThan(20, count($seen));
    }

    public function testWithoutPcntlThereIsAStateFileButNoServer(): void
    {
        $code = 'require $argv[1];
            $queue = new Amqp1\AmqpQueue("embedded://", "q");
            $queue->push("job");
            try {
                (new Amqp1\Worker($queue, ["*" => fn () => print("done\n")], ["maxJobs" => 1] + json_decode($argv[2], true)))->run();
            } catch (Amqp1\Exception\ConfigException $e) {
                echo $e->getMessage(), "\n";
            }';
        $flags = ['-d', 'disable_functions=pcntl_fork,pcntl_signal,pcntl_async_signals', '-d', 'error_log=/dev/null'];
        $run = static fn (array $options) => Child::run($code, [dirname(__DIR__) . '/php/autoload.php', (string) json_encode($options)], $flags);
        self::assertStringContainsString('need the PHP extensions pcntl and posix', $run(['metrics' => '127.0.0.1:0']));
        self::assertStringContainsString('need the PHP extensions pcntl and posix', $run(['metricsFile' => "$this->folder/x.prom"]));
        self::assertStringContainsString('done', $run(['stateFile' => $this->file]));
        self::assertStringContainsString('has stopped', (string) Health::of($this->file)?->text);
    }

    public function testWhatCannotBeIsSaidBeforeTheFirstJob(): void
    {
        $queue = $this->queue('embedded');
        foreach ([
            'must be HOST:PORT, such as 127.0.0.1:9464 or :9464, not "9464"' => ['metrics' => '9464'],
            'must be HOST:PORT' => ['metrics' => 'http://localhost:9464/'],
            'cannot listen on 192.0.2.1:9464' => ['metrics' => '192.0.2.1:9464'],
            '/nowhere/x.prom cannot be written' => ['metricsFile' => '/nowhere/x.prom'],
            '/nowhere/state is not writable' => ['stateFile' => '/nowhere/state'],
            '"metricsInterval" must be 1 or greater, not 0.5' => ['metricsInterval' => 0.5],
            '"stuckAfter" must be 0 or greater, not -1' => ['stuckAfter' => -1],
        ] as $message => $options) {
            $thrown = $this->thrown(ConfigException::class, static fn () => (new Worker($queue, ['*' => 'strlen'], $options + ['maxRuntime' => 0.01]))->run());
            self::assertStringContainsString($message, $thrown->getMessage());
        }
    }

    public function testAWorkerThatRunsTwiceInOneProcess(): void
    {
        $worker = new Worker($this->queue('embedded'), ['*' => 'strlen'], ['stateFile' => $this->file, 'maxRuntime' => 0.05]);
        foreach ([1, 2] as $run) {
            $worker->run();
            self::assertSame([Health::STOPPED, 0], [StateFile::read($this->file)['now']['phase'], StateFile::read($this->file)['figures']['restarts']], "run $run");
        }
    }

    private function start(string $dsn, string ...$options): Child
    {
        return Child::command(Cli::command('work', '-H', "$this->folder/handlers.php", '-Q', 'q', '--state-file', $this->file, ...$options), ['AMQP1_DSN' => $dsn]);
    }

    /** @return array{int, string, string} */
    private function health(string ...$options): array
    {
        $run = Cli::run(['health', '--state-file', $this->file, ...$options]);

        return [$run->code, (string) preg_replace('/\b[\d.]+ s\b/', 'N s', $run->out), $run->err];
    }
}
