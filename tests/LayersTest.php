<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;

/** Which folder of php/ may name which: the worker without the command, the command line without what the commands do. */
final class LayersTest extends TestCase
{
    private const PHP = __DIR__ . '/../php';

    /** @return array<string, array{string, list<string>}> files, and what they may name besides each other and the extension */
    public static function folders(): array
    {
        return [
            'the worker' => ['Worker*.php', ['Worker', 'WorkerOptions', 'Console\Suggestion']],
            'its parts' => ['Worker/{*,*/*}.php', ['Worker', 'WorkerOptions', 'Console\Suggestion']],
            'the command line' => ['Console/*.php', ['Console']],
            'the screen' => ['Console/Screen/*.php', ['Console']],
            'the commands' => ['Command/*.php', ['Command', 'Console', 'Worker']],
            'the command top' => ['Command/Top/*.php', ['Command', 'Console', 'Worker']],
        ];
    }

    /**
     * @dataProvider folders
     *
     * @param list<string> $may
     */
    #[DataProvider('folders')]
    public function testAFolderNamesWhatIsBelowIt(string $files, array $may): void
    {
        $all = glob(self::PHP . "/$files", GLOB_BRACE) ?: [];
        self::assertNotSame([], $all);
        foreach ($all as $file) {
            preg_match_all('/\bAmqp1\\\\((?:Worker|Console|Command)\w*(?:\\\\\w+)?)/', (string) file_get_contents($file), $named);
            foreach ($named[1] as $name) {
                $folder = strtok($name, '\\');
                self::assertTrue(in_array($name, $may, true) || in_array($folder, $may, true), "$file names Amqp1\\$name");
            }
        }
    }
}
