<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\Cli;
use Amqp1\Tests\Support\ProgramBroker;
use Amqp1\Worker\Event;
use Amqp1\WorkerOptions;
use PHPUnit\Framework\TestCase;

/** docs/workers.md: the session runs as printed, the files work, the tables are complete. */
final class WorkersDocTest extends TestCase
{
    private static string $text;
    private string $folder;

    public static function setUpBeforeClass(): void
    {
        self::$text = (string) file_get_contents(dirname(__DIR__) . '/docs/workers.md');
    }

    protected function setUp(): void
    {
        $this->folder = sys_get_temp_dir() . '/amqp1-doc-' . bin2hex(random_bytes(6));
        mkdir($this->folder);
        preg_match_all('/<!-- file: (\S+) -->\n```\w+\n(.*?)```/s', self::$text, $files, PREG_SET_ORDER);
        foreach ($files as [, $name, $content]) {
            file_put_contents("$this->folder/$name", $content);
        }
    }

    protected function tearDown(): void
    {
        array_map('unlink', glob("$this->folder/*") ?: []);
        rmdir($this->folder);
    }

    public function testTheSessionRunsAsPrinted(): void
    {
        self::assertSame(1, preg_match('/<!-- session -->\n```console\n(.*?)```/s', self::$text, $match));
        $broker = ProgramBroker::start();
        $steps = preg_split('/^\$ /m', $match[1], -1, PREG_SPLIT_NO_EMPTY);
        self::assertGreaterThan(8, count($steps));
        foreach ($steps as $step) {
            [$command, $expected] = explode("\n", $step, 2);
            if (str_starts_with($command, 'export AMQP1_DSN=')) {
                continue;
            }
            $amqp1 = implode(' ', array_map('escapeshellarg', Cli::command()));
            $child = Child::command(['sh', '-c', 'cd ' . escapeshellarg($this->folder) . "\namqp1() { $amqp1 \"\$@\"; }\n$command"],
                ['AMQP1_DSN' => $broker->dsn]);
            self::assertSame(0, $child->wait(30), $command . "\n" . $child->output());
            self::assertSame($this->timeless($expected), $this->timeless($child->output()), $command);
        }
    }

    public function testTheWorkerInPhp(): void
    {
        $broker = ProgramBroker::start();
        (new AmqpQueue($broker->dsn, 'orders'))->push('mail.welcome', ['to' => 'ada@example.com']);
        (new AmqpQueue($broker->dsn, 'orders'))->push('strange');
        file_put_contents("$this->folder/start.php", '<?php chdir(' . var_export($this->folder, true) . '); require '
            . var_export(dirname(__DIR__) . '/php/autoload.php', true) . '; require "worker.php";');
        $child = Child::command([...Child::phpCommand(), "$this->folder/start.php"], ['AMQP1_DSN' => $broker->dsn]);
        $child->waitFor('mail to ada@example.com');
        $child->waitFor('what is strange?');
        $child->signal(SIGTERM);

        self::assertSame(0, $child->wait(10), $child->output());
    }

    public function testTheSystemdUnitIsOne(): void
    {
        $unit = parse_ini_file("$this->folder/amqp1-worker@.service", true, INI_SCANNER_RAW);
        self::assertSame(['SIGTERM', 'mixed', 'always'], [$unit['Service']['KillSignal'], $unit['Service']['KillMode'], $unit['Service']['Restart']]);
        $this->assertItsCommandLineIsUnderstood($unit['Service']['ExecStart']);
        exec('command -v systemd-analyze', $_, $missing);
        if ($missing === 0 && is_executable('/usr/bin/php')) {
            exec('systemd-analyze verify ' . escapeshellarg("$this->folder/amqp1-worker@.service") . ' 2>&1', $problems, $code);
            self::assertSame([0, []], [$code, $problems]);
        }
    }

    public function testTheSupervisorProgramIsOne(): void
    {
        $program = parse_ini_file("$this->folder/amqp1-worker.conf", true, INI_SCANNER_RAW)['program:amqp1-worker'];
        self::assertSame(['TERM', 'true'], [$program['stopsignal'], $program['autorestart']]);
        $this->assertItsCommandLineIsUnderstood($program['command']);
    }

    public function testTheProbeOfTheDeployment(): void
    {
        $yaml = (string) file_get_contents("$this->folder/worker.yaml");
        self::assertSame(1, preg_match('/"sh", "-c", "((?:[^"\\\\]|\\\\.)*)"/', $yaml, $match));
        $probe = str_replace('/tmp/alive', escapeshellarg("$this->folder/alive"), stripslashes($match[1]));
        foreach ([[0, 0], [60, 0], [600, 1]] as [$age, $expected]) {
            touch("$this->folder/alive", time() - $age);
            exec($probe, $_, $code);
            self::assertSame($expected, $code, "after $age s");
        }
        unlink("$this->folder/alive");
        exec("($probe) 2>&1", $_, $code);
        self::assertSame(1, $code, 'a worker that has never gone round');
        preg_match_all('/command: (\[.*?\])$/ms', $yaml, $commands);
        foreach ($commands[1] as $command) {
            $words = json_decode((string) preg_replace('/\s+/', ' ', $command), true, 512, JSON_THROW_ON_ERROR);
            if ($words[0] === 'php') {
                $this->assertItsCommandLineIsUnderstood(implode(' ', $words));
            }
        }
    }

    public function testTheTablesAreComplete(): void
    {
        foreach ((new \ReflectionMethod(WorkerOptions::class, '__construct'))->getParameters() as $option) {
            self::assertStringContainsString("`{$option->getName()}`", self::$text);
        }
        foreach (Event::ALL as $event) {
            self::assertStringContainsString("`$event`", self::$text);
        }
        preg_match_all('/^  ([a-z:]+) +[A-Z]/m', Cli::run(['help'])->out, $commands);
        self::assertGreaterThan(8, count($commands[1]));
        foreach ($commands[1] as $command) {
            self::assertMatchesRegularExpression('/^\| `' . preg_quote($command, '/') . '[ `]/m', self::$text);
        }
    }

    /** Its options exist: only a file or a broker is missing. */
    private function assertItsCommandLineIsUnderstood(string $line): void
    {
        $words = explode(' ', (string) preg_replace('/^.*vendor\/bin\/amqp1 /', '', $line));
        $run = Cli::run([...$words, '--help'], ['AMQP1_DSN' => 'embedded://']);
        self::assertSame(0, $run->code, "$line\n$run->err");
    }

    /** Without the parts that differ each time. */
    private function timeless(string $text): string
    {
        return (string) preg_replace(
            ['/\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\dZ?/', '/ *\d+(\.\d+)?(E-\d+)? s\b */', '/amqp1-broker \S+/'],
            ['TIME', ' N s ', 'amqp1-broker N'],
            trim($text)
        );
    }
}
