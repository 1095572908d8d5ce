<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Exception\BatchException;
use Amqp1\Exception\ExceptionInterface;
use Amqp1\Jobs;
use Amqp1\Tests\Support\ArrayShape;
use Amqp1\Tests\Support\ContractTestCase;
use PHPUnit\Framework\Attributes\DataProvider;

/**
 * The arrays that the extension accepts and returns have the keys that the stubs and docs/options.md document.
 *
 * The test asks the extension for its options: it lists them all when one is unknown.
 */
final class OptionNamesTest extends ContractTestCase
{
    /** Similar to no name, so that all names are listed. */
    private const UNKNOWN = '????????????????????????';

    /** Wrong for every option, so that an option that is read fails. */
    private const WRONG = [[1]];

    /**
     * A call with an array, the stub's shape of it, the stub's list of its keys, and the heading of its table in docs/options.md.
     *
     * @return array<string, array{callable(array<string, mixed>): mixed, callable(): array<string, string>, string|null, string|null}>
     */
    private static function all(): array
    {
        $queue = static fn (array $options) => new AmqpQueue('embedded://names', 'names', $options);
        $ofQueue = static fn () => ArrayShape::of(self::tag('AmqpQueue', '__construct', 'param', 'options'));
        $jobOptions = static fn () => ArrayShape::of(self::jobOptions());

        return [
            'AmqpQueue' => [
                $queue, $ofQueue, self::doc('AmqpQueue', '__construct'), 'Queue options',
            ],
            'tls' => [
                static fn (array $tls) => $queue(['tls' => $tls]), static fn () => ArrayShape::of($ofQueue()['tls']), null, null,
            ],
            'bindings' => [
                static fn (array $binding) => $queue(['exchange' => 'names', 'bindings' => [$binding]]),
                static fn () => ArrayShape::of($ofQueue()['bindings']), null, null,
            ],
            'push()' => [
                static fn (array $options) => $queue([])->push('job', '', $options),
                $jobOptions, self::doc('AmqpQueue', 'push'), 'Job options',
            ],
            'pushMany()' => [
                static fn (array $options) => $queue([])->pushMany([], $options), $jobOptions, null, null,
            ],
            'a job of pushMany()' => [
                static function (array $job) use ($queue) {
                    try {
                        return $queue([])->pushMany([$job]);
                    } catch (BatchException $e) {
                        throw $e->getFailures()[0];
                    }
                },
                static fn () => ArrayShape::of(self::tag('AmqpQueue', 'pushMany', 'param', 'jobs')), null, null,
            ],
            'Consumer' => [
                static fn (array $options) => new Consumer($queue([]), $options),
                static fn () => ArrayShape::of(self::tag('Consumer', '__construct', 'param', 'options')),
                self::doc('Consumer', '__construct'), 'Consumer options',
            ],
        ];
    }

    /** @return array<string, array{string}> */
    public static function places(): array
    {
        return array_combine(array_keys(self::all()), array_map(static fn (string $place) => [$place], array_keys(self::all())));
    }

    /** @dataProvider places */
    #[DataProvider('places')]
    public function testTheStubsShapeHasTheExtensionsOptions(string $place): void
    {
        [$call, $shape] = self::all()[$place];

        self::assertEqualsCanonicalizing($this->known($call), array_keys($shape()), 'the extension (-) and the stub (+)');
    }

    /** @dataProvider places */
    #[DataProvider('places')]
    public function testEveryOptionIsExplained(string $place): void
    {
        [$call, , $doc, $table] = self::all()[$place];
        $known = $this->known($call);
        if ($doc !== null) {
            preg_match_all('/^- (\w+(?:, \w+)*): /m', $doc, $matches);
            $listed = explode(', ', implode(', ', $matches[1]));
            self::assertEqualsCanonicalizing($known, $listed, "the extension (-) and the stub's list (+)");
        }
        if ($table !== null) {
            self::assertEqualsCanonicalizing($known, array_keys(self::table($table)), 'the extension (-) and docs/options.md (+)');
        }
        self::assertNotEmpty($known);
    }

    /** @dataProvider places */
    #[DataProvider('places')]
    public function testEveryOptionIsReadAndNullLeavesItsDefault(string $place): void
    {
        [$call] = self::all()[$place];
        // A job needs a name; its payload may be anything.
        $rest = $place === 'a job of pushMany()' ? ['name' => 'job'] : [];
        foreach (array_diff($this->known($call), ['payload']) as $name) {
            $message = $this->refusal($call, [$name => self::WRONG] + $rest);
            self::assertNotNull($message, "'$name' takes anything: is it read?");
            self::assertStringContainsString($name, $message);
            self::assertStringNotContainsString('unknown option', $message);
            self::assertStringNotContainsString('unknown option', $this->refusal($call, [$name => null] + $rest) ?? '');
        }
    }

    public function testThePageHasTheKeysOfArraysInOptions(): void
    {
        $places = self::all();
        $rows = self::table($places['AmqpQueue'][3]);
        foreach (['tls', 'bindings'] as $option) {
            preg_match_all("/'(\w+)' =>/", $rows[$option], $matches);
            self::assertEqualsCanonicalizing($this->known($places[$option][0]), $matches[1], $option);
        }
    }

    public function testATokenHasTheKeysOfTheStub(): void
    {
        $queue = new AmqpQueue('embedded://names?dialect=servicebus', 'names', ['token' => static fn () => []]);
        $message = $this->thrown(ExceptionInterface::class, static fn () => $queue->count())->getMessage();
        preg_match_all("/'(\w+)' =>/", $message, $matches);

        preg_match('/^- token: .*?(?=^- )/ms', self::doc('AmqpQueue', '__construct'), $entry);
        self::assertSame($matches[1], array_keys(ArrayShape::of($entry[0])));
    }

    /** @return array<string, array{callable(AmqpQueue): array<string, mixed>, string, string}> */
    public static function answers(): array
    {
        return [
            'getBroker()' => [static fn (AmqpQueue $queue) => $queue->getBroker(), 'AmqpQueue', 'getBroker'],
            'stats()' => [static fn (AmqpQueue $queue) => $queue->stats(), 'AmqpQueue', 'stats'],
            'Jobs::stats()' => [
                static fn () => (new Jobs(['amqp1' => ['addr' => 'amqp://localhost:1'], 'jobs' => ['pipelines' => ['a' => []]]]))->stats()['a'],
                'Jobs', 'stats',
            ],
            'getFailure()' => [
                static function (AmqpQueue $queue) {
                    $queue->push('job');
                    $queue->reserve(5)->nack('no', false);
                    $failed = $queue->failed()->reserve(5);
                    $failed->ack();

                    return $failed->getFailure();
                },
                'Task', 'getFailure',
            ],
        ];
    }

    /** @dataProvider answers */
    #[DataProvider('answers')]
    public function testAnAnswerHasTheKeysOfTheStub(callable $answer, string $class, string $method): void
    {
        $type = self::tag($class, $method, 'return', '');
        if (preg_match('/^Broker\b/', $type)) {
            preg_match('/@phpstan-type Broker ([^\n]*)/', self::stub($class), $match);
            $type = $match[1];
        }

        self::assertSame(array_keys(ArrayShape::of($type)), array_keys($answer($this->queue('embedded'))));
    }

    /** @return list<string> */
    private function known(callable $call): array
    {
        $message = (string) $this->refusal($call, [self::UNKNOWN => 1]);
        self::assertStringContainsString('; known options: ', $message);

        return explode(', ', explode('; known options: ', $message)[1]);
    }

    /** @param array<string, mixed> $options */
    private function refusal(callable $call, array $options): ?string
    {
        try {
            $call($options);
        } catch (ExceptionInterface $e) {
            return $e->getMessage();
        }

        return null;
    }

    private static function stub(string $class): string
    {
        return (string) file_get_contents(__DIR__ . "/../php-stubs/$class.stub.php");
    }

    /** A method's doc comment. */
    private static function doc(string $class, string $method): string
    {
        $found = preg_match('#/\*\*((?:(?!\*/).)*)\*/\s*public function ' . $method . '\(#s', self::stub($class), $match);
        self::assertSame(1, $found, "$class::$method() is in the stub");

        return ArrayShape::comment($match[1]);
    }

    /** The text of a doc comment's `@param … $name` or `@return …`. */
    private static function tag(string $class, string $method, string $tag, string $name): string
    {
        preg_match_all("/^@$tag (.*?)(?=^@|\\z)/ms", self::doc($class, $method), $matches);
        foreach ($matches[1] as $text) {
            if ($name === '' || preg_match('/\$(\w+)/', $text, $match) && $match[1] === $name) {
                return $text;
            }
        }
        self::fail("$class::$method() has no @$tag $name");
    }

    private static function jobOptions(): string
    {
        preg_match('/@phpstan-type JobOptions (.*?)^@/ms', ArrayShape::comment(self::stub('AmqpQueue')), $match);
        self::assertNotEmpty($match);

        return $match[1];
    }

    /**
     * The table below a heading of docs/options.md: option => its row.
     *
     * @return array<string, string>
     */
    private static function table(string $heading): array
    {
        $page = (string) file_get_contents(__DIR__ . '/../docs/options.md');
        $found = preg_match('/^## ' . preg_quote($heading, '/') . '\n(?:(?![#|]).*\n)+((?:\|.*\n)+)/m', $page, $match);
        self::assertSame(1, $found, "docs/options.md has a table below \"$heading\"");
        $rows = [];
        foreach (array_slice(explode("\n", trim($match[1])), 2) as $row) {
            preg_match_all('/`(\w+)`/', explode('|', $row)[1], $names);
            foreach ($names[1] as $name) {
                $rows[$name] = $row;
            }
        }

        return $rows;
    }
}
