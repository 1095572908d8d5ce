<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\BatchException;
use Amqp1\Exception\TimeoutException;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Proxy;
use Generator;
use PHPUnit\Framework\Attributes\DataProvider;
use RuntimeException;

/** The socket reads large payloads where PHP has them: what the application does with that memory must not reach the broker. */
final class LentPayloadTest extends ContractTestCase
{
    /** More than the sockets' buffers hold. Service Bus' dialect takes 256 KB at most. */
    private const LARGE = 12_000_000;

    /** @return array<string, array{string}> a network in between, and a broker that takes large jobs */
    public static function large(): array
    {
        return array_slice(self::fullyFeatured(), 0, 1) + self::newestRabbitMq();
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testEachOfManyDifferentPayloadsArrivesUnchanged(string $broker): void
    {
        $queue = $this->queue($broker);
        $large = $this->broker($broker)->supports('large-messages') ? 1_500_000 : 250_000;
        $sums = [];
        $jobs = (static function () use (&$sums, $large): Generator {
            for ($i = 0; $i < 60; ++$i) {
                $payload = str_repeat(chr(65 + $i % 26), [65_535, 65_536, 70_000, 131_072, 200_000, $large, 30][$i % 7]) . $i;
                $sums[] = md5($payload);
                yield ['name' => 'job', 'payload' => $payload];
                $payload .= 'changed'; // in its own memory, because the extension has a share
            }
        })();
        $queue->pushMany($jobs);
        $consumer = $this->consumer($queue, ['prefetch' => 10]);
        foreach ($sums as $i => $sum) {
            $task = $this->next($consumer);
            self::assertSame($sum, md5($task->getBody()), "job $i");
            $task->ack();
        }
    }

    /** @dataProvider large */
    #[DataProvider('large')]
    public function testWhatTheSocketDidNotTakeInTimeIsTheOriginal(string $broker): void
    {
        [$proxy, $queue] = $this->proxied($broker);
        $queue->push('first', 'first');
        $proxy->stall('up');
        $payload = str_repeat('a', self::LARGE);
        $this->thrown(TimeoutException::class, static fn () => $queue->push('late', $payload, ['timeout' => 0.5]));
        // The same memory, with other contents.
        $payload = null;
        $others = [];
        for ($i = 0; $i < 5; ++$i) {
            $others[] = str_repeat('b', self::LARGE);
        }
        $proxy->heal();
        $this->assertBodies(['first', str_repeat('a', self::LARGE)], $broker, $queue);
    }

    /** @dataProvider large */
    #[DataProvider('large')]
    public function testAHandlerThatThrowsLeavesTheOriginalAndTheConnection(string $broker): void
    {
        [$proxy, $queue] = $this->proxied($broker);
        $queue->push('first', 'first');
        $proxy->stall('up');
        pcntl_async_signals(true);
        pcntl_signal(SIGALRM, static fn () => throw new RuntimeException('enough'));
        $jobs = (static function (): Generator {
            yield ['name' => 'interrupted', 'payload' => str_repeat('a', self::LARGE)];
        })();
        pcntl_alarm(1);
        try {
            $error = $this->thrown(RuntimeException::class, static fn () => $queue->pushMany($jobs));
        } finally {
            pcntl_alarm(0);
            pcntl_signal(SIGALRM, SIG_DFL);
        }
        self::assertSame('enough', $error->getMessage());
        unset($jobs);
        $other = str_repeat('b', self::LARGE);
        $proxy->heal();
        $queue->push('last', 'last');
        self::assertSame(self::LARGE, strlen($other));
        $this->assertBodies(['first', str_repeat('a', self::LARGE), 'last'], $broker, $queue);
    }

    /** @dataProvider large */
    #[DataProvider('large')]
    public function testWhatIsLostOnItsWayIsSentAgainWithItsOwnPayload(string $broker): void
    {
        [$proxy, $queue] = $this->proxied($broker);
        $sums = $failed = [];
        $jobs = (static function () use ($proxy, &$sums): Generator {
            for ($i = 0; $i < 60; ++$i) {
                if ($i % 20 === 10) {
                    $i < 20 ? $proxy->cut() : $proxy->reset();
                }
                $payload = str_repeat(chr(65 + $i % 26), 400_000) . $i;
                $sums["job-$i"] = md5($payload);
                yield ['name' => 'job', 'payload' => $payload, 'options' => ['id' => "job-$i"]];
            }
        })();
        try {
            $queue->pushMany($jobs);
        } catch (BatchException $e) {
            $failed = $e->getFailures();
        }
        self::assertSame([], $failed);
        $there = [];
        $consumer = $this->consumer(new AmqpQueue($this->broker($broker)->dsn, $queue->getName()), ['prefetch' => 10]);
        while ($task = $consumer->waitTask(1)) {
            $there[$task->getId()] = md5($task->getBody());
            $task->ack();
        }
        ksort($sums);
        ksort($there);
        self::assertSame($sums, $there);
        self::assertGreaterThanOrEqual(3, $proxy->counts()['accepted']);
    }

    /** @return array{Proxy, AmqpQueue} */
    private function proxied(string $broker): array
    {
        $at = $this->broker($broker);
        $proxy = new Proxy($at);

        return [$proxy, new AmqpQueue($proxy->dsn, $this->uniqueName($at), ['timeout' => 20])];
    }

    /** @param list<string> $expected in order */
    private function assertBodies(array $expected, string $broker, AmqpQueue $queue): void
    {
        $consumer = $this->consumer(new AmqpQueue($this->broker($broker)->dsn, $queue->getName()), ['prefetch' => 1]);
        foreach ($expected as $i => $body) {
            $task = $this->next($consumer, 20);
            self::assertTrue($body === $task->getBody(), "job $i: " . strlen($task->getBody()) . ' octets, ' . count_chars($task->getBody(), 3));
            $task->ack();
        }
    }
}
