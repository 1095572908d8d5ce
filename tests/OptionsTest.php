<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\ExceptionInterface;
use Amqp1\Tests\Support\ContractTestCase;
use DateTime;
use DateTimeImmutable;
use PHPUnit\Framework\Attributes\DataProvider;

/** Options are read as PHP users expect: by name, with type juggling, and never silently ignored. */
final class OptionsTest extends ContractTestCase
{
    public function testNamedArguments(): void
    {
        $queue = new AmqpQueue(dsn: 'embedded://phpunit', queue: 'named-' . bin2hex(random_bytes(4)), options: ['prefetch' => 1]);
        $id = $queue->push(name: 'job', payload: ['n' => 1], options: ['priority' => 5]);
        [$second] = $queue->pushMany(jobs: [['name' => 'second']], options: ['headers' => ['a' => 'b']]);
        $consumer = new Consumer(queues: $queue, options: ['prefetch' => 1]);

        $task = $consumer->waitTask(timeout: 5);
        self::assertSame($id, $task->getId());
        $task->nack(error: 'not yet', requeue: false);
        [$task] = $consumer->waitTasks(max: 1, timeout: 5);
        self::assertSame($second, $task->getId());
        $task->release(delay: 0, headers: ['seen' => 'once']);
        $task = $consumer->waitTask(timeout: 5);
        self::assertSame('once', $task->getHeaderLine(name: 'seen'));
        $task->deadLetter(reason: 'failed', description: 'for the test');
        $consumer->close();
    }

    /** @return array<string, array{mixed, int}> */
    public static function priorities(): array
    {
        return [
            'int' => [5, 5],
            'numeric string' => ['5', 5],
            'whole float' => [5.0, 5],
            'lowest' => [0, 0],
            'highest' => [255, 255],
            'null is the default' => [null, 4],
        ];
    }

    /** @dataProvider priorities */
    #[DataProvider('priorities')]
    public function testPriorityIsJuggled(mixed $given, int $expected): void
    {
        $queue = $this->queue('embedded');
        $queue->push('job', '', ['priority' => $given]);

        self::assertSame($expected, $this->take($queue)->getPriority());
    }

    /** @return array<string, array{mixed, float}> */
    public static function delays(): array
    {
        return [
            'int' => [1, 1.0],
            'float' => [0.2, 0.2],
            'numeric string' => ['0.2', 0.2],
            'zero' => [0, 0.0],
            'null' => [null, 0.0],
        ];
    }

    /** @dataProvider delays */
    #[DataProvider('delays')]
    public function testDelayIsJuggled(mixed $given, float $expected): void
    {
        $queue = $this->queue('embedded');
        $start = microtime(true);
        $queue->push('job', '', ['delay' => $given]);
        $this->take($queue);

        self::assertGreaterThanOrEqual($expected, microtime(true) - $start);
    }

    public function testDelayTakesADateTime(): void
    {
        $queue = $this->queue('embedded');
        $due = (new DateTimeImmutable())->modify('+600 milliseconds');
        $queue->push('later', '', ['delay' => $due]);
        $queue->push('past', '', ['delay' => new DateTime('-1 hour')]);
        $consumer = $this->consumer($queue);

        self::assertSame('past', $this->next($consumer)->getName());
        self::assertSame('later', $this->next($consumer)->getName());
        self::assertGreaterThanOrEqual((float) $due->format('U.u'), microtime(true));
    }

    /** @return array<string, array{string, mixed}> */
    public static function wrongPushOptions(): array
    {
        return [
            'priority too high' => ['priority', 256],
            'priority negative' => ['priority', -1],
            'priority not whole' => ['priority', 1.5],
            'priority not a number' => ['priority', 'high'],
            'priority an array' => ['priority', []],
            'priority true' => ['priority', true],
            'delay negative' => ['delay', -1],
            'delay not a number' => ['delay', 'soon'],
            'delay NAN' => ['delay', NAN],
            'delay INF' => ['delay', INF],
            'delay an array' => ['delay', [1]],
            'delay an object' => ['delay', new \stdClass()],
            'ttl negative' => ['ttl', -0.5],
            'timeout negative' => ['timeout', -1],
            'id an array' => ['id', []],
            'id empty' => ['id', ''],
            'routing key an array' => ['routing_key', []],
            'durable a word' => ['durable', 'maybe'],
            'headers an int' => ['headers', 5],
        ];
    }

    /** @dataProvider wrongPushOptions */
    #[DataProvider('wrongPushOptions')]
    public function testAWrongPushOptionIsRefusedByName(string $option, mixed $value): void
    {
        $queue = $this->queue('embedded');
        $thrown = $this->thrown(ConfigException::class, static fn () => $queue->push('job', '', [$option => $value]));

        self::assertStringContainsString($option, $thrown->getMessage());
        self::assertSame(0, $queue->count());
    }

    public function testBooleansAreJuggled(): void
    {
        $queue = $this->queue('embedded');
        foreach ([true, false, 1, 0, '1', '0', 'true', 'off', null] as $value) {
            $queue->push('job', '', ['durable' => $value]);
        }

        self::assertSame(9, $queue->count());
    }

    /** @return array<string, array{string, string}> */
    public static function mistypedPushOptions(): array
    {
        return [
            'letter twice' => ['prioritty', 'priority'],
            'dash' => ['routing-key', 'routing_key'],
            'singular' => ['header', 'headers'],
            'letters turned' => ['dealy', 'delay'],
            'case' => ['Delay', 'delay'],
        ];
    }

    /** @dataProvider mistypedPushOptions */
    #[DataProvider('mistypedPushOptions')]
    public function testAnUnknownPushOptionIsRefusedWithTheNearest(string $given, string $meant): void
    {
        $queue = $this->queue('embedded');
        $thrown = $this->thrown(ConfigException::class, static fn () => $queue->push('job', '', [$given => 1]));

        self::assertStringContainsString("'$given'", $thrown->getMessage());
        self::assertStringContainsString("'$meant'", $thrown->getMessage());
        self::assertSame(0, $queue->count());
    }

    public function testAnUnknownQueueOptionIsRefusedWithTheNearest(): void
    {
        $thrown = $this->thrown(
            ConfigException::class,
            static fn () => new AmqpQueue('embedded://', 'q', ['prefetsh' => 5])
        );
        self::assertStringContainsString("'prefetch'", $thrown->getMessage());

        $thrown = $this->thrown(
            ConfigException::class,
            static fn () => new AmqpQueue('embedded://', 'q', ['colour' => 'red'])
        );
        self::assertStringContainsString('queue_type', $thrown->getMessage(), 'nothing is near: all are named');
    }

    public function testAnUnknownConsumerOptionIsRefusedWithTheNearest(): void
    {
        $queue = $this->queue('embedded');
        $thrown = $this->thrown(ConfigException::class, static fn () => new Consumer($queue, ['autoack' => true]));

        self::assertStringContainsString("'auto_ack'", $thrown->getMessage());
    }

    public function testAListOfOptionsIsRefused(): void
    {
        $queue = $this->queue('embedded');
        $this->thrown(ConfigException::class, static fn () => $queue->push('job', '', ['priority', 5]));
        self::assertSame(0, $queue->count());
    }

    /** @return array<string, array{string, mixed}> */
    public static function wrongQueueOptions(): array
    {
        return [
            'timeout' => ['timeout', 'long'],
            'timeout negative' => ['timeout', -1],
            'heartbeat' => ['heartbeat', 0.5],
            'host_order' => ['host_order', 'sorted'],
            'prefetch zero' => ['prefetch', 0],
            'prefetch too large' => ['prefetch', 65536],
            'queue_type' => ['queue_type', 'stream-ish'],
            'queue_type stream' => ['queue_type', 'stream'],
            'exchange_type' => ['exchange_type', 'topik'],
            'bindings without an exchange' => ['bindings', ['key']],
            'bindings a number' => ['bindings', 5],
            'bindings with an unknown key' => ['bindings', [['exchange' => 'x', 'routing_keys' => 'k']]],
            'bindings of the default exchange' => ['bindings', [['exchange' => '', 'routing_key' => 'k']]],
            'max_length zero' => ['max_length', 0],
            'overflow' => ['overflow', 'explode'],
            'dead_letter_routing_key alone' => ['dead_letter_routing_key', 'dead'],
            'single_active_consumer' => ['single_active_consumer', 'sometimes'],
            'max_priority' => ['max_priority', 256],
            'consumer_timeout' => ['consumer_timeout', 0],
            'declare' => ['declare', 'perhaps'],
            'priority' => ['priority', 1000],
            'format' => ['format', 'xml'],
            'tls' => ['tls', 'yes'],
            'tls with a key alone' => ['tls', ['key' => '/tmp/key.pem']],
        ];
    }

    /** @dataProvider wrongQueueOptions */
    #[DataProvider('wrongQueueOptions')]
    public function testAWrongQueueOptionIsRefusedByName(string $option, mixed $value): void
    {
        $thrown = $this->thrown(ConfigException::class, static fn () => new AmqpQueue('embedded://', 'q', [$option => $value]));

        self::assertStringContainsString($option, $thrown->getMessage());
    }

    /** @return array<string, array{string}> */
    public static function wrongDsns(): array
    {
        return [
            'empty' => [''],
            'no scheme' => ['localhost:5672'],
            'another scheme' => ['http://localhost'],
            'port' => ['amqp://localhost:99999'],
            'spaces' => ['amqp://local host'],
        ];
    }

    /** @dataProvider wrongDsns */
    #[DataProvider('wrongDsns')]
    public function testAWrongDsnIsRefusedAtOnce(string $dsn): void
    {
        $this->thrown(ConfigException::class, static fn () => new AmqpQueue($dsn, 'q'));
        self::assertTrue(true);
    }

    public function testOptionsInTheDsn(): void
    {
        $queue = new AmqpQueue('embedded://phpunit?name=from-the-dsn&priority=7', 'dsn-' . bin2hex(random_bytes(4)), ['name' => 'from-php']);
        $queue->push('job');

        self::assertSame('from-php', $queue->getName(), 'what PHP says goes before');
        self::assertSame(7, $this->take($queue)->getPriority());
        $thrown = $this->thrown(ConfigException::class, static fn () => new AmqpQueue('embedded://?prioritty=7', 'q'));
        self::assertStringContainsString("'priority'", $thrown->getMessage());
    }

    public function testAnEmptyJobNameIsRefused(): void
    {
        $queue = $this->queue('embedded');
        $this->thrown(ConfigException::class, static fn () => $queue->push(''));
        self::assertSame(0, $queue->count());
    }

    public function testAnEmptyQueueNameIsRefused(): void
    {
        $this->thrown(ConfigException::class, static fn () => new AmqpQueue('embedded://', ''));
        self::assertTrue(true);
    }

    public function testWrongArgumentTypesAreTypeErrors(): void
    {
        $queue = $this->queue('embedded');
        $this->thrown(\TypeError::class, static fn () => $queue->push([]));
        $this->thrown(\TypeError::class, static fn () => $queue->push('job', '', 'priority'));
        $this->thrown(\TypeError::class, static fn () => $queue->pushMany(5));
        $this->thrown(\TypeError::class, static fn () => new Consumer('orders'));
        $this->thrown(\ArgumentCountError::class, static fn () => $queue->push());
        self::assertSame(0, $queue->count());
    }

    public function testAConsumerNeedsQueues(): void
    {
        $this->thrown(ExceptionInterface::class, static fn () => new Consumer([]));
        $this->thrown(ExceptionInterface::class, fn () => new Consumer([$this->queue('embedded'), 'orders']));
        self::assertTrue(true);
    }

    public function testQueueDefaultsApplyToEveryJob(): void
    {
        $queue = $this->queue('embedded', ['name' => 'pipeline-name', 'priority' => '9', 'delay' => 0.3]);
        $start = microtime(true);
        $queue->push('default');
        $queue->push('own', '', ['priority' => 1, 'delay' => 0]);
        $consumer = $this->consumer($queue);

        $own = $this->next($consumer);
        self::assertSame(['own', 1], [$own->getName(), $own->getPriority()]);
        $default = $this->next($consumer);
        self::assertSame(['default', 9], [$default->getName(), $default->getPriority()]);
        self::assertSame('pipeline-name', $default->getPipeline());
        self::assertGreaterThanOrEqual(0.3, microtime(true) - $start);
    }

    public function testWrongWaitsAreRefused(): void
    {
        $consumer = $this->consumer($this->queue('embedded'));
        foreach ([-1.0, NAN] as $timeout) {
            $this->thrown(ConfigException::class, static fn () => $consumer->waitTask($timeout));
        }
        foreach ([0, -1] as $max) {
            $this->thrown(ConfigException::class, static fn () => $consumer->waitTasks($max, 0.1));
        }
        self::assertNull($consumer->waitTask(0), 'zero looks and does not wait');
    }

    public function testWrongReleasesAreRefusedAndTheTaskIsStillOpen(): void
    {
        $queue = $this->queue('embedded');
        $queue->push('job');
        $task = $this->next($this->consumer($queue));
        $this->thrown(ConfigException::class, static fn () => $task->release(-1));
        $this->thrown(ConfigException::class, static fn () => $task->release(0, ['a' => [[]]]));
        self::assertFalse($task->isCompleted());
        $task->ack();
        self::assertTrue($task->isCompleted());
    }
}
