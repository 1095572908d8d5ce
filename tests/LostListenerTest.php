<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\ProgramBroker;

/** Listeners of lost jobs: objects that they hold are collected, and one that throws does not affect the others. */
final class LostListenerTest extends ContractTestCase
{
    public function testAListenerThatHoldsItsConsumerIsCollected(): void
    {
        $queue = $this->queue('embedded');
        $queue->push('job');
        gc_collect_cycles();
        $kept = [];
        for ($i = 0; $i < 3; $i++) {
            $consumer = new Consumer($queue, ['prefetch' => 1]); // the test case would hold one of its own
            $consumer->onLost(match ($i) {
                0 => static fn () => $consumer->isPaused(),
                1 => static function () use (&$consumer): void {
                    $consumer->stop();
                },
                2 => [new class ($consumer) {
                    public function __construct(private Consumer $consumer)
                    {
                    }

                    public function look(): void
                    {
                        $this->consumer->isPaused();
                    }
                }, 'look'],
            });
            self::assertNotNull($consumer->waitTask(10), "it came back: $i");
            $kept[] = \WeakReference::create($consumer);
            unset($consumer);
            self::assertNotNull($kept[$i]->get());
            gc_collect_cycles();
            self::assertNull($kept[$i]->get(), "listener $i");
        }
    }

    public function testAListenerOfALivingConsumerIsLeftAlone(): void
    {
        [$broker, $consumer, $task] = $this->holding();
        $heard = [];
        $listener = function () use ($consumer, &$heard): void {
            $heard[] = $consumer->isPaused();
        };
        $consumer->onLost($listener);
        unset($listener);
        for ($i = 0; $i < 5; $i++) {
            gc_collect_cycles();
        }
        $broker->stop();
        $this->eventually(function () use (&$heard): bool {
            return $heard !== [];
        }, 'the listener is called');
        self::assertFalse($heard[0]);
        self::assertTrue($task->isLost());
        $consumer->onLost(null);
    }

    public function testAllListenersAreCalledAndTheFirstExceptionComesOut(): void
    {
        [$broker, $first, $task] = $this->holding();
        $heard = [];
        $consumers = [$first];
        $throws = [
            static fn () => throw new \DomainException('first', 0, new \LogicException('of its own')),
            // An exception that is thrown and caught in between is unrelated.
            static function (): void {
                try {
                    throw new \RuntimeException('caught');
                } catch (\RuntimeException) {
                }
            },
            static fn () => throw new \RangeException('second'),
            null,
        ];
        foreach ($throws as $i => $throw) {
            $consumers[$i] ??= $this->consumer(new AmqpQueue($broker->dsn, "other$i"));
            $consumers[$i]->onLost(static function () use ($i, $throw, &$heard): void {
                $heard[] = $i;
                $throw === null || $throw();
            });
        }
        $caught = null;
        // Not while stop() waits: the exception is thrown into the very function that catches it.
        exec("(sleep 0.3; kill -9 {$broker->pid()}) > /dev/null 2>&1 &");
        try {
            for ($until = microtime(true) + 30; microtime(true) < $until && $heard === [];) {
                usleep(1000);
            }
        } catch (\DomainException $caught) {
        }
        self::assertSame([0, 1, 2, 3], $heard);
        self::assertInstanceOf(\DomainException::class, $caught);
        self::assertSame('of its own', $caught->getPrevious()?->getMessage());
        self::assertSame('second', $caught->getPrevious()->getPrevious()?->getMessage());
        self::assertTrue($task->isLost());
    }

    public function testALostListenerThatExitsEndsTheScript(): void
    {
        $broker = ProgramBroker::start();
        $child = Child::php('
            $consumers = [];
            foreach ([0, 1, 2] as $i) {
                $queue = new Amqp1\AmqpQueue($argv[1], "q$i");
                $queue->push("job");
                $tasks[] = ($consumers[] = $consumer = new Amqp1\Consumer($queue))->waitTask(10);
                $consumer->onLost(static fn () => match ($i) {
                    0 => throw new DomainException("thrown"),
                    1 => exit(7),
                    2 => print("called"),
                });
            }
            echo "ready\n";
            for ($until = microtime(true) + 30; microtime(true) < $until;) {
                usleep(1000);
            }
        ', [$broker->dsn]);
        $this->eventually(static fn () => str_contains($child->output(), 'ready'), 'it has its jobs');
        $broker->stop();
        self::assertSame([7, 'ready'], [$child->wait(), trim($child->output())]);
    }

    /** @return array{ProgramBroker, Consumer, \Amqp1\Task} a job in hand, of a broker that can go away */
    private function holding(): array
    {
        $broker = ProgramBroker::start();
        $queue = new AmqpQueue($broker->dsn, 'held');
        $queue->push('job');
        $consumer = $this->consumer($queue, ['prefetch' => 1]);

        return [$broker, $consumer, $this->next($consumer)];
    }
}
