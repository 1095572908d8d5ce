<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\ProgramBroker;
use PHPUnit\Framework\Attributes\DataProvider;

/** Forks at bad moments: many at once, with jobs in hand, with a busy I/O thread, in handlers and generators. */
final class ForkHazardTest extends ContractTestCase
{
    /** Reaps `$pid`, for scripts: returns its exit code, or minus the signal. A child that hangs is killed and reported. */
    private const REAP = <<<'PHP'
        $reap = function (int $pid, float $seconds = 20): int {
            $deadline = microtime(true) + $seconds;
            while (pcntl_waitpid($pid, $status, WNOHANG) === 0) {
                if (microtime(true) > $deadline) {
                    posix_kill($pid, SIGKILL);
                    pcntl_waitpid($pid, $status);
                    echo "child $pid hangs\n";
                    return -1000;
                }
                usleep(500);
            }
            return pcntl_wifexited($status) ? pcntl_wexitstatus($status) : -pcntl_wtermsig($status);
        };

        PHP;

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testTwentyChildrenUseTheParentsObjectsAndEndInEveryWay(string $broker): void
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        $output = Child::run(self::REAP . <<<'PHP'
            $queue = new Amqp1\AmqpQueue($argv[1], $argv[2], ['timeout' => 20]);
            $other = new Amqp1\AmqpQueue($argv[1], $argv[3], ['timeout' => 20]);
            $own = new Amqp1\Consumer($queue, ['prefetch' => 1]);
            $shared = new Amqp1\Consumer($other, ['prefetch' => 1]);
            $queue->push('held by the parent');
            $held = $own->waitTask(10);
            $other->push('first');
            $shared->waitTask(10)->ack();
            $children = $codes = [];
            for ($i = 0; $i < 20; ++$i) {
                $other->push("by the parent $i");
                $pid = pcntl_fork();
                if ($pid === 0) {
                    $queue->push("by child $i");
                    if ($i % 4 === 0) { $shared->waitTask(20)->ack(); }
                    match ($i % 5) {
                        0 => exit(0),
                        1 => throw new Exception('of a child'),
                        2 => posix_kill(getmypid(), SIGKILL),
                        3 => exit(3),
                        4 => null,
                    };
                    exit(4);
                }
                $children[$i] = $pid;
                if ($i % 2) { $codes[] = $reap($children[$i]); unset($children[$i]); }
            }
            foreach ($children as $pid) { $codes[] = $reap($pid); }
            sort($codes);
            echo json_encode($codes), "\n";
            var_dump($held->isCompleted());
            $held->ack();
            $names = [];
            while (count($names) < 20 && $task = $own->waitTask(10)) { $names[$task->getName()] = true; $task->ack(); }
            echo count($names), " jobs of children\n";
            for ($n = 0; $n < 15 && $task = $shared->waitTask(10); ++$n) { $task->ack(); }
            echo "$n left to the parent\n";
            PHP, [$at->dsn, $name, $this->uniqueName($at)], ['-d', 'log_errors=0', '-d', 'display_errors=0']);

        self::assertStringNotContainsString('hangs', $output);
        self::assertStringContainsString('[-9,-9,-9,-9,0,0,0,0,3,3,3,3,4,4,4,4,255,255,255,255]', $output);
        self::assertStringContainsString("bool(false)\n20 jobs of children\n15 left to the parent\n", $output);
        $this->assertJobs(0, new AmqpQueue($at->dsn, $name));
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testATaskTakenBeforeTheForkIsTheParents(string $broker): void
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        $output = Child::run(self::REAP . <<<'PHP'
            $queue = new Amqp1\AmqpQueue($argv[1], $argv[2], ['timeout' => 20]);
            $consumer = new Amqp1\Consumer($queue, ['prefetch' => 5]);
            $queue->pushMany(array_fill(0, 5, ['name' => 'job']));
            for ($i = 0; $i < 5; ++$i) { $tasks[] = $consumer->waitTask(10); }
            $pid = pcntl_fork();
            if ($pid === 0) {
                try {
                    $tasks[0]->ack();
                    echo "no exception\n";
                } catch (Amqp1\Exception\TaskLostException $e) {
                    echo 'lost: ', $e->getMessage(), "\n";
                }
                $tasks[1]->nack('no');
                $tasks[2]->nack(new Exception('no'), false);
                $tasks[3]->release(5);
                $tasks[4]->deadLetter('no');
                $consumer->pause();
                $consumer->close();
                $consumer->stop();
                unset($tasks, $consumer, $queue);
                exit(0);
            }
            echo $reap($pid), "\n";
            foreach ($tasks as $task) { $task->ack(); }
            var_dump($consumer->waitTask(0.5));
            $queue->push('more');
            echo $consumer->waitTask(10)->getName(), "\n";
            PHP, [$at->dsn, $name]);

        self::assertStringContainsString('belongs to the parent process', $output);
        self::assertStringEndsWith("0\nNULL\nmore\n", $output);
        $queue = new AmqpQueue($at->dsn, $name);
        $this->assertJobs(1, $queue, "'more', which was not acknowledged, and nothing else");
        $this->assertJobs(0, new AmqpQueue($at->dsn, $this->owned($at, "$name.failed")));
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testAConsumerMadeBeforeTheForkGivesBackWhatTheChildBufferedWhenItIsDestroyed(string $broker): void
    {
        $at = $this->broker($broker);
        $output = Child::run(self::REAP . <<<'PHP'
            $queue = new Amqp1\AmqpQueue($argv[1], $argv[2], ['timeout' => 20]);
            $consumer = new Amqp1\Consumer($queue, ['prefetch' => 10]);
            $queue->push('first');
            $consumer->waitTask(10)->ack();
            $consumer->close();
            $pid = pcntl_fork();
            if ($pid === 0) {
                $queue->pushMany(array_fill(0, 10, ['name' => 'job']));
                $consumer->waitTask(10)->ack();
                usleep(200_000);
                unset($consumer);
                $again = new Amqp1\Consumer($queue, ['prefetch' => 10]);
                for ($n = 0; $n < 9 && $task = $again->waitTask(5); ++$n) { $task->ack(); }
                exit($n);
            }
            echo $reap($pid);
            PHP, [$at->dsn, $this->uniqueName($at)]);

        self::assertSame('9', $output);
    }

    public function testADeadParentsConnectionIsClosedThoughItsChildLives(): void
    {
        $connections = static fn (int $port): int => count(array_filter(
            file('/proc/net/tcp'),
            static fn (string $line) => preg_match(sprintf('/: \S+:%04X \S+ 01 /', $port), $line) === 1
        ));
        $broker = ProgramBroker::start();
        $port = (int) parse_url($broker->dsn, PHP_URL_PORT);
        $child = Child::php(<<<'PHP'
            $queue = new Amqp1\AmqpQueue($argv[1], 'q', ['timeout' => 20]);
            $queue->push('job');
            $consumer = new Amqp1\Consumer($queue);
            $task = $consumer->waitTask(10);
            $pid = pcntl_fork();
            if ($pid === 0) { sleep(30); exit(0); }
            echo "forked $pid\n";
            sleep(30);
            PHP, [$broker->dsn]);
        $grandchild = (int) explode(' ', $child->waitFor('forked'))[1];
        self::assertSame(2, $connections($port), 'one to push, one to consume');
        $child->kill();
        try {
            // If the child did not close the parent's sockets, these connections would stay open until it ends.
            $consumer = $this->consumer(new AmqpQueue($broker->dsn, 'q', ['timeout' => 10]));
            self::assertSame('job', $this->next($consumer)->getName());
            self::assertTrue(posix_kill($grandchild, 0), 'the child lives');
        } finally {
            posix_kill($grandchild, SIGKILL);
        }
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testForksWhileTheIoThreadIsBusyNeverDeadlock(string $broker): void
    {
        $at = $this->broker($broker);
        $output = Child::run(self::REAP . <<<'PHP'
            $queue = new Amqp1\AmqpQueue($argv[1], $argv[2], ['timeout' => 20]);
            $consumer = new Amqp1\Consumer($queue, ['prefetch' => 100]);
            $taken = $pushed = 0;
            $children = [];
            $until = microtime(true) + (float) $argv[3];
            // At least ten, however slow the broker is.
            for ($round = 0; microtime(true) < $until || $round <= 10; ++$round) {
                // The generator forks between two jobs, while outcomes of earlier jobs arrive.
                $queue->pushMany((function () use ($round, $queue, $argv, &$children, &$pushed) {
                    for ($i = 0; $i < 60; ++$i) {
                        ++$pushed;
                        yield ['name' => 'job'];
                        if ($i === 20 + $round % 37) {
                            $pid = pcntl_fork();
                            if ($pid === 0) {
                                (new Amqp1\AmqpQueue('embedded://child', 'q'))->push('job');
                                if ($round % 10 === 0) { $queue->push('job', null, ['id' => "child-$round"]); }
                                exit($round % 10 === 0 ? 1 : 0);
                            }
                            $children[] = $pid;
                        }
                    }
                })());
                foreach ($consumer->waitTasks(100, 5) as $task) { $task->ack(); ++$taken; }
                while (count($children) > 4) { $code = $reap(array_shift($children)); $pushed += $code === 1; $code < 0 && print "code $code\n"; }
            }
            foreach ($children as $pid) { $pushed += $reap($pid) === 1; }
            while ($taken < $pushed && $task = $consumer->waitTask(10)) { $task->ack(); ++$taken; }
            echo $taken === $pushed ? 'all' : "$taken of $pushed", " in ", $round > 10 ? 'many' : $round, " rounds\n";
            fprintf(STDERR, getenv('AMQP1_REPORT') ? "$round forks, $pushed jobs\n" : '');
            PHP, [$at->dsn, $this->uniqueName($at), getenv('AMQP1_FORK_SECONDS') ?: '1'], [], 0, 600);

        self::assertStringNotContainsString('hangs', $output);
        self::assertStringContainsString("all in many rounds\n", $output);
        if (getenv('AMQP1_REPORT')) {
            fwrite(STDERR, "\n$broker: $output");
        }
    }

    /** @return array<string, array{string}> */
    public static function blocking(): array
    {
        return [
            'push' => ['$queue->push("job");'],
            'pushMany' => ['$queue->pushMany(array_fill(0, 3000, ["name" => "job"]));'],
            'waitTask' => ['$consumer->waitTask();'],
            'ping' => ['$queue->ping();'],
            'stats' => ['$queue->stats();'],
            'dialling' => ['(new Amqp1\AmqpQueue("amqp://" . $argv[2], "q", ["timeout" => 30]))->push("job");'],
        ];
    }

    /** @dataProvider blocking */
    #[DataProvider('blocking')]
    public function testASignalHandlerThatForksLeavesTheCallToTheParent(string $call): void
    {
        $broker = ProgramBroker::start();
        [$silent, $address] = Support\Sockets::silent();
        $child = Child::php(self::REAP . <<<'PHP'
            pcntl_async_signals(true);
            $queue = new Amqp1\AmqpQueue($argv[1], 'q', ['timeout' => 30]);
            $consumer = new Amqp1\Consumer($queue);
            $queue->push('warm');
            $consumer->waitTask(10)->ack();
            $queue->stats();
            $pid = null;
            pcntl_signal(SIGUSR1, function () use (&$pid) { $pid = pcntl_fork(); });
            pcntl_signal(SIGTERM, function () { throw new DomainException('enough'); });
            echo "ready\n";
            while (!file_exists($argv[3])) { usleep(10_000); }
            echo "calling\n";
            $start = microtime(true);
            try {

            PHP . $call . <<<'PHP'

                echo $pid === 0 ? 'child' : 'parent', " returned\n";
            } catch (Throwable $e) {
                echo $pid === 0 ? 'child' : 'parent', ' caught ', get_class($e), "\n";
            }
            if ($pid === 0) {
                (new Amqp1\AmqpQueue('embedded://child', 'q'))->push('job');
                echo "child works\n";
                exit(5);
            }
            echo 'the child ended with ', $reap($pid), "\n";
            PHP, [$broker->dsn, $address, $flag = sys_get_temp_dir() . '/amqp1-fork-' . bin2hex(random_bytes(6))],
            ['-d', 'amqp1.shutdown_timeout=0.3']);
        try {
            $child->waitFor('ready');
            $broker->freeze();
            touch($flag);
            $child->waitFor('calling');
            usleep(150_000);
            $child->signal(SIGUSR1);
            $child->waitFor('child works', 10);
            $child->signal(SIGTERM);
            $child->waitFor('parent caught DomainException', 10);
            $child->waitFor('the child ended with 5', 10);
            self::assertSame(0, $child->wait(15), $child->output());
        } finally {
            $broker->thaw();
            unlink($flag);
        }
        unset($silent);
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAChildThatExitsInsideAGeneratorOfPushManyEndsAtOnce(string $broker): void
    {
        $at = $this->broker($broker);
        $output = Child::run(self::REAP . <<<'PHP'
            $queue = new Amqp1\AmqpQueue($argv[1], $argv[2], ['timeout' => 20]);
            $queue->push('warm');
            $ids = $queue->pushMany((function () use (&$pid) {
                yield ['name' => 'a'];
                $pid = pcntl_fork();
                if ($pid === 0) { exit(6); }
                yield ['name' => 'b'];
            })());
            $start = microtime(true);
            echo $reap($pid, 10), ' ', count($ids), "\n";
            PHP, [$at->dsn, $this->uniqueName($at)]);

        self::assertSame("6 2\n", $output);
    }
}
