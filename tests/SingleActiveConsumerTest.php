<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\ExceptionInterface;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Peer;
use PHPUnit\Framework\Attributes\DataProvider;

/** One consumer at a time, so that jobs are processed in order; and queues that belong to one process. */
final class SingleActiveConsumerTest extends ContractTestCase
{
    /** @return array<string, array{string, string}> */
    public static function types(): array
    {
        $sets = [];
        foreach (self::brokers() as $name => [$broker]) {
            foreach (['quorum', 'classic'] as $type) {
                $sets["$name $type"] = [$broker, $type];
            }
        }

        return $sets;
    }

    /** @dataProvider types */
    #[DataProvider('types')]
    public function testTheNextOneIsServedWhenTheActiveOneIsGone(string $broker, string $type): void
    {
        $queue = $this->single($broker, $type);
        if ($queue === null) {
            return;
        }
        // One at a time: jobs that are returned together come back in an order that the broker chooses.
        $active = $this->consumer($queue, ['prefetch' => 1]);
        $this->assertNoTask($active, 0.1);
        $waiting = $this->consumer($queue, ['prefetch' => 1]);
        $this->assertNoTask($waiting, 0.1);
        for ($i = 0; $i < 6; ++$i) {
            $queue->push("job-$i");
        }
        $this->assertNoTask($waiting, 0.3);
        for ($i = 0; $i < 2; ++$i) {
            $task = $this->next($active);
            self::assertSame("job-$i", $task->getName());
            $task->ack();
        }
        $held = $this->next($active);
        self::assertSame('job-2', $held->getName());
        $this->assertNoTask($waiting, 0.3);
        $active->close();

        $names = [];
        for ($i = 2; $i < 6; ++$i) {
            $task = $this->next($waiting);
            $names[] = $task->getName();
            $task->ack();
        }
        if ($this->broker($broker)->isRabbitMq3()) {
            sort($names); // a quorum queue of 3.10 delivers held jobs after waiting ones
        }
        self::assertSame(['job-2', 'job-3', 'job-4', 'job-5'], $names, 'in order, what was held included');
        $this->assertJobs(0, $queue);
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testAKilledWorkerIsFollowedByTheNext(string $broker): void
    {
        $queue = $this->single($broker, 'quorum');
        if ($queue === null) {
            return;
        }
        $at = $this->broker($broker);
        for ($i = 0; $i < 4; ++$i) {
            $queue->push("job-$i");
        }
        $worker = Child::php(<<<'PHP'
            $consumer = new Amqp1\Consumer(new Amqp1\AmqpQueue($argv[1], $argv[2], ['declare' => false]), ['prefetch' => 2]);
            $consumer->waitTask(10)->ack();
            $task = $consumer->waitTask(10);
            usleep(200000); // reaches the broker
            echo 'holds ', $task->getName(), "\n";
            sleep(60);
            PHP, [$at->dsn, $queue->getName()]);
        $worker->waitFor('holds job-1', 15);
        $next = $this->consumer($queue, ['prefetch' => 2]);
        $this->assertNoTask($next, 0.5);
        $worker->kill();

        for ($i = 1; $i < 4; ++$i) {
            $task = $this->next($next, 15);
            self::assertSame("job-$i", $task->getName());
            $task->ack();
        }
    }

    /** @return array<string, array{string}> RabbitMQ 4 and amqp1-broker. */
    public static function exclusive(): array
    {
        $program = array_intersect_key(self::networked(), ['program' => true]);

        return array_filter([...self::rabbitMq(), ...$program], static fn (array $set) => $set !== ['']) ?: ['none of AMQP1_TEST_BROKERS' => ['']];
    }

    /** @dataProvider exclusive */
    #[DataProvider('exclusive')]
    public function testAnExclusiveQueueIsOfThisProcessAlone(string $broker): void
    {
        $at = $this->broker($broker);
        $queue = $this->queue($broker, ['exclusive' => true]);
        $queue->push('job');
        $task = $this->take($queue);
        self::assertSame('job', $task->getName());
        $queue->push('not for others');
        $other = Child::php(<<<'PHP'
            try {
                (new Amqp1\Consumer(new Amqp1\AmqpQueue($argv[1], $argv[2], ['declare' => false])))->waitTask(1);
                echo "served\n";
            } catch (Amqp1\Exception\ExceptionInterface $e) {
                echo 'refused: ', $e->getMessage(), "\n";
            }
            PHP, [$at->dsn, $queue->getName()]);

        self::assertStringContainsString($queue->getName(), $other->waitFor('refused', 15));
    }

    public function testAnExclusiveConsumerIsRefusedWithTheWayOut(): void
    {
        $queue = new AmqpQueue('embedded://', 'q');
        $thrown = $this->thrown(ExceptionInterface::class, static fn () => new Consumer($queue, ['exclusive' => true]));

        self::assertInstanceOf(ConfigException::class, $thrown);
        self::assertStringContainsString('single_active_consumer', $thrown->getMessage());
    }

    /** Null if it is refused and cannot be declared otherwise (on Service Bus, sessions do it: ServiceBusTest). */
    private function single(string $broker, string $type): ?AmqpQueue
    {
        $queue = $this->queue($broker, ['queue_type' => $type, 'single_active_consumer' => true]);
        if ($this->lacks($broker, 'queue-options', static fn () => $queue->push('job'))) {
            if (!$this->broker($broker)->isRabbitMq()) {
                return null;
            }
            (new Peer($this->broker($broker)))->declareQueue($queue->getName(), [
                'x-queue-type' => $type, 'x-single-active-consumer' => true,
            ]);
        }

        return $queue;
    }
}
