<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Command\Application;
use Amqp1\Console\Input;
use Amqp1\Console\Option;
use Amqp1\Console\Output;
use Amqp1\Console\Suggestion;
use Amqp1\Console\UsageError;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\Cli;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;

/** How the command amqp1 parses its command line, before it contacts a broker. */
final class CommandLineTest extends TestCase
{
    /** @return array<string, array{list<string>, string}> */
    public static function wrong(): array
    {
        return [
            'command' => [['wrk'], 'Unknown command "wrk": did you mean "work"?'],
            'command, its beginning' => [['failed'], 'did you mean "failed:list"?'],
            'command, nothing near' => [['xylophone'], 'Unknown command "xylophone"'],
            'help of none' => [['help', 'stat'], 'did you mean "stats"?'],
            'option' => [['stats', '--jason'], 'Unknown option --jason: did you mean "--json"?'],
            'option of another command' => [['stats', '--force'], 'Unknown option --force'],
            'short option' => [['stats', '-x'], 'Unknown option -x'],
            'option first' => [['--json', 'stats'], 'Put the command before its options'],
            'no value' => [['stats', '--queue'], '--queue requires a value: --queue NAME'],
            'a value too many' => [['stats', '--json=yes'], '--json does not take a value'],
            'twice' => [['stats', '--dsn', 'embedded://', '--dsn', 'embedded://'], '--dsn can be given only once'],
            'no broker' => [['stats'], 'No broker given: set AMQP1_DSN'],
            'both' => [['stats', '--dsn', 'embedded://', '--config', 'a.yaml'], '--dsn and --config cannot be used together'],
            'no such file' => [['stats', '--config', '/nowhere/a.yaml'], '/nowhere/a.yaml does not exist'],
            'no queue' => [['stats', '--dsn', 'embedded://'], 'No queue given: name one with --queue NAME'],
            'several queues' => [['push', 'job', '--dsn', 'embedded://', '-Qa,b'], '--queue a or --queue b'],
            'a wrong DSN' => [['ping', '--dsn', 'http://user:geheim@host'], 'http'],
            'arguments' => [['stats', 'orders'], 'Too many arguments: orders'],
            'no name' => [['push', '--dsn', 'embedded://'], 'The job\'s name is missing'],
            'two names' => [['push', 'a', 'b', '--dsn', 'embedded://'], 'Too many arguments: b'],
            'JSON' => [['push', 'a', '--payload', '{x', '--dsn', 'embedded://', '-Q', 'q'], '--payload is not valid JSON (Syntax error); use --text'],
            'a number that PHP would round' => [['push', 'a', '-p{"id": [12345678901234567890]}', '--dsn', 'embedded://', '-Q', 'q'], 'put it in quotes'],
            'two payloads' => [['push', 'a', '-p1', '--text', '2', '--dsn', 'embedded://', '-Q', 'q'], 'cannot be used together'],
            'no such payload' => [['push', 'a', '-p@/nowhere/x', '--dsn', 'embedded://', '-Q', 'q'], 'Cannot read /nowhere/x'],
            'header' => [['push', 'a', '-H', 'tenant', '--dsn', 'embedded://', '-Q', 'q'], '--header must be NAME=VALUE, not "tenant"'],
            'seconds' => [['push', 'a', '--delay', 'soon'], '--delay must be a number of seconds, not "soon"'],
            'a whole number' => [['failed:list', '--limit=0'], '--limit must be an integer, 1 or greater, not "0"'],
            'the extension\'s own' => [['push', 'a', '--priority', '999', '--dsn', 'embedded://', '-Q', 'q'], 'priority'],
            'which failed jobs' => [['failed:retry', '--dsn', 'embedded://', '-Q', 'q'], 'either by their ids, or with --max N, or with --all'],
            'too much of them' => [['failed:retry', 'id', '--all', '--dsn', 'embedded://', '-Q', 'q'], 'either by their ids, or with --max N, or with --all'],
            'an interval' => [['top', '--interval', '0', '--dsn', 'embedded://', '-Q', 'q'], '--interval must be at least 0.1 seconds'],
            'no queue to watch' => [['top', '--dsn', 'embedded://a', '--dsn', 'embedded://b'], 'No queue given'],
            'no handlers' => [['work', '--dsn', 'embedded://', '-Q', 'q'], '--handlers FILE'],
            'handlers not there' => [['work', '-H', '/nowhere/h.php'], 'Cannot read the file /nowhere/h.php'],
            'backoff' => [['work', '-H', __DIR__ . '/seed/handlers.php', '--backoff', '1,x'], '--backoff must be a number of seconds'],
            'unknown-job' => [['work', '-H', __DIR__ . '/bootstrap.php', '--dsn', 'embedded://', '-Q', 'q'], 'returns int, but must return an array'],
        ];
    }

    /**
     * @dataProvider wrong
     *
     * @param list<string> $words
     */
    #[DataProvider('wrong')]
    public function testAWrongCommandLineEndsWith2AndSaysWhatIsWrong(array $words, string $message): void
    {
        [$code, $out, $err] = $this->amqp1(...$words);

        self::assertStringContainsString($message, $err);
        self::assertSame([2, ''], [$code, $out]);
        self::assertStringNotContainsString('geheim', $err);
        self::assertStringNotContainsString('Stack trace', $err);
    }

    public function testHelpNamesEveryCommandAndEveryOption(): void
    {
        [$code, $help] = $this->amqp1('--help');
        self::assertSame(0, $code);
        self::assertSame($help, $this->amqp1('help')[1]);
        self::assertSame($help, $this->amqp1()[1]);
        foreach (['work', 'stats', 'top', 'failed:list', 'failed:show', 'failed:retry', 'failed:flush', 'push', 'setup', 'ping', 'health', 'doctor'] as $name) {
            self::assertStringContainsString("  $name ", $help);
            [$code, $usage] = $this->amqp1($name, '--help');
            self::assertSame([0, $usage, ''], $this->amqp1('help', $name));
            self::assertStringStartsWith("Usage: amqp1 $name [options]", $usage);
            foreach (['--config FILE', '--dsn DSN', '--queue NAME', '--json', '-h, --help'] as $option) {
                self::assertStringContainsString($option, $usage);
            }
        }
        self::assertSame([0, 'amqp1 ' . phpversion('amqp1') . "\n", ''], $this->amqp1('--version'));
        self::assertSame(0, $this->amqp1('stats', '-V')[0]);
    }

    public function testTheParser(): void
    {
        $known = [new Option('name', 'N', '', 'n'), new Option('list', 'L', '', 'l', true), new Option('all', null, '', 'a'), new Option('force', null, '', 'f')];
        $input = Input::parse(['one', '-afn', '-5', '--list=a=b', '-lc', '-l', '-', 'two', '--', '--three', '-'], $known);

        self::assertSame(['one', 'two', '--three', '-'], $input->arguments);
        self::assertSame([true, true, false], [$input->has('all'), $input->has('force'), $input->has('other')]);
        self::assertSame(['-5', ['a=b', 'c', '-'], []], [$input->string('name'), $input->list('list'), $input->list('none')]);
        $this->expectException(UsageError::class);
        $input->int('name');
    }

    public function testNothingThatAJobSaysMovesTheCursor(): void
    {
        self::assertSame('a [31m b', Output::cell("a\e[31m\r\n\x07b"));
        self::assertSame(str_repeat('ü', 79) . '…', Output::cell(str_repeat('ü', 81)));
        self::assertSame(str_repeat('ü', 80), Output::cell(str_repeat('ü', 80)));
        self::assertSame("\u{fffd}x", Output::cell("\xffx"));
        self::assertSame("a\n\tb c", Output::printable("a\n\tb\ec", true));
    }

    public function testAResultThatCannotBeWrittenIsAFailureUnlessNobodyReadsIt(): void
    {
        $command = implode(' ', array_map('escapeshellarg', Cli::command('help')));
        $full = Child::command(['sh', '-c', "$command >/dev/full"]);
        self::assertSame(1, $full->wait(20), $full->output());
        self::assertStringContainsString('cannot be written: No space left on device', $full->output());
        self::assertStringNotContainsString('.php', $full->output());
        foreach (["$command >&-", "{ $command; echo $? >&2; } | true"] as $line) {
            $gone = Child::command(['sh', '-c', $line]);
            self::assertSame(0, $gone->wait(20), $gone->output());
            self::assertContains(trim($gone->output()), ['', '0']);
        }
    }

    public function testAPipeThatDoesNotBlockGetsAllOfIt(): void
    {
        $file = tempnam(sys_get_temp_dir(), 'amqp1-test-');
        $pipe = popen('sleep 0.2; cat > ' . escapeshellarg($file), 'w');
        stream_set_blocking($pipe, false);
        (new Output($pipe, STDERR))->line($text = str_repeat('0123456789', 50_000));
        pclose($pipe);
        self::assertSame($text . "\n", file_get_contents($file));
        unlink($file);
    }

    public function testSuggestions(): void
    {
        self::assertSame(': did you mean "--force"?', Suggestion::for('forse', ['force', 'all'], '--'));
        self::assertSame('', Suggestion::for('banana', ['force', 'all']));
        self::assertSame(': did you mean "2024"?', Suggestion::for('2025', array_keys(['2024' => 1])), 'a pipeline may be a number');
    }

    public function testWithoutTheExtensionItSaysSo(): void
    {
        $child = Child::command([PHP_BINARY, '-n', dirname(__DIR__) . '/bin/amqp1', 'ping']);
        self::assertSame(1, $child->wait(20));
        self::assertStringContainsString('extension=amqp1', $child->output());
    }

    public function testItRunsFromAnywhereAndWithComposersAutoloader(): void
    {
        $folder = sys_get_temp_dir() . '/amqp1-vendor-' . bin2hex(random_bytes(6));
        mkdir("$folder/vendor/bin", 0777, true);
        $top = dirname(__DIR__);
        // The files that Composer writes: a proxy that locates the autoloader, and an autoloader with the application.
        file_put_contents("$folder/vendor/autoload.php", "<?php require_once '$top/php/autoload.php'; class ApplicationHandler { public function handle(\$task) {} }");
        file_put_contents("$folder/vendor/bin/amqp1", "<?php \$GLOBALS['_composer_autoload_path'] = __DIR__ . '/../autoload.php'; return include '$top/php/bin/amqp1';");
        file_put_contents("$folder/handlers.php", "<?php return ['job' => ApplicationHandler::class];");
        symlink("$top/bin/amqp1", "$folder/amqp1");
        try {
            foreach (["$folder/vendor/bin/amqp1", "$folder/amqp1"] as $program) {
                $child = Child::command([...Child::phpCommand(), $program, '--version']);
                self::assertSame([0, 'amqp1 ' . phpversion('amqp1') . "\n"], [$child->wait(20), $child->output()]);
            }
            $child = Child::command([...Child::phpCommand(), "$folder/vendor/bin/amqp1", 'work', '-H', "$folder/handlers.php",
                '--dsn', 'embedded://', '-Q', 'q', '--stop-when-empty', '--reserve-timeout', '0.1', '-q']);
            self::assertSame([0, ''], [$child->wait(20), $child->output()]);
        } finally {
            array_map('unlink', ["$folder/vendor/autoload.php", "$folder/vendor/bin/amqp1", "$folder/handlers.php", "$folder/amqp1"]);
            array_map('rmdir', ["$folder/vendor/bin", "$folder/vendor", $folder]);
        }
    }

    public function testThePackageNamesWhatIsThere(): void
    {
        $package = json_decode((string) file_get_contents(dirname(__DIR__) . '/php/composer.json'), true, 512, JSON_THROW_ON_ERROR);
        self::assertSame(['Amqp1\\' => ''], $package['autoload']['psr-4']);
        foreach ($package['bin'] as $program) {
            self::assertTrue(is_executable(dirname(__DIR__) . "/php/$program"));
        }
        foreach (new \RecursiveIteratorIterator(new \RecursiveDirectoryIterator(dirname(__DIR__) . '/php', \FilesystemIterator::SKIP_DOTS)) as $file) {
            if ($file->getExtension() === 'php' && ctype_upper($file->getBasename()[0])) {
                $class = 'Amqp1\\' . strtr(substr($file->getPathname(), strlen(dirname(__DIR__) . '/php/'), -4), '/', '\\');
                self::assertTrue(class_exists($class) || enum_exists($class) || interface_exists($class), "$class is in {$file->getPathname()}");
            }
        }
    }

    /** @return array{int, string, string} its exit code, output and notes */
    private function amqp1(string ...$words): array
    {
        $before = [getenv('AMQP1_DSN'), getenv('AMQP1_CONFIG')];
        putenv('AMQP1_DSN');
        putenv('AMQP1_CONFIG');
        [$results, $notes] = [fopen('php://memory', 'w+'), fopen('php://memory', 'w+')];
        try {
            $code = (new Application())->run($words, $results, $notes);
        } finally {
            foreach (['AMQP1_DSN', 'AMQP1_CONFIG'] as $index => $name) {
                if ($before[$index] !== false) {
                    putenv("$name=$before[$index]");
                }
            }
        }
        rewind($results);
        rewind($notes);

        return [$code, (string) stream_get_contents($results), (string) stream_get_contents($notes)];
    }
}
