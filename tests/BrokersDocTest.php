<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use PHPUnit\Framework\TestCase;

/** Each table row of docs/brokers.md names existing tests that show it. */
final class BrokersDocTest extends TestCase
{
    public function testEveryTestThatIsNamedExists(): void
    {
        $documentation = (string) file_get_contents(__DIR__ . '/../docs/brokers.md');
        // Without the header rows of the tables.
        $documentation = preg_replace('/^\|.*\n(?=\|---)/m', '', $documentation);
        $lines = array_filter(explode("\n", $documentation), static fn (string $line) => str_starts_with($line, '| ') && !str_contains($line, '---'));
        self::assertGreaterThan(20, count($lines));
        foreach ($lines as $line) {
            $cells = explode('|', trim($line, '| '));
            $class = null;
            self::assertGreaterThan(0, preg_match_all('/(\w+Test)?::(test\w+)|(\w+Test)\b|`(\w+\/\w+\.rs)`/', end($cells), $named, PREG_SET_ORDER), $line);
            foreach ($named as $name) {
                if (($name[4] ?? '') !== '') {
                    self::assertFileExists(__DIR__ . "/../crates/amqp1-core/src/$name[4]");
                    continue;
                }
                $class = ($name[3] ?? '') ?: ($name[1] ?: $class);
                $file = __DIR__ . "/$class.php";
                self::assertFileExists($file);
                if ($name[2] !== '') {
                    self::assertStringContainsString("function $name[2](", (string) file_get_contents($file), $class);
                }
            }
        }
    }
}
