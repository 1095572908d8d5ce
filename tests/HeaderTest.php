<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Exception\ConfigException;
use Amqp1\Tests\Support\ContractTestCase;
use PHPUnit\Framework\Attributes\DataProvider;

/** A job's headers: every type goes in, lists of strings come out, and the envelope stays intact. */
final class HeaderTest extends ContractTestCase
{
    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testEachTypeComesBackAsText(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('job', '', ['headers' => [
            'text' => 'company-a',
            'empty' => '',
            'int' => 5,
            'negative' => -9223372036854775807,
            'float' => 1.5,
            'true' => true,
            'false' => false,
            'list' => ['a', 'b', 'c'],
            'mixed list' => ['a', 2, 0.5, true],
            'Unicode-ž' => 'kůň 🐎',
            'line' => "a\nb",
        ]]);
        $task = $this->take($queue);

        self::assertSame([
            'text' => ['company-a'],
            'empty' => [''],
            'int' => ['5'],
            'negative' => ['-9223372036854775807'],
            'float' => ['1.5'],
            'true' => ['true'],
            'false' => ['false'],
            'list' => ['a', 'b', 'c'],
            'mixed list' => ['a', '2', '0.5', 'true'],
            'Unicode-ž' => ['kůň 🐎'],
            'line' => ["a\nb"],
        ], $task->getHeaders());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testOrderIsKept(string $broker): void
    {
        $names = array_map(static fn (int $i) => 'h' . ($i * 7919 % 50), range(0, 49));
        $queue = $this->queue($broker);
        $queue->push('job', '', ['headers' => array_fill_keys($names, 'v')]);

        self::assertSame($names, array_keys($this->take($queue)->getHeaders()));
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testOneHeaderIsAskedForByName(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('job', '', ['headers' => ['tenant-id' => 'company-a', 'tag' => ['x', 'y']]]);
        $task = $this->take($queue);

        self::assertTrue($task->hasHeader('tenant-id'));
        self::assertFalse($task->hasHeader('tenant'));
        self::assertSame(['company-a'], $task->getHeader('tenant-id'));
        self::assertSame(['x', 'y'], $task->getHeader('tag'));
        self::assertSame([], $task->getHeader('missing'));
        self::assertSame('x,y', str_replace(', ', ',', $task->getHeaderLine('tag')));
        self::assertSame('company-a', $task->getHeaderLine('tenant-id'));
        self::assertSame('', $task->getHeaderLine('missing'));
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testNoHeadersIsAnEmptyArray(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('job');

        self::assertSame([], $this->take($queue)->getHeaders());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAHeaderNeverOverwritesTheEnvelope(string $broker): void
    {
        $queue = $this->queue($broker);
        $id = $queue->push('real-name', 'body', ['priority' => 7, 'headers' => [
            'rr_id' => 'forged',
            'rr_job' => 'forged',
            'rr_pipeline' => 'forged',
            'rr_priority' => 99,
            'rr_headers' => '{}',
            'kept' => 'yes',
        ]]);
        $task = $this->take($queue);

        self::assertSame($id, $task->getId());
        self::assertSame('real-name', $task->getName());
        self::assertSame($queue->getName(), $task->getPipeline());
        self::assertSame(7, $task->getPriority());
        self::assertSame(['yes'], $task->getHeader('kept'));
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testLargeAndManyHeaders(string $broker): void
    {
        $headers = ['large' => str_repeat('ž', 2000)];
        for ($i = 0; $i < 40; ++$i) {
            $headers["h$i"] = str_repeat((string) $i, 10);
        }
        $queue = $this->queue($broker);
        $queue->push('job', '', ['headers' => $headers]);

        self::assertSame(array_map(static fn ($value) => [$value], $headers), $this->take($queue)->getHeaders());
    }

    /** @return array<string, array{mixed, string}> */
    public static function wrongHeaders(): array
    {
        return [
            'not an array' => ['tenant', 'headers'],
            'an object as value' => [['h' => new \stdClass()], 'h'],
            'a map as value' => [['h' => ['a' => 'b']], 'h'],
            'a list in a list' => [['h' => [['a']]], 'h'],
            'an empty name' => [['' => 'v'], 'header'],
            'a list of values without names' => [['a', 'b'], 'header'],
            'an empty list of values' => [['h' => []], 'h'],
            'not UTF-8' => [['h' => "\xff"], 'h'],
            'a name that is not UTF-8' => [["\xff" => 'v'], 'header'],
            'an array as list item' => [['h' => ['a', []]], 'h'],
        ];
    }

    /** @dataProvider wrongHeaders */
    #[DataProvider('wrongHeaders')]
    public function testWrongHeadersAreRefusedByName(mixed $headers, string $named): void
    {
        $queue = $this->queue('embedded');
        $thrown = $this->thrown(
            ConfigException::class,
            static fn () => $queue->push('job', '', ['headers' => $headers])
        );

        self::assertStringContainsString($named, $thrown->getMessage());
        $this->assertJobs(0, $queue);
    }

    public function testAHeaderThatIsStringableIsItsText(): void
    {
        $text = new class () implements \Stringable {
            public function __toString(): string
            {
                return 'spelled out';
            }
        };
        $queue = $this->queue('embedded');
        $queue->push('job', '', ['headers' => ['h' => $text]]);

        self::assertSame(['spelled out'], $this->take($queue)->getHeader('h'));
    }
}
