<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use PHPUnit\Framework\Attributes\DataProvider;

/** A fork breaks neither the parent's connection nor the child's. */
final class ForkTest extends ContractTestCase
{
    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testTheChildPushesAndTheParentGoesOn(string $broker): void
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        $output = Child::run(<<<'PHP'
            $queue = new Amqp1\AmqpQueue($argv[1], $argv[2], ['timeout' => 20]);
            $queue->push('before the fork');
            $consumer = new Amqp1\Consumer($queue);
            $consumer->waitTask(10)->ack();
            $queue->push('held by the parent');
            $task = $consumer->waitTask(10);
            $children = [];
            for ($i = 0; $i < 3; ++$i) {
                $pid = pcntl_fork();
                if ($pid === 0) {
                    $queue->push("by child $i");
                    (new Amqp1\AmqpQueue($argv[1], $argv[2]))->push("by a new queue of child $i");
                    exit(0);
                }
                $children[] = $pid;
            }
            foreach ($children as $pid) {
                pcntl_waitpid($pid, $status);
                echo 'child: ', pcntl_wexitstatus($status), "\n";
            }
            $task->ack();
            $queue->push('by the parent');
            $names = [];
            while ($task = $consumer->waitTask(count($names) < 7 ? 10 : 0.3)) {
                $names[] = $task->getName();
                $task->ack();
            }
            sort($names);
            echo json_encode($names), "\n";
            PHP, [$at->dsn, $name]);

        self::assertSame(3, substr_count($output, "child: 0\n"), $output);
        self::assertStringContainsString(json_encode([
            'by a new queue of child 0', 'by a new queue of child 1', 'by a new queue of child 2',
            'by child 0', 'by child 1', 'by child 2', 'by the parent',
        ]), $output);
        $this->assertJobs(0, new AmqpQueue($at->dsn, $name));
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testAChildThatUsesNothingEndsQuietlyAndAtOnce(string $broker): void
    {
        $at = $this->broker($broker);
        $output = Child::run(<<<'PHP'
            $queue = new Amqp1\AmqpQueue($argv[1], $argv[2], ['timeout' => 20]);
            $queue->push('before');
            $consumer = new Amqp1\Consumer($queue, ['prefetch' => 1]);
            $task = $consumer->waitTask(10);
            $start = microtime(true);
            $pid = pcntl_fork();
            if ($pid === 0) {
                unset($task, $consumer, $queue);
                exit(3);
            }
            pcntl_waitpid($pid, $status);
            echo pcntl_wexitstatus($status), ' ', microtime(true) - $start < 3 ? 'soon' : 'late', "\n";
            $task->ack();
            $queue->push('after');
            echo $consumer->waitTask(10)->getName(), "\n";
            PHP, [$at->dsn, $this->uniqueName($at)]);

        self::assertSame("3 soon\nafter\n", $output);
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testAChildOfAParentThatNeverConnected(string $broker): void
    {
        $at = $this->broker($broker);
        $output = Child::run(<<<'PHP'
            $queue = new Amqp1\AmqpQueue($argv[1], $argv[2], ['timeout' => 20]);
            $pid = pcntl_fork();
            if ($pid === 0) {
                $queue->push('by the child');
                exit(0);
            }
            pcntl_waitpid($pid, $status);
            $consumer = new Amqp1\Consumer($queue);
            $task = $consumer->waitTask(10);
            echo pcntl_wexitstatus($status), ' ', $task->getName(), "\n";
            $task->ack();
            PHP, [$at->dsn, $this->uniqueName($at)]);

        self::assertSame("0 by the child\n", $output);
    }
}
