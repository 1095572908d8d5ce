<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use PHPUnit\Framework\Attributes\DataProvider;

/** However a worker ends, its unsettled jobs are delivered again, and acknowledged jobs are not. */
final class ProcessEndTest extends ContractTestCase
{
    private const WORKER = <<<'PHP'
        $queue = new Amqp1\AmqpQueue($argv[1], $argv[2], ['timeout' => 20]);
        $consumer = new Amqp1\Consumer($queue, ['prefetch' => 10]);
        for ($i = 0; $i < 3; ++$i) { $consumer->waitTask(10)->ack(); }
        $task = $consumer->waitTask(10);
        usleep(200_000);
        echo "in the middle\n";

        PHP;

    /** @return array<string, array{string, string, int}> each broker with each way to end */
    public static function ends(): array
    {
        $ends = [
            'end of the script' => ['', 0],
            'exit in the middle' => ['exit(3);', 3],
            'uncaught exception' => ['throw new Exception("broken");', 255],
            'fatal error' => ['ini_set("memory_limit", "8M"); str_repeat("x", 100_000_000);', 255],
            'kill -9' => ['posix_kill(getmypid(), SIGKILL);', 128 + SIGKILL],
        ];
        $sets = [];
        foreach (self::networked() as $name => [$broker]) {
            foreach ($ends as $end => [$code, $status]) {
                $sets["$name, $end"] = [$broker, $code, $status];
            }
        }

        return $sets;
    }

    /** @dataProvider ends */
    #[DataProvider('ends')]
    public function testUnfinishedAndBufferedJobsComeBack(string $broker, string $end, int $status): void
    {
        $queue = $this->queue($broker);
        $queue->pushMany(array_map(static fn (int $i) => ['name' => "job-$i"], range(0, 9)));
        $child = Child::php(self::WORKER . $end, [$this->broker($broker)->dsn, $queue->getName()], ['-d', 'log_errors=0']);
        $child->waitFor('in the middle');
        self::assertSame($status, $child->wait(20), $child->output());

        $start = microtime(true);
        $consumer = $this->consumer($queue);
        $attempts = [];
        for ($i = 0; $i < 7; ++$i) {
            $task = $this->next($consumer);
            $attempts[$task->getName()] = $task->getAttempts();
            $task->ack();
        }
        ksort($attempts);

        self::assertLessThan(8.0, microtime(true) - $start, 'at once');
        self::assertSame(['job-3', 'job-4', 'job-5', 'job-6', 'job-7', 'job-8', 'job-9'], array_keys($attempts));
        $this->assertNoTask($consumer, 0.2);
        if ($status === 0) {
            // A clean end returns jobs that were not handed out as if they had never been delivered.
            self::assertSame(1, $attempts['job-9']);
        }
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testAcknowledgementsJustBeforeTheEndAreNotLost(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->pushMany(array_fill(0, 100, ['name' => 'job']));
        Child::run(<<<'PHP'
            $consumer = new Amqp1\Consumer(new Amqp1\AmqpQueue($argv[1], $argv[2]), ['prefetch' => 200]);
            for ($i = 0; $i < 100; ++$i) { $consumer->waitTask(10)->ack(); }
            exit(0);
            PHP, [$this->broker($broker)->dsn, $queue->getName()]);

        $this->assertNoTask($this->consumer($queue), 0.3);
        $this->assertJobs(0, $queue);
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testAPushJustBeforeTheEndIsNotLost(string $broker): void
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        Child::run('(new Amqp1\AmqpQueue($argv[1], $argv[2]))->push("last words"); posix_kill(getmypid(), SIGKILL);',
            [$at->dsn, $name], [], 128 + SIGKILL);

        self::assertSame('last words', $this->take(new AmqpQueue($at->dsn, $name))->getName());
    }

    public function testAProcessEndsSoonWithWhateverIsOpen(): void
    {
        $start = microtime(true);
        $output = Child::run(<<<'PHP'
            $queue = new Amqp1\AmqpQueue('embedded://', 'q');
            $queue->pushMany(array_fill(0, 50, ['name' => 'job']));
            $consumer = new Amqp1\Consumer($queue);
            $task = $consumer->waitTask(5);
            $GLOBALS['cycle'] = new ArrayObject([$queue, $consumer, $task]);
            $GLOBALS['cycle']['self'] = $GLOBALS['cycle'];
            echo 'done';
            PHP);

        self::assertSame('done', $output);
        self::assertLessThan(5.0, microtime(true) - $start);
    }
}
