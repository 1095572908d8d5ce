<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Exception\BatchException;
use Amqp1\Exception\QueueNotFoundException;
use Amqp1\Exception\UnsupportedException;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Peer;
use PHPUnit\Framework\Attributes\DataProvider;

/**
 * RabbitMQ 3's plugin confirms jobs that it loses, and has no management. What is possible works, the rest is
 * refused, and no job is silently lost, except jobs that an exchange cannot route.
 */
final class RabbitMq310Test extends ContractTestCase
{
    /** @dataProvider rabbitMq3 */
    #[DataProvider('rabbitMq3')]
    public function testAPushToAMissingQueueIsAnExceptionAndItsNeighboursGoOn(string $broker): void
    {
        $at = $this->broker($broker);
        $missing = $this->queue($broker, ['declare' => false]);
        $neighbour = $this->queue($broker);
        $consumer = $this->consumer($neighbour);
        foreach (['first', 'second'] as $round) {
            $thrown = $this->thrown(QueueNotFoundException::class, static fn () => $missing->push('lost?'));
            self::assertStringContainsString($missing->getName(), $thrown->getMessage());
            self::assertStringContainsString($at->endpoint(), $thrown->getMessage());
            $thrown = $this->thrown(
                BatchException::class,
                static fn () => $missing->pushMany([['name' => 'a'], ['name' => 'b']])
            );
            self::assertSame([], $thrown->getConfirmedIds());
            self::assertContainsOnlyInstancesOf(QueueNotFoundException::class, $thrown->getFailures());
            $neighbour->push($round);
            $task = $this->next($consumer);
            self::assertSame($round, $task->getName());
            $task->ack();
        }
        (new Peer($at))->declareQueue($missing->getName());
        $missing->push('now it is there');

        self::assertSame('now it is there', $this->take($missing)->getName());
    }

    /** @dataProvider rabbitMq3 */
    #[DataProvider('rabbitMq3')]
    public function testAQueueDeletedBetweenTwoPushesIsDeclaredAgain(string $broker): void
    {
        $at = $this->broker($broker);
        $queue = $this->queue($broker);
        $queue->push('before');
        (new Peer($at))->deleteQueue($queue->getName());
        $queue->push('after');

        self::assertSame('after', $this->take($queue)->getName());
        $strict = $this->queue($broker, ['declare' => false], $queue->getName());
        $strict->push('before');
        (new Peer($at))->deleteQueue($queue->getName());
        $this->thrown(QueueNotFoundException::class, static fn () => $strict->push('after'));
    }

    /** @dataProvider rabbitMq3 */
    #[DataProvider('rabbitMq3')]
    public function testAQueueDeletedDuringABatchLosesNothingThatIsReportedAsConfirmed(string $broker): void
    {
        $at = $this->broker($broker);
        $peer = new Peer($at);
        $queue = $this->queue($broker);
        $queue->push('declared');
        $jobs = static function () use ($peer, $queue): iterable {
            for ($i = 0; $i < 300; ++$i) {
                if ($i === 200) {
                    usleep(100000); // the first ones are confirmed
                    $peer->deleteQueue($queue->getName());
                }
                yield ['name' => 'job'];
            }
        };
        $ids = $queue->pushMany($jobs());
        self::assertCount(300, array_unique($ids));
        $this->assertJobs(300, $queue, 'sent again to the queue that was made again');

        $strict = $this->queue($broker, ['declare' => false], $queue->getName());
        $thrown = $this->thrown(BatchException::class, static fn () => $strict->pushMany($jobs()));
        self::assertSame([], $thrown->getConfirmedIds(), 'none of them is in a queue');
        self::assertCount(300, $thrown->getFailures());
    }

    /** @dataProvider rabbitMq3 */
    #[DataProvider('rabbitMq3')]
    public function testTheQueueIsDeclaredDurableWhateverUsesItFirst(string $broker): void
    {
        $at = $this->broker($broker);
        [$pushed, $consumed] = [$this->queue($broker), $this->queue($broker)];
        $pushed->push('job');
        $this->assertNoTask($this->consumer($consumed), 0.1);

        // 0-9-1 refuses a declaration that differs from the existing queue.
        foreach ([$pushed, $consumed] as $queue) {
            (new Peer($at))->declareQueue($queue->getName(), []);
        }
        $this->assertJobs(1, $pushed);
    }

    /** @dataProvider rabbitMq3 */
    #[DataProvider('rabbitMq3')]
    public function testWhatExistsIsUsedAsItIs(string $broker): void
    {
        $peer = new Peer($this->broker($broker));
        foreach ([['x-queue-type' => 'quorum'], ['x-message-ttl' => 60000], ['x-max-priority' => 5]] as $arguments) {
            $queue = $this->queue($broker);
            $peer->declareQueue($queue->getName(), $arguments);
            $queue->push('job');
            $queue->pushMany([['name' => 'job'], ['name' => 'job']]);
            $this->assertJobs(3, $queue);
            self::assertSame('job', $this->take($queue)->getName());
        }
    }

    /** @dataProvider rabbitMq3 */
    #[DataProvider('rabbitMq3')]
    public function testAQueueWithOptionsIsUsedWhenItExistsAndNotMadeWithoutThem(string $broker): void
    {
        $at = $this->broker($broker);
        $cases = [
            'max_length' => 5, 'single_active_consumer' => true, 'queue_type' => 'quorum', 'exclusive' => true,
            'dead_letter_exchange' => 'dead', 'arguments' => ['x-max-length' => 5],
        ];
        foreach ($cases as $option => $value) {
            $queue = $this->queue($broker, [$option => $value]);
            $thrown = $this->thrown(UnsupportedException::class, static fn () => $queue->push('job'));
            self::assertStringContainsString("'$option'", $thrown->getMessage());
            self::assertStringContainsString($queue->getName(), $thrown->getMessage());
            self::assertFalse((new Peer($at))->hasQueue($queue->getName()));
        }
        $queue = $this->queue($broker, ['max_length' => 5]);
        (new Peer($at))->declareQueue($queue->getName(), ['x-max-length' => 5]);
        $queue->push('job');
        self::assertSame('job', $this->take($queue)->getName());
        $queue = $this->queue($broker, ['queue_type' => 'classic']);
        $queue->push('that is what it declares');
        $this->assertJobs(1, $queue);
    }

    /** To see whether such a queue is there would delete it. @dataProvider rabbitMq3 */
    #[DataProvider('rabbitMq3')]
    public function testAnAutoDeleteQueueIsRefused(string $broker): void
    {
        $peer = new Peer($this->broker($broker));
        $queue = $this->queue($broker);
        $there = $peer->queue($queue->getName());
        $there->setFlags(AMQP_DURABLE | AMQP_AUTODELETE);
        $there->declareQueue();
        $thrown = $this->thrown(UnsupportedException::class, static fn () => $queue->push('job'));

        self::assertStringContainsString('auto_delete', $thrown->getMessage());
        self::assertTrue($peer->hasQueue($queue->getName()));
    }

    /** @dataProvider rabbitMq3 */
    #[DataProvider('rabbitMq3')]
    public function testAnotherClientsExclusiveConsumerDoesNotHinderPublishing(string $broker): void
    {
        $peer = new Peer($this->broker($broker));
        $queue = $this->queue($broker);
        $there = $peer->declareQueue($queue->getName(), []);
        $there->consume(null, AMQP_EXCLUSIVE);
        $id = $queue->push('job');
        self::assertNotSame('', $id);
        $there->cancel();
    }

    /** @return array<string, array{string, string}> */
    public static function names(): array
    {
        $sets = [];
        foreach (self::rabbitMq3() as [$name]) {
            foreach (['a space', 'slash/es/', 'žluťoučký 🐎', '100%', 'a%20b', '~tilde?&=+#:@', "quote'\"\\", '.', 'é'] as $part) {
                $sets["$name, $part"] = [$name, $part];
            }
        }

        return $sets;
    }

    /** @dataProvider names */
    #[DataProvider('names')]
    public function testNamesWithEveryKindOfCharacter(string $broker, string $part): void
    {
        $at = $this->broker($broker);
        $peer = new Peer($at);
        $queue = $this->queue($broker, [], $this->owned($at, $part . bin2hex(random_bytes(4)) . $part));
        $queue->push('straight');
        self::assertTrue($peer->hasQueue($queue->getName()), 'the broker knows the queue by that very name');
        self::assertSame('straight', $this->take($queue)->getName());

        $exchange = $this->exchangeName($at, $part);
        $peer->declareExchange($exchange);
        $peer->queue($queue->getName())->bind($exchange, "key $part");
        $through = $this->queue(
            $broker,
            ['declare' => false, 'exchange' => $exchange, 'routing_key' => "key $part"],
            $queue->getName()
        );
        $through->push('through the exchange');
        self::assertSame('through the exchange', $this->take($through)->getName());
    }

    /** @dataProvider rabbitMq3 */
    #[DataProvider('rabbitMq3')]
    public function testANameThatWouldMeanAnotherQueueIsRefused(string $broker): void
    {
        $name = $this->uniqueName($this->broker($broker)) . '%2Fb';
        $queue = $this->queue($broker, [], $name);
        foreach (['push' => static fn () => $queue->push('job'), 'consume' => fn () => $this->consumer($queue)->waitTask(1)] as $do) {
            $thrown = $this->thrown(UnsupportedException::class, $do);
            self::assertStringContainsString('%2F', $thrown->getMessage());
        }
    }

    /** @dataProvider rabbitMq3 */
    #[DataProvider('rabbitMq3')]
    public function testAnExchangeIsPublishedToAndNeverDeclared(string $broker): void
    {
        $at = $this->broker($broker);
        $peer = new Peer($at);
        $exchange = $this->exchangeName($at);
        $queue = $this->queue($broker, ['exchange' => $exchange, 'routing_key' => 'k']);
        $thrown = $this->thrown(UnsupportedException::class, static fn () => $queue->push('job'));
        self::assertStringContainsString($exchange, $thrown->getMessage());
        self::assertStringContainsString("'declare'", $thrown->getMessage());

        $options = ['declare' => false, 'exchange' => $exchange, 'routing_key' => 'k'];
        $queue = $this->queue($broker, $options, $queue->getName());
        $this->thrown(QueueNotFoundException::class, static fn () => $queue->push('job'));
        $peer->declareExchange($exchange);
        $peer->declareQueue($queue->getName(), [])->bind($exchange, 'k');
        $queue->push('job');
        $queue->push('of another key', '', ['routing_key' => 'nobody']); // lost, as documented
        self::assertSame('job', $this->take($queue)->getName());
        $this->assertJobs(0, $queue);
    }

    /** The broker ends the whole connection then. @dataProvider rabbitMq3 */
    #[DataProvider('rabbitMq3')]
    public function testAQueueDeletedUnderAConsumerIsReportedAndItsNeighbourGoesOn(string $broker): void
    {
        [$deleted, $neighbour] = [$this->queue($broker), $this->queue($broker)];
        $deleted->push('declared');
        $this->take($deleted);
        $neighbour->push('before');
        $strict = $this->queue($broker, ['declare' => false], $deleted->getName());
        // Credit for all jobs beforehand: RabbitMQ 3 hears no more of it once the queue is gone, until it ends the connection.
        $consumer = $this->consumer([$strict, $neighbour], ['prefetch' => 10]);
        $this->next($consumer)->ack();
        (new Peer($this->broker($broker)))->deleteQueue($deleted->getName());
        $names = $errors = [];
        $pushed = 0;
        for ($try = 0; $try < 12 && ($errors === [] || count($names) < 2); ++$try) {
            $pushed < 2 && $neighbour->push('after-' . ++$pushed);
            try {
                $task = $consumer->waitTask(2);
                $task?->ack();
                $names[] = $task?->getName();
            } catch (QueueNotFoundException $e) {
                $errors[] = $e->getMessage();
            }
        }
        $names = array_filter($names);
        sort($names);

        self::assertSame(['after-1', 'after-2'], array_values($names));
        self::assertStringContainsString($deleted->getName(), $errors[0]);
    }

    /** @dataProvider rabbitMq3 */
    #[DataProvider('rabbitMq3')]
    public function testWhatItCannotDoIsRefusedWithTheWayOut(string $broker): void
    {
        $at = $this->broker($broker);
        $queue = $this->queue($broker);
        $calls = [
            'setup' => static fn () => $queue->setup(),
            'count' => static fn () => $queue->count(),
            'stats' => static fn () => $queue->stats(),
            'purge' => static fn () => $queue->purge(),
            'delay' => static fn () => $queue->push('job', '', ['delay' => 1]),
            'priority' => fn () => $this->consumer($queue, ['priority' => 1])->waitTask(1),
        ];
        foreach ($calls as $call => $do) {
            $message = $this->thrown(UnsupportedException::class, $do)->getMessage();
            foreach ([$queue->getName(), $at->endpoint()] as $named) {
                self::assertStringContainsString($named, $message, $call);
            }
            self::assertMatchesRegularExpression('/RabbitMQ 4|without|remove/', $message, $call);
        }
        $queue->push('and it still works');
        self::assertSame('and it still works', $this->take($queue)->getName());
    }

    /** One in seventy ended sessions holds its connection up for seconds there. @dataProvider rabbitMq3 */
    #[DataProvider('rabbitMq3')]
    public function testManyPushesUseOneSessionToLookForTheirQueue(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('first');
        $slowest = 0.0;
        for ($i = 0; $i < 300; ++$i) {
            $began = microtime(true);
            $queue->push('job');
            $slowest = max($slowest, microtime(true) - $began);
        }

        self::assertLessThan(4.0, $slowest);
        $this->assertJobs(301, $queue);
    }

    /** @dataProvider rabbitMq3 */
    #[DataProvider('rabbitMq3')]
    public function testARetryWithAPauseIsRefusedAndTheJobCanBeSettledOtherwise(string $broker): void
    {
        $queue = $this->queue($broker, ['backoff' => 1]);
        $queue->push('job');
        $consumer = $this->consumer($queue);
        $task = $this->next($consumer);
        $thrown = $this->thrown(UnsupportedException::class, static fn () => $task->nack('again'));
        self::assertStringContainsString("'backoff' to 0", $thrown->getMessage());
        self::assertFalse($task->isCompleted());
        $task->nack('now', true);
        $again = $this->next($consumer);

        self::assertSame([2, $task->getId()], [$again->getAttempts(), $again->getId()]);
    }

    /** It goes on sending to a consumer that has taken its credit back. @dataProvider rabbitMq3 */
    #[DataProvider('rabbitMq3')]
    public function testAJobThatComesToAStoppedConsumerDoesNotCostItsConnection(string $broker): void
    {
        foreach (range(1, 20) as $_) {
            $queue = $this->queue($broker);
            $queue->push('first');
            $consumer = $this->consumer($queue);
            $task = $this->next($consumer);
            $consumer->stop();
            $queue->push('second');
            $task->ack();
            $consumer->close();
            self::assertSame('second', $this->take($queue)->getName());
            self::assertNull($queue->reserve());
        }
    }

    /** What another client on 0-9-1 sees of a job: everything but its headers. @dataProvider rabbitMq3 */
    #[DataProvider('rabbitMq3')]
    public function testZeroNineOneSeesTheBodyAndThePropertiesAndNoHeaders(string $broker): void
    {
        $queue = $this->queue($broker);
        $id = $queue->push('job', ['n' => 1], ['headers' => ['tenant' => 'a'], 'priority' => 7, 'trace_id' => 'trace', 'group' => 'customer-7']);
        $envelope = (new Peer($this->broker($broker)))->get($queue->getName());

        self::assertSame('{"n":1}', $envelope->getBody());
        self::assertSame([$id, 'trace', 7, 2], [
            $envelope->getMessageId(), $envelope->getCorrelationId(), $envelope->getPriority(), $envelope->getDeliveryMode(),
        ]);
        self::assertArrayNotHasKey('tenant', $envelope->getHeaders());
        self::assertArrayHasKey('x-amqp-1.0-app-properties', $envelope->getHeaders());
        // It keeps the properties section unchanged.
        self::assertStringContainsString('customer-7', $envelope->getHeader('x-amqp-1.0-properties'), 'group-id');
    }
}
