<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ProgramBroker;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;

/** The README's start runs as printed, and on another broker if only its DSN is changed. */
final class ReadmeTest extends TestCase
{
    private const README = __DIR__ . '/../README.md';

    /** The ```php block that follows this comment is the block that a reader pastes and runs. */
    private const MARK = '<!-- start -->';

    /** @return array<string, array{string|null}> null: amqp1-broker's, as a program */
    public static function dsns(): array
    {
        return [
            'as printed' => ['embedded://'],
            'as Service Bus' => ['embedded://?dialect=servicebus'],
            'amqp1-broker' => [null],
        ];
    }

    /** @dataProvider dsns */
    #[DataProvider('dsns')]
    public function testTheStartRuns(?string $dsn): void
    {
        $readme = (string) file_get_contents(self::README);
        $found = preg_match('/' . preg_quote(self::MARK, '/') . '\s*```php\n(.*?)\n```/s', $readme, $match);
        self::assertSame(1, $found, 'README.md has ' . self::MARK . ' before its first ```php block');
        $broker = $dsn === null ? ProgramBroker::start() : null;
        $code = str_replace("'embedded://'", var_export($dsn ?? $broker->dsn, true), $match[1], $places);
        self::assertSame(1, $places, 'the DSN is at one place');
        $script = tempnam(sys_get_temp_dir(), 'amqp1-readme-');
        try {
            file_put_contents($script, $code);
            $child = Child::command([...Child::phpCommand(), $script]);

            self::assertSame(0, $child->wait(30), $child->output());
            self::assertSame("order 12345 of company-a\nmail to user@example.com\n", $child->output());
        } finally {
            unlink($script);
        }
    }
}
