<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Exception\TimeoutException;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Ctl;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\Attributes\Group;

/**
 * RabbitMQ is out of memory and accepts nothing: publishers get an exception in time, and consumers continue.
 *
 * @group alone
 */
#[Group('alone')]
final class MemoryAlarmTest extends ContractTestCase
{
    /** @dataProvider newestRabbitMq */
    #[DataProvider('newestRabbitMq')]
    public function testPublishersTimeOutAndConsumersGoOn(string $broker): void
    {
        $at = $this->broker($broker);
        if (!Ctl::reaches($at)) {
            self::markTestSkipped("rabbitmqctl does not reach the user's own broker");
        }
        $logger = new class {
            /** @var list<string> */
            public array $events = [];

            public function log(string $level, string $message, array $context): void
            {
                $this->events[] = "$level {$context['event']}";
            }
        };
        $queue = $this->queue($broker, ['timeout' => 2, 'logger' => $logger]);
        $blockedBefore = \Amqp1\metrics()['connections']['blocked_seconds'];
        $queue->pushMany(array_fill(0, 20, ['name' => 'before']));
        $attached = $this->consumer($queue, ['prefetch' => 2]);
        $this->next($attached)->ack();
        Ctl::run($at, 'set_vm_memory_high_watermark', 'absolute', '1');
        try {
            // The broker checks its memory every second. Until then, pushes succeed.
            $thrown = null;
            for ($pushes = 1; $thrown === null && $pushes < 1000; ++$pushes) {
                $began = microtime(true);
                try {
                    $queue->push('early', null, ['id' => 'blocked']);
                    usleep(20000);
                } catch (TimeoutException $thrown) {
                }
            }
            self::assertNotNull($thrown, 'the alarm blocks publishers');
            self::assertLessThan(10, microtime(true) - $began);
            self::assertStringContainsString('job blocked', $thrown->getMessage());
            self::assertStringContainsString('unknown', $thrown->getMessage());
            for ($i = 0; $i < 9; ++$i) {
                $task = $this->next($attached);
                self::assertSame('before', $task->getName());
                $task->ack();
            }
            // The broker needs a new worker now, so nothing that a worker does may wait for the broker's memory.
            self::assertSame('before', Child::run(<<<'PHP'
                $consumer = new Amqp1\Consumer(new Amqp1\AmqpQueue($argv[1], $argv[2], ['timeout' => 10]), ['prefetch' => 1]);
                $task = $consumer->waitTask(10);
                $task->ack();
                echo $task->getName();
                PHP, [$at->dsn, $queue->getName()]));
        } finally {
            Ctl::run($at, 'set_vm_memory_high_watermark', '0.6');
        }
        $queue->push('after', null, ['timeout' => 20]);
        $names = [];
        while ($task = $attached->waitTask(1)) {
            $names[] = $task->getName();
            $task->ack();
        }

        $counts = array_count_values($names);
        self::assertSame([9, 1], [$counts['before'], $counts['after']]);
        $blocked = array_values(preg_grep('/blocked/', $logger->events));
        self::assertSame(['warning blocked', 'notice unblocked'], $blocked, 'one of each, however many pushes wait');
        self::assertGreaterThan(0.5, \Amqp1\metrics()['connections']['blocked_seconds'] - $blockedBefore);
    }
}
