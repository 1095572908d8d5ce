<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Tests\Support\Child;
use PHPUnit\Framework\TestCase;

/** The README's start runs as printed. */
final class ReadmeTest extends TestCase
{
    private const README = __DIR__ . '/../README.md';

    /** The ```php block that follows this comment is the one that a reader pastes and runs. */
    private const MARK = '<!-- start -->';

    public function testTheStartRunsAsPrinted(): void
    {
        self::assertFileExists(self::README);
        $readme = (string) file_get_contents(self::README);
        $found = preg_match('/' . preg_quote(self::MARK, '/') . '\s*```php\n(.*?)\n```/s', $readme, $match);
        self::assertSame(1, $found, 'README.md has ' . self::MARK . ' before its first ```php block');
        $script = tempnam(sys_get_temp_dir(), 'amqp1-readme-');
        try {
            $code = str_starts_with($match[1], '<?php') ? $match[1] : "<?php\n" . $match[1];
            file_put_contents($script, $code);
            $child = Child::command([...Child::phpCommand(), $script]);

            self::assertSame(0, $child->wait(30), $child->output());
            self::assertNotSame('', trim($child->output()), 'it prints what it did');
            self::assertStringNotContainsString('Warning', $child->output());
        } finally {
            unlink($script);
        }
    }
}
