<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\BatchException;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\ConnectionException;
use Amqp1\Exception\ExceptionInterface;
use Amqp1\Exception\QueueNotFoundException;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Peer;
use PHPUnit\Framework\Attributes\DataProvider;

/** A refusal by the broker is reported at once, with its reason. */
final class RefusalTest extends ContractTestCase
{
    /** @return array<string, array{string, string, array<string, mixed>}> */
    public static function refusedArguments(): array
    {
        $arguments = [
            'a text for a number' => ['classic', ['x-message-ttl' => 'abc']],
            'a negative limit' => ['classic', ['x-max-length' => -1]],
            'an argument of quorum queues' => ['classic', ['x-delivery-limit' => 5]],
            'an argument of classic queues' => ['quorum', ['x-max-priority' => 5]],
            'another one' => ['quorum', ['x-queue-mode' => 'lazy']],
        ];
        $sets = [];
        foreach (self::rabbitMq() as $name => [$broker]) {
            foreach ($arguments as $what => $with) {
                $sets["$what, $name"] = [$broker, ...$with];
            }
        }
        // It has only one type of queue, which knows all arguments.
        foreach (array_intersect_key(self::brokers(), ['embedded' => 1, 'program' => 1]) as $name => [$broker]) {
            foreach (array_slice($arguments, 0, 2) as $what => $with) {
                $sets["$what, $name"] = [$broker, ...$with];
            }
        }

        return $sets;
    }

    /** @dataProvider refusedArguments */
    #[DataProvider('refusedArguments')]
    public function testAnArgumentThatTheBrokerRefusesIsToldWithItsReason(string $broker, string $type, array $arguments): void
    {
        $queue = $this->queue($broker, ['queue_type' => $type, 'arguments' => $arguments]);
        $calls = [
            'push' => static fn () => $queue->push('job'),
            'pushMany' => static fn () => $queue->pushMany([['name' => 'job']]),
            'setup' => static fn () => $queue->setup(),
            'count' => static fn () => $queue->count(),
            'stats' => static fn () => $queue->stats(),
            'purge' => static fn () => $queue->purge(),
            'waitTask' => fn () => $this->consumer($queue)->waitTask(5),
            'reserve' => static fn () => $queue->reserve(0),
        ];
        $unknown = new AmqpQueue($this->broker($broker)->dsn, $queue->getName(), ['declare' => false]);
        foreach ($calls as $call => $do) {
            $thrown = $this->thrown(ExceptionInterface::class, $do);
            $thrown = $thrown instanceof BatchException ? $thrown->getFailures()[0] : $thrown;
            $message = "$call: {$thrown->getMessage()}";
            self::assertInstanceOf(ConfigException::class, $thrown, $message);
            self::assertStringContainsString("'{$queue->getName()}'", $message);
            self::assertStringContainsString($this->broker($broker)->isEmbedded() ? 'embedded:' : $this->broker($broker)->endpoint(), $message);
            self::assertStringContainsString((string) array_key_first($arguments), $message, 'the broker says which');
            self::assertStringNotContainsString('exists', $message, 'it does not');
            self::assertStringNotContainsString("option 'declare'", $message, 'it is on');
            $this->thrown(QueueNotFoundException::class, static fn () => $unknown->count());
        }
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAnArgumentThatNobodyKnowsIsKeptAndNoDifference(string $broker): void
    {
        $queue = $this->queue($broker, ['arguments' => ['x-anything' => 1]]);
        $queue->push('job');
        $queue->setup();

        self::assertSame(1, $queue->count());
    }

    /**
     * A reply-to that is not UTF-8 crashes RabbitMQ 4.3's session each time the message is delivered, and the broker
     * closes the connection.
     *
     * @dataProvider rabbitMq
     */
    #[DataProvider('rabbitMq')]
    public function testAConnectionThatIsClosedAgainAndAgainEndsTheCallInTimeWithTheReason(string $broker): void
    {
        $queue = $this->queue($broker, ['queue_type' => 'classic', 'timeout' => 30]);
        $queue->setup();
        (new Peer($this->broker($broker)))->publish($queue->getName(), 'body', ['reply_to' => "\xff\xfe\x80"]);
        $consumer = $this->consumer($queue);
        foreach (['first', 'second'] as $call) {
            $began = microtime(true);
            try {
                // Other versions of RabbitMQ deliver it: it is a job, or goes to the failed queue.
                $task = $consumer->waitTask(2);
                self::assertTrue($task !== null || $queue->count() === 0, 'silent about a job that is there');

                return;
            } catch (ConnectionException $thrown) {
                self::assertStringContainsString('closed the connection: amqp:', $thrown->getMessage(), $call);
                self::assertStringContainsString($queue->getName(), $thrown->getMessage(), $call);
            }
            self::assertLessThan(6, microtime(true) - $began, $call);
        }
    }
}
