<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Exception\RejectedException;
use Amqp1\Exception\SerializationException;
use Amqp1\Tests\Support\ContractTestCase;
use JsonSerializable;
use PHPUnit\Framework\Attributes\DataProvider;
use stdClass;

/** getPayload() returns what push() was given. */
final class PayloadTest extends ContractTestCase
{
    /** @return array<string, string> */
    private static function strings(): array
    {
        return [
            'every byte' => implode('', array_map('chr', range(0, 255))),
            'every byte, backwards' => implode('', array_map('chr', range(255, 0))),
            'one byte' => 'x',
            'one NUL' => "\0",
            'empty' => '',
            'NUL inside' => "a\0b\0",
            'not UTF-8' => "caf\xe9 \xff\xfe \xc3",
            'UTF-8' => 'žluťoučký kůň 🐎',
            'looks like JSON' => '{"a": 1}',
            'looks like a number' => '0123',
            'looks like null' => 'null',
            'line ends' => "a\r\nb\n\r\0\n",
            '255 bytes' => str_repeat('s', 255),
            '256 bytes' => str_repeat('t', 256),
            'more than a frame' => random_bytes(200_000),
        ];
    }

    /** @return array<string, array{mixed, mixed}> the payload, and what getPayload() returns (objects come back as arrays) */
    private static function values(): array
    {
        $object = new stdClass();
        $object->id = 7;
        $object->list = [1, 2];
        $serializable = new class () implements JsonSerializable {
            public function jsonSerialize(): mixed
            {
                return ['kind' => 'serializable', 'n' => 1.5];
            }
        };
        $same = static fn (mixed $value) => [$value, $value];

        return [
            'null' => $same(null),
            'true' => $same(true),
            'false' => $same(false),
            'int' => $same(42),
            'zero' => $same(0),
            'negative int' => $same(-1),
            'int over 2^53' => $same(9007199254740993),
            'largest int' => $same(PHP_INT_MAX),
            'smallest int' => $same(PHP_INT_MIN),
            'whole float' => $same(1.0),
            'float' => $same(0.1),
            'large float' => $same(1.7976931348623157e308),
            'small float' => $same(5.0e-324),
            'negative float' => $same(-2.5),
            'empty array' => $same([]),
            'list' => $same([1, 'two', 3.0, null, false]),
            'map' => $same(['orderId' => 12345, 'total' => 99.0, 'note' => null]),
            'nested' => $same(['a' => ['b' => ['c' => ['d' => [1, [2, [3, []]]]]]]]),
            'Unicode' => $same(['ключ' => 'значение', 'emoji' => '🐎', 'slash' => 'a/b', 'quote' => '"\\']),
            'NUL in text' => $same(['text' => "a\0b\x1f"]),
            'int keys with gaps' => $same([3 => 'a', 7 => 'b']),
            'numeric text' => $same(['n' => '0123', 'big' => '99999999999999999999']),
            'stdClass' => [$object, ['id' => 7, 'list' => [1, 2]]],
            'empty stdClass' => [new stdClass(), []],
            'JsonSerializable' => [$serializable, ['kind' => 'serializable', 'n' => 1.5]],
            'object inside' => [['o' => $object], ['o' => ['id' => 7, 'list' => [1, 2]]]],
        ];
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testStringsTravelAsTheyAre(string $broker): void
    {
        $strings = self::strings();
        $queue = $this->queue($broker);
        foreach ($strings as $name => $string) {
            $queue->push($name, $string);
        }
        $consumer = $this->consumer($queue);
        foreach ($strings as $name => $string) {
            $task = $this->next($consumer);
            self::assertSame($name, $task->getName());
            self::assertTrue($string === $task->getPayload(), "payload: $name");
            self::assertTrue($string === $task->getBody(), "body: $name");
            $task->ack();
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testValuesKeepTheirTypes(string $broker): void
    {
        $values = self::values();
        $queue = $this->queue($broker);
        $queue->pushMany(array_map(
            static fn (string $name, array $value) => ['name' => $name, 'payload' => $value[0]],
            array_keys($values),
            $values
        ));
        $consumer = $this->consumer($queue);
        foreach ($values as $name => [, $expected]) {
            $task = $this->next($consumer);
            self::assertSame($name, $task->getName());
            self::assertSame($expected, $task->getPayload(), $name);
            $task->ack();
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testPayloadLeftOutIsNull(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('bare');

        self::assertNull($this->take($queue)->getPayload());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testBodyIsTheJsonThatJsonEncodeWrites(string $broker): void
    {
        $queue = $this->queue($broker);
        foreach (self::values() as $name => [$pushed]) {
            $queue->push($name, $pushed);
        }
        $consumer = $this->consumer($queue);
        foreach (self::values() as $name => [$pushed]) {
            $task = $this->next($consumer);
            // Escaping may differ, but the value must not.
            self::assertSame(
                json_encode($pushed, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION),
                json_encode(
                    json_decode($task->getBody(), false, 512, JSON_THROW_ON_ERROR),
                    JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION
                ),
                $name
            );
            $task->ack();
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testTenMegabytes(string $broker): void
    {
        $payload = str_repeat(random_bytes(1024), 10 * 1024);
        $queue = $this->queue($broker, ['timeout' => 60]);
        if ($this->lacks($broker, 'large-messages', static fn () => $queue->push('large', $payload), RejectedException::class)) {
            return;
        }
        $queue->push('large', $payload);
        $task = $this->take($queue, 60);

        self::assertSame(strlen($payload), strlen($task->getPayload()));
        self::assertTrue($payload === $task->getPayload());
    }

    public function testWhatJsonCannotSayIsRefusedBeforeAnythingIsSent(): void
    {
        $queue = $this->queue('embedded');
        $endless = [];
        $endless['again'] = &$endless;
        foreach (['NAN' => NAN, 'INF' => [INF], 'not UTF-8' => ['text' => "\xff"], 'endless' => $endless] as $name => $payload) {
            $thrown = $this->thrown(SerializationException::class, static fn () => $queue->push($name, $payload));
            self::assertNotSame('', $thrown->getMessage());
        }
        $queue->push('good', ['still' => 'works']);

        self::assertSame('good', $this->take($queue)->getName());
        $this->assertJobs(0, $queue);
    }

    public function testAnExceptionOfJsonSerializeComesThrough(): void
    {
        $queue = $this->queue('embedded');
        $payload = new class () implements JsonSerializable {
            public function jsonSerialize(): mixed
            {
                throw new \DomainException('not today');
            }
        };
        try {
            $queue->push('bad', $payload);
            self::fail('nothing was thrown');
        } catch (\Throwable $thrown) {
            $messages = $thrown->getMessage() . $thrown->getPrevious()?->getMessage();
            self::assertStringContainsString('not today', $messages);
        }
        $this->assertJobs(0, $queue);
    }

    public function testThePayloadIsNotChangedByPushing(): void
    {
        $queue = $this->queue('embedded');
        $array = ['a' => [1, 2, 3]];
        $copy = $array;
        $queue->push('x', $array);
        $array['a'][] = 4;

        self::assertSame($copy, $this->take($queue)->getPayload());
    }
}
