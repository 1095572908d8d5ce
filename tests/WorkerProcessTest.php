<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\ProgramBroker;
use PHPUnit\Framework\Attributes\DataProvider;

/** A worker in its own process: signals, the time of a job, a broker that goes away. */
final class WorkerProcessTest extends ContractTestCase
{
    /**
     * Handlers: "quick" finishes at once, "long" takes as many seconds as its payload says and prints lines. The options are
     * JSON in $argv[3]. At the end, the summary is printed, and the process ends with its exit code.
     */
    private const WORKER = <<<'PHP'
        require getenv('AMQP1_TEST_AUTOLOAD');
        [, $dsn, $name, $options] = $argv;
        $queue = new Amqp1\AmqpQueue($dsn, $name, ['redial_timeout' => 0.5]);
        $worker = new Amqp1\Worker($queue, [
            'quick' => fn () => print("quick\n"),
            'long' => function (Amqp1\Task $task) {
                echo "begin {$task->getAttempts()}\n";
                for ($until = microtime(true) + $task->getPayload(); microtime(true) < $until;) { usleep(20_000); }
                echo "end\n";
            },
            'swallows' => function (Amqp1\Task $task) {
                echo "begin\n";
                try { while (true) { usleep(20_000); } } catch (Throwable $e) { throw new LogicException('wrapped', 0, $e); }
            },
        ], json_decode($options, true));
        $worker->listen('*', fn ($event) => print("event $event->name\n"));
        $summary = $worker->run();
        echo json_encode($summary), "\n";
        exit($summary->exitCode());
        PHP;

    public static function setUpBeforeClass(): void
    {
        putenv('AMQP1_TEST_AUTOLOAD=' . dirname(__DIR__) . '/php/autoload.php');
    }

    /** @return array<string, array{int}> */
    public static function endSignals(): array
    {
        return ['SIGTERM' => [SIGTERM], 'SIGINT' => [SIGINT], 'SIGQUIT' => [SIGQUIT]];
    }

    /** @dataProvider endSignals */
    #[DataProvider('endSignals')]
    public function testASignalWhileItWaits(int $signal): void
    {
        [$worker] = $this->start('program');
        $worker->waitFor('event worker.start');
        usleep(200_000);
        $worker->signal($signal);

        self::assertSame(0, $worker->wait(10), $worker->output());
        self::assertSame(['signal', $signal, 0], $this->end($worker, 'reason', 'signal', 'jobs'));
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testASignalLetsTheJobInHandEndAndGivesBackTheOthers(string $broker): void
    {
        [$worker, $queue] = $this->start($broker, [], ['long' => 3, 'quick' => null, 'quick ' => null]);
        $worker->waitFor('begin 1');
        $worker->signal(SIGTERM);
        // Another worker can take the buffered jobs while this one is still working.
        $other = $this->consumer($queue);
        self::assertSame(['quick', 'quick'], [trim($this->next($other)->getName()), trim($this->next($other)->getName())]);
        self::assertStringNotContainsString('end', $worker->output());

        self::assertSame(0, $worker->wait(20), $worker->output());
        self::assertStringContainsString("end\n", $worker->output());
        self::assertSame(['signal', 1, 1, false], $this->end($worker, 'reason', 'jobs', 'acked', 'interrupted'));
    }

    /** @return array<string, array{string, string}> */
    public static function interruptible(): array
    {
        return ['long, program' => ['long', 'program'], 'one that wraps the exception, program' => ['swallows', 'program']];
    }

    /** @dataProvider interruptible */
    #[DataProvider('interruptible')]
    public function testASecondSignalGivesTheJobInHandBack(string $job, string $broker): void
    {
        [$worker, $queue] = $this->start($broker, [], [$job => 60]);
        $worker->waitFor('begin');
        // A stopped process gets both signals when it continues.
        foreach ([SIGSTOP, SIGTERM, SIGINT, SIGCONT] as $signal) {
            $worker->signal($signal);
        }
        usleep(300_000);
        self::assertStringNotContainsString('event worker.stop', $worker->output(), 'two at once are one');
        $worker->signal(SIGTERM);

        self::assertContains($worker->wait(10), [128 + SIGTERM, 128 + SIGINT], $worker->output());
        self::assertSame(['signal', 1, 1, true], $this->end($worker, 'reason', 'jobs', 'released', 'interrupted'));
        self::assertSame($job, $this->next($this->consumer($queue))->getName());
    }

    public function testAThirdSignalEndsTheProcess(): void
    {
        $code = str_replace("'quick' =>", "'deaf' => function () { echo \"begin\\n\"; while (true) { try { usleep(20_000); } catch (Throwable) { echo \"no\\n\"; } } },\n 'quick' =>", self::WORKER);
        [$worker, $queue] = $this->start('program', [], ['deaf' => null], $code);
        $worker->waitFor('begin');
        $worker->signal(SIGTERM);
        usleep(250_000);
        $worker->signal(SIGTERM);
        $worker->waitFor('no');
        usleep(250_000);
        $worker->signal(SIGTERM);

        self::assertSame(128 + SIGTERM, $worker->wait(10), $worker->output());
        $again = $this->next($this->consumer($queue));
        self::assertSame(['deaf', 1], [$again->getName(), $again->getAttempts()], 'the job comes again, and has not failed');
    }

    /** @return array<string, array{string, string, int, string}> */
    public static function endings(): array
    {
        $endings = [
            'exit' => ['exit(7);', 7, 'The handler ended the process'],
            'memory' => ['ini_set("memory_limit", "64M"); for ($all = [];;) { $all[] = str_repeat("x", 1 << 20); }', 255, 'Allowed memory size'],
        ];
        $cases = [];
        foreach (self::networked() as [$broker]) {
            foreach ($endings as $name => $ending) {
                $cases["$name, $broker"] = [$broker, ...$ending];
            }
        }

        return $cases;
    }

    /**
     * Otherwise, it would end each worker that takes it, forever.
     *
     * @dataProvider endings
     */
    #[DataProvider('endings')]
    public function testAJobWhoseHandlerEndsTheProcessHasFailed(string $broker, string $how, int $code, string $error): void
    {
        $ends = str_replace("'quick' =>", "'ends' => function () { echo \"begin\\n\"; $how },\n 'quick' =>", self::WORKER);
        $options = ['maxAttempts' => 2, 'backoff' => 0, 'stopWhenEmpty' => true, 'reserveTimeout' => 2];
        [$worker, $queue] = $this->start($broker, $options, ['ends' => null], $ends);
        self::assertSame($code, $worker->wait(20), $worker->output());
        self::assertStringContainsString("begin\n", $worker->output());
        self::assertStringContainsString("event job.retry\n", $worker->output());

        $second = Child::php($ends, [$this->broker($broker)->dsn, $queue->getName(), (string) json_encode($options)]);
        self::assertSame($code, $second->wait(20), $second->output());
        self::assertStringContainsString("event job.dead_letter\n", $second->output());
        $failure = $this->take($queue->failed())->getFailure();
        self::assertSame(['Amqp1\Worker\ProcessEnded', 2], [$failure['exception'], $failure['attempts']]);
        self::assertStringContainsString($error, $failure['error']);
    }

    public function testAProcessThatAHandlerForksMayEndAsItLikes(): void
    {
        $forks = str_replace("'quick' =>", "'forks' => function () { if (pcntl_fork() === 0) { exit(3); } pcntl_wait(\$s); echo pcntl_wexitstatus(\$s), \" ended\\n\"; },\n 'quick' =>", self::WORKER);
        [$worker] = $this->start('program', ['maxJobs' => 1], ['forks' => null], $forks);

        self::assertSame(0, $worker->wait(20), $worker->output());
        self::assertStringContainsString("3 ended\n", $worker->output());
        self::assertSame([1, 1], $this->end($worker, 'jobs', 'acked'));
        self::assertStringNotContainsString('failed on attempt', $worker->output());
    }

    public function testSignalHandlersArePutBack(): void
    {
        $output = Child::run(<<<'PHP'
            require getenv('AMQP1_TEST_AUTOLOAD');
            pcntl_signal(SIGTERM, $mine = fn () => print("mine\n"));
            $queue = new Amqp1\AmqpQueue('embedded://', 'q');
            $queue->push('job');
            (new Amqp1\Worker($queue, ['job' => fn () => null], ['maxJobs' => 1, 'jobTimeout' => 1]))->run();
            var_dump(pcntl_signal_get_handler(SIGTERM) === $mine, pcntl_signal_get_handler(SIGINT), pcntl_async_signals());
            sleep(2);
            echo "no alarm is left\n";
            PHP);
        self::assertStringContainsString("bool(true)\nint(0)\nbool(false)\nno alarm is left\n", $output);
    }

    public function testAJobThatTakesTooLongFails(): void
    {
        [$worker, $queue] = $this->start('program', ['jobTimeout' => 1, 'maxAttempts' => 1, 'maxJobs' => 2], ['long' => 60, 'quick' => null]);

        self::assertSame(0, $worker->wait(20), $worker->output());
        self::assertSame([2, 1, 1], $this->end($worker, 'jobs', 'acked', 'dead_lettered'));
        self::assertStringNotContainsString("end\n", $worker->output());
        $failure = $this->take($queue->failed())->getFailure();
        self::assertSame('Amqp1\Worker\JobTimeout', $failure['exception']);
        self::assertStringContainsString('longer than 1 s', $failure['error']);
    }

    public function testWithoutPcntlItWorksAndSaysSoOnce(): void
    {
        $output = Child::run(<<<'PHP'
            require getenv('AMQP1_TEST_AUTOLOAD');
            $queue = new Amqp1\AmqpQueue('embedded://', 'q');
            $queue->push('job');
            $queue->push('job');
            $worker = new Amqp1\Worker($queue, ['job' => fn () => print("done\n")], ['maxJobs' => 1, 'jobTimeout' => 5]);
            $worker->run();
            $worker->run();
            PHP, [], ['-d', 'disable_functions=pcntl_signal,pcntl_async_signals,pcntl_alarm']);
        self::assertSame(2, substr_count($output, 'done'));
        self::assertSame(1, substr_count($output, 'pcntl extension is not loaded'), $output);
    }

    public function testItGoesOnWhenTheBrokerComesBack(): void
    {
        $broker = ProgramBroker::start();
        $port = (int) parse_url($broker->dsn, PHP_URL_PORT);
        $worker = Child::php(self::WORKER, [$broker->dsn, 'night', '{}']);
        $queue = new AmqpQueue($broker->dsn, 'night');
        $queue->push('quick');
        $worker->waitFor('event job.ack');
        $broker->stop();
        $worker->waitFor('event worker.lost', 30);
        $again = ProgramBroker::start([], $port);
        $queue->push('quick', null, ['id' => 'second']);
        $this->eventually(static fn () => substr_count($worker->output(), 'event job.ack') === 2, 'the job after the outage', 60);
        $worker->signal(SIGTERM);

        self::assertSame(0, $worker->wait(20), $worker->output());
        self::assertStringContainsString('receiving jobs again after', $worker->output());
        self::assertSame(['signal', 2, 2], $this->end($worker, 'reason', 'jobs', 'acked'));
        $again->stop();
    }

    public function testItEndsWhenTheBrokerStaysAway(): void
    {
        $broker = ProgramBroker::start();
        $worker = Child::php(self::WORKER, [$broker->dsn, 'night', '{"reconnectTimeout": 2}']);
        (new AmqpQueue($broker->dsn, 'night'))->push('quick');
        $worker->waitFor('event job.ack');
        $broker->stop();

        self::assertSame(4, $worker->wait(60), $worker->output());
        self::assertSame(['broker_lost', 1], $this->end($worker, 'reason', 'acked'));
    }

    public function testASignalWhileTheBrokerIsAway(): void
    {
        $broker = ProgramBroker::start();
        $worker = Child::php(self::WORKER, [$broker->dsn, 'night', '{}']);
        (new AmqpQueue($broker->dsn, 'night'))->push('quick');
        $worker->waitFor('event job.ack');
        $broker->stop();
        $worker->waitFor('event worker.lost', 30);
        $worker->signal(SIGTERM);

        self::assertSame(0, $worker->wait(10), $worker->output());
        self::assertSame(['signal', 1], $this->end($worker, 'reason', 'acked'));
    }

    public function testAJobWhoseDeliveryDiedIsLostAndTheWorkerGoesOn(): void
    {
        $broker = ProgramBroker::start();
        $port = (int) parse_url($broker->dsn, PHP_URL_PORT);
        $worker = Child::php(self::WORKER, [$broker->dsn, 'night', '{"maxJobs": 2}']);
        $queue = new AmqpQueue($broker->dsn, 'night');
        $queue->push('long', 3);
        $worker->waitFor('begin 1');
        $broker->stop();
        $again = ProgramBroker::start([], $port);
        $queue->push('quick');

        self::assertSame(0, $worker->wait(60), $worker->output());
        self::assertStringContainsString("event job.lost\n", $worker->output());
        self::assertStringContainsString('will be delivered again', $worker->output());
        self::assertSame([2, 1, 1], $this->end($worker, 'jobs', 'acked', 'lost'));
        $again->stop();
    }

    /**
     * A worker on its own queue, which already has these jobs (name => payload; trailing blanks of a name are removed).
     *
     * @return array{Child, AmqpQueue}
     */
    private function start(string $broker, array $options = [], array $jobs = [], string $code = self::WORKER): array
    {
        $at = $this->broker($broker);
        $queue = $this->queue($broker, [], $name = $this->uniqueName($at, 'worker'));
        foreach ($jobs as $job => $payload) {
            $queue->push(trim($job), $payload);
        }

        return [Child::php($code, [$at->dsn, $name, (string) json_encode((object) $options)]), $queue];
    }

    /** The fields of its summary. */
    private function end(Child $worker, string ...$names): array
    {
        $lines = explode("\n", trim($worker->output()));
        $summary = json_decode((string) end($lines), true);
        self::assertIsArray($summary, $worker->output());

        return array_map(static fn (string $name) => $summary[$name], $names);
    }
}
