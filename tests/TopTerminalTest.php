<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Tests\Support\Cli;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\ProgramBroker;
use Amqp1\Tests\Support\Tmux;
use PHPUnit\Framework\Attributes\DataProvider;

/** `amqp1 top` on brokers and in a real terminal (tmux): keys, sizes, what it leaves behind, and what it does without one. */
final class TopTerminalTest extends ContractTestCase
{
    private string $folder;
    private ?Tmux $terminal = null;

    protected function setUp(): void
    {
        $this->folder = sys_get_temp_dir() . '/amqp1-top-' . bin2hex(random_bytes(4));
        mkdir($this->folder);
    }

    protected function tearDown(): void
    {
        $this->terminal = null;
        array_map('unlink', glob("$this->folder/*") ?: []);
        rmdir($this->folder);
        parent::tearDown();
    }

    /** @dataProvider fullyFeatured */
    #[DataProvider('fullyFeatured')]
    public function testFiguresAndFailedJobsWithKeysAlone(string $broker): void
    {
        $queue = $this->queue($broker, ['max_attempts' => 1]);
        $this->fail4($queue);
        $queue->pushMany([['name' => 'waits'], ['name' => 'waits']]);
        $name = $queue->getName();
        $terminal = $this->top($this->broker($broker)->dsn, 120, 24, '-i', '0.5', '-Q', $name);
        $screen = $terminal->waitFor($name);
        $terminal->waitFor('failed 4');
        self::assertMatchesRegularExpression("/^QUEUE +READY +CHANGE\\/S .*FAILED/m", $screen);
        self::assertTrue($terminal->isOnSecondScreen());
        self::assertFalse($terminal->showsCursor());

        $queue->push('waits');
        $terminal->waitFor('ready 3');

        $terminal->press('Enter');
        $list = $terminal->waitFor('id-4');
        $canPeek = in_array($broker, ['program', 'servicebus'], true);
        self::assertSame(!$canPeek, str_contains($list, 'takes them in hand and gives them back'));
        self::assertMatchesRegularExpression('/^bad +1 +\d\d-\d\d \d\d:\d\d:\d\d +no good: \[31m1 /m', $list);
        $terminal->press('Down', 'Enter');
        $shown = $terminal->waitFor('DomainException');
        foreach (["Failed job id-2", "tenant: a, b", '"text": "Grüße 漢字"', 'error       no good:', ' [31m2'] as $text) {
            self::assertStringContainsString($text, $shown);
        }

        $terminal->press('Escape');
        $terminal->waitFor('id-1');
        $terminal->press('r');
        $terminal->waitFor('id-2 moved back to');
        $terminal->press('q');
        $terminal->waitFor('failed 3');
        $this->eventually(static fn () => count($queue) === 4, 'it is back');

        $terminal->press('f');
        $terminal->waitFor('id-4');
        $terminal->press('D');
        $terminal->waitFor('Delete all 3 failed jobs of ' . $name . ' for good? y/n');
        $terminal->press('n');
        $terminal->waitFor('Nothing was done');
        self::assertSame(3, $queue->failed()->count());
        $terminal->press('R');
        $terminal->waitFor('Retry all 3 failed jobs of ' . $name . '? y/n');
        $terminal->press('y');
        $terminal->waitFor('3 jobs moved back');
        $this->eventually(static fn () => count($queue) === 7, 'all are back');

        $terminal->press('Escape', 'q');
        $this->assertTheShellIsBack($terminal);

        // Looking has taken nothing, and cost no attempt.
        $consumer = $this->consumer($queue, ['prefetch' => 10]);
        for ($n = 0; $n < 7; $n++) {
            $task = $this->next($consumer);
            self::assertSame(1, $task->getAttempts(), $task->getName());
            $task->ack();
        }
        self::assertSame(0, $queue->failed()->count());
    }

    public function testDeleteAllAndSeveralBrokersAtOnce(): void
    {
        $other = ProgramBroker::start();
        $here = $this->queue('program', ['max_attempts' => 1], 'top-' . bin2hex(random_bytes(4)));
        $there = new AmqpQueue($other->dsn, $here->getName(), ['max_attempts' => 1]);
        $here->push('waits');
        $this->fail4($there);
        $terminal = $this->top($this->broker('program')->dsn, 150, 20, '-i', '0.5', '--dsn', $other->dsn, '--dsn', $this->broker('program')->dsn,
            '-Q', "{$here->getName()},nobodys");
        $terminal->waitFor('failed 4');
        // The two brokers answer at different times.
        $screen = $terminal->waitFor('2 without figures');
        self::assertStringContainsString("{$here->getName()} at {$other->address()}", $screen);
        self::assertMatchesRegularExpression('/^nobodys at \S+ +missing: /m', $screen);
        $terminal->press('s', 's', 's', 's', 'f');
        $terminal->waitFor('id-1');
        $terminal->press('D', 'y');
        $terminal->waitFor('4 failed jobs deleted');
        self::assertSame(0, $there->failed()->count());
        $terminal->press('Escape', 'e');
        $events = $terminal->waitFor('Events since the start');
        self::assertStringContainsString('does not exist', $events);
        $terminal->press('Escape');
        $terminal->waitFor('by failed');
        $terminal->press('C-c');
        $this->assertTheShellIsBack($terminal);
    }

    public function testWorkersAndAPause(): void
    {
        $queue = $this->queue('program');
        $queue->setup();
        file_put_contents("$this->folder/handlers.php", '<?php return fn () => usleep(10000);');
        $worker = Child::command(Cli::command('work', '-H', "$this->folder/handlers.php", '-Q', $queue->getName(), '--state-file',
            "$this->folder/one.state"), ['AMQP1_DSN' => $this->broker('program')->dsn]);
        $terminal = $this->top($this->broker('program')->dsn, 120, 20, '-i', '0.5', '-Q', $queue->getName(), '-s', "$this->folder/*.state");
        $terminal->waitFor('1 worker ');
        $queue->pushMany(array_fill(0, 200, ['name' => 'job']));
        $terminal->waitForMatch("/^{$queue->getName()} .* [1-9]\\d\\.\\d /m");
        $terminal->press('w');
        $terminal->waitForMatch('/^one .* 200 .* waiting for jobs/m');
        $terminal->press('p');
        $terminal->waitFor('one is told to pause');
        $terminal->waitForMatch('/^one .* paused$/m');
        $queue->push('job');
        usleep(500_000);
        self::assertSame(1, count($queue), 'it takes no more');
        $terminal->press('p');
        $terminal->waitForMatch('/^one .* 201 .* waiting for jobs/m');
        $worker->signal(SIGTERM);
        self::assertSame(0, $worker->wait(20));
        $terminal->waitForMatch('/^one .* has stopped$/m');
        $terminal->press('p');
        $terminal->waitFor('one cannot be paused: it is not running');
        $terminal->press('q', 'q');
        $this->assertTheShellIsBack($terminal);
    }

    public function testSizes(): void
    {
        $queue = $this->queue('program');
        $queue->setup();
        $terminal = $this->top($this->broker('program')->dsn, 100, 30, '-i', '0.5', '-Q', $queue->getName());
        $terminal->waitFor('CONSUMERS');
        $terminal->resize(40, 10);
        $lines = explode("\n", rtrim($terminal->waitForMatch('/^QUEUE +READY +CHANGE\/S +FAILED$(.*\n){8}q quit/m'), "\n"));
        self::assertCount(10, $lines);
        self::assertStringStartsWith(substr($queue->getName(), 0, 10), $lines[2]);
        $terminal->press('?');
        $terminal->waitFor('lines 1-8 of');
        $terminal->press('NPage', 'Down');
        $terminal->waitFor('lines 10-17 of');
        $terminal->press('q');
        $terminal->resize(15, 4);
        $terminal->waitFor('too small');
        $terminal->resize(160, 45);
        $terminal->waitFor('CONSUMERS');
        $terminal->press('q');
        $this->assertTheShellIsBack($terminal);
    }

    /** @return array<string, array{string}> */
    public static function ends(): array
    {
        return ['Ctrl-C' => ['C-c'], 'Ctrl-\\' => ['C-\\'], 'SIGTERM' => ['TERM'], 'SIGINT' => ['INT'], 'SIGHUP' => ['HUP'], 'SIGKILL of its children, then q' => ['children']];
    }

    /** @dataProvider ends */
    #[DataProvider('ends')]
    public function testTheTerminalIsAsItWas(string $end): void
    {
        $queue = $this->queue('program');
        $queue->setup();
        $terminal = $this->top($this->broker('program')->dsn, 80, 20, '-i', '0.2', '-Q', $queue->getName());
        $terminal->waitFor('ready 0');
        $children = $this->children();
        self::assertNotSame([], $children);
        if ($end === 'children') {
            array_map(static fn (int $child) => posix_kill($child, SIGKILL), $children);
            $queue->push('x');
            $terminal->waitFor('ready 1');
            $terminal->press('q');
        } elseif (str_starts_with($end, 'C-')) {
            $terminal->press($end);
        } else {
            posix_kill($this->pid(), constant("SIG$end"));
        }
        $this->assertTheShellIsBack($terminal);
        foreach ($children as $child) {
            self::assertFalse(posix_kill($child, 0), 'a child is left');
        }
    }

    public function testCtrlZGivesTheTerminalBackForAWhile(): void
    {
        $queue = $this->queue('program');
        $queue->setup();
        $terminal = $this->top($this->broker('program')->dsn, 80, 20, '-i', '0.2', '-Q', $queue->getName());
        $terminal->waitFor('ready 0');
        foreach ([1, 2] as $_) {
            $terminal->press('C-z');
            $terminal->waitFor('Stopped');
            self::assertFalse($terminal->isOnSecondScreen());
            $this->assertSettings($terminal);
            $terminal->resize(90, 18 + $_);
            $terminal->enter('clear; fg');
            $terminal->waitFor('ready 0');
            self::assertTrue($terminal->isOnSecondScreen());
            $queue->push('x');
            $terminal->waitFor('ready 1');
            $this->take($queue);
            $terminal->waitFor('ready 0');
        }
        // SIGSTOP cannot be caught, but what comes after it can.
        posix_kill($this->pid(), SIGSTOP);
        $terminal->waitFor('Stopped');
        $terminal->enter('fg');
        $terminal->waitUntilGone('Stopped');
        $terminal->waitFor('ready 0');
        $terminal->press('q');
        $terminal->waitUntilGone('QUEUE ');
        // The shell has gone on with the rest of its line when the program was stopped.
        $terminal->enter('printf "\nended-%s\n" $?');
        $this->assertTheShellIsBack($terminal);
    }

    /** @return array<string, array{string}> */
    public static function accidents(): array
    {
        return [
            'exception' => ['throw new Exception("an accident");'],
            'exit' => ['register_shutdown_function(fn () => print("an accident\n")); exit;'],
            'fatal error' => ['ini_set("memory_limit", "8M"); $an_accident = str_repeat("x", 1 << 30);'],
        ];
    }

    /** @dataProvider accidents */
    #[DataProvider('accidents')]
    public function testAnAccidentLeavesTheTerminalAsItWas(string $accident): void
    {
        $autoload = var_export(dirname(__DIR__) . '/php/autoload.php', true);
        file_put_contents("$this->folder/accident.php", "<?php require $autoload;\n"
            . '$terminal = Amqp1\Console\Screen\Terminal::open(); $terminal->enter(); ' . "$accident");
        $terminal = $this->terminal = new Tmux($this->folder, 80, 20);
        $terminal->enter('stty -a > before; ' . implode(' ', array_map('escapeshellarg', Child::phpCommand())) . ' accident.php');
        $terminal->waitForMatch('/an accident|Allowed memory size/');
        $this->assertSettings($terminal);
        self::assertFalse($terminal->isOnSecondScreen());
        self::assertTrue($terminal->showsCursor());
    }

    public function testKeysGoOnWhileABrokerIsSilentAndItComesBack(): void
    {
        $broker = ProgramBroker::start();
        $queue = new AmqpQueue($broker->dsn, 'orders');
        $queue->push('waits');
        $terminal = $this->top($broker->dsn, 100, 24, '-i', '0.5', '--timeout', '3', '-Q', 'orders');
        $terminal->waitFor('ready 1');
        $broker->freeze();
        $terminal->waitFor('no answer for');
        $begun = microtime(true);
        $terminal->press('?');
        $terminal->waitFor('amqp1 top: help');
        self::assertLessThan(1.0, microtime(true) - $begun, 'keys do not wait for a broker');
        $terminal->press('q');
        $terminal->waitFor('silent for');
        $terminal->press('f');
        $terminal->waitFor('Looking at the failed jobs of orders');
        $terminal->press('q');
        $broker->thaw();
        $terminal->waitFor('answers again', 30);
        $screen = $terminal->waitFor('ready 1');
        self::assertStringContainsString('did not answer', $screen, 'the event stays');
        $terminal->press('q');
        $this->assertTheShellIsBack($terminal);
    }

    public function testABrokerThatIsDownIsShownWithItsErrorAndComesBack(): void
    {
        $broker = ProgramBroker::start();
        (new AmqpQueue($broker->dsn, 'orders'))->push('waits');
        $here = $this->queue('program');
        $here->pushMany(array_fill(0, 7, ['name' => 'waits']));
        $terminal = $this->top($broker->dsn, 120, 24, '-i', '0.5', '--dsn', $broker->dsn, '--dsn', $this->broker('program')->dsn,
            '--timeout', '3', '-Q', "orders,{$here->getName()}");
        $terminal->waitFor('ready 8');
        $port = (int) substr($broker->address(), 10);
        $broker->stop();
        $terminal->waitForMatch('/^orders at \S+ +down for \d+ s: /m');
        self::assertMatchesRegularExpression("/^{$here->getName()} at \\S+ +7 /m", $terminal->waitFor('ready 7'), 'the other goes on');
        $again = ProgramBroker::start([], $port);
        (new AmqpQueue($again->dsn, 'orders'))->push('waits');
        $terminal->waitFor('answers again', 30);
        $terminal->waitFor('ready 8');
        $terminal->press('q');
        $this->assertTheShellIsBack($terminal);
        $again->stop();
    }

    public function testColoursOnlyWhereTheyAreWanted(): void
    {
        $queue = $this->queue('program', ['max_attempts' => 1]);
        $this->fail4($queue);
        foreach ([[], ['NO_COLOR' => '1']] as $environment) {
            $terminal = $this->top($this->broker('program')->dsn, 100, 20, '-i', '0.5', ...array_map(static fn ($name, $value) => "$name=$value",
                array_keys($environment), $environment), ...['-Q', $queue->getName()]);
            $terminal->waitFor('failed 4');
            self::assertSame($environment === [], preg_match('/\e\[(?:\d+;)*3[0-7]m/', $terminal->screen(true)) === 1);
            $terminal->press('q');
            $this->assertTheShellIsBack($terminal);
        }
    }

    /** @dataProvider fullyFeatured */
    #[DataProvider('fullyFeatured')]
    public function testATableWithoutATerminal(string $broker): void
    {
        $queue = $this->queue($broker, ['max_attempts' => 1]);
        $this->fail4($queue);
        $queue->push('waits');
        $name = $queue->getName();
        $top = fn (string ...$more) => Cli::run(['top', '-Q', $name, '-i', '0.3', ...$more], ['AMQP1_DSN' => $this->broker($broker)->dsn]);
        $once = $top('--once');
        self::assertSame([0, ''], [$once->code, $once->err]);
        self::assertMatchesRegularExpression("/^QUEUE +READY +CHANGE\\/S .*\n$name +1 +0 .* 4 /", $once->out);
        $json = $top('--once', '--json')->json();
        self::assertSame([$name, 1, 0, 4, 'ok', null], array_map(static fn ($key) => $json['queues'][0][$key],
            ['queue', 'ready', 'delayed', 'failed', 'state', 'error']));
        self::assertSame(0.0, (float) $json['queues'][0]['change_per_second']);

        $missing = Cli::run(['top', '-Q', 'nobodys', '-i', '0.3', '--once'], ['AMQP1_DSN' => $this->broker('program')->dsn]);
        self::assertSame(3, $missing->code);
        self::assertStringContainsString('missing: ', $missing->out);

        // Again and again, until nobody reads it any more.
        $command = implode(' ', array_map('escapeshellarg', Cli::command('top', '-Q', $name, '-i', '0.2')));
        foreach (["$command | head -n 8", "$command --json | head -n 2"] as $line) {
            $piped = Child::command(['sh', '-c', $line], ['AMQP1_DSN' => $this->broker($broker)->dsn]);
            self::assertSame(0, $piped->wait(20));
        }
        foreach (array_filter(explode("\n", $piped->output())) as $line) {
            if ($line[0] === '{') {
                self::assertSame(4, json_decode($line, true, 512, JSON_THROW_ON_ERROR)['queues'][0]['failed']);
            } else {
                self::assertStringContainsString('No screen: standard input and output are not a terminal', $line);
            }
        }
    }

    public function testThePipelinesOfAConfigurationAndWithoutOtherProcesses(): void
    {
        [$at, $other] = [$this->broker('program'), ProgramBroker::start()];
        $name = $this->uniqueName($at);
        (new AmqpQueue($at->dsn, $name))->push('waits');
        file_put_contents("$this->folder/jobs.yaml", <<<YAML
            amqp1: {addr: "$at->dsn"}
            jobs:
              pipelines:
                here: {driver: amqp1, config: {queue: "$name"}}
                there: {driver: amqp1, config: {queue: "$name", addr: "amqp://guest:secret@{$other->address()}"}}
            YAML);
        $other->stop();
        // As PHP without pcntl.
        foreach ([[], ['-d', 'disable_functions=pcntl_fork']] as $flags) {
            $command = implode(' ', array_map('escapeshellarg', [PHP_BINARY, ...array_slice(Child::phpCommand(), 1), ...$flags,
                dirname(__DIR__) . '/bin/amqp1', 'top', '-c', "$this->folder/jobs.yaml", '-i', '0.2', '--json']));
            $child = Child::command(['sh', '-c', "$command | head -n 1"]);
            self::assertSame(0, $child->wait(30));
            $queues = json_decode($child->output(), true, 512, JSON_THROW_ON_ERROR)['queues'];
            self::assertSame([['here', 1, 'ok'], ['there', null, 'down']], array_map(
                static fn (array $queue) => [$queue['queue'], $queue['ready'], $queue['state']],
                $queues
            ));
            self::assertStringNotContainsString('secret', $child->output());
        }
        $terminal = $this->terminal = new Tmux($this->folder, 100, 20);
        $terminal->enter(strtr($command, ["'--json'" => '']));
        $terminal->waitFor('No screen: PHP has no extension pcntl or posix');
        $terminal->waitForMatch('/^here +1 +/m');
        $terminal->press('C-c');
        $terminal->enter('clear');
        $terminal->waitForMatch('/^\$\s*$/');
    }

    /** Four failed jobs. */
    private function fail4(AmqpQueue $queue): void
    {
        $consumer = $this->consumer($queue, ['prefetch' => 1]);
        foreach ([1, 2, 3, 4] as $n) {
            $queue->push('bad', ['n' => $n, 'text' => 'Grüße 漢字'], ['id' => "id-$n", 'headers' => ['tenant' => ['a', 'b']]]);
            $this->next($consumer)->nack(new \DomainException("no good:\n\e[31m$n"));
        }
        $consumer->close();
        $this->eventually(static fn () => $queue->failed()->count() === 4, 'four failed jobs');
    }

    /** In a shell, which has noted its terminal's settings before. Words with "=" are the environment's. */
    private function top(string $dsn, int $columns, int $rows, string ...$arguments): Tmux
    {
        $environment = array_filter($arguments, static fn (string $word) => preg_match('/^[A-Z_]+=/', $word) === 1);
        $command = implode(' ', array_map('escapeshellarg', Cli::command('top', ...array_diff($arguments, $environment))));
        file_put_contents("$this->folder/top", "echo \$\$ > pid\nexec env " . implode(' ', $environment) . " $command\n");
        $this->terminal = null;
        $this->terminal = new Tmux($this->folder, $columns, $rows, ['AMQP1_DSN' => $dsn]);
        $this->terminal->enter('stty -a > before; sh top; echo ended-$?');

        return $this->terminal;
    }

    private function pid(): int
    {
        return (int) file_get_contents("$this->folder/pid");
    }

    /** @return list<int> */
    private function children(): array
    {
        $pid = $this->pid();

        return array_map('intval', array_filter(explode(' ', trim((string) file_get_contents("/proc/$pid/task/$pid/children")))));
    }

    private function assertTheShellIsBack(Tmux $terminal): void
    {
        $screen = $terminal->waitFor("\nended-");
        self::assertStringContainsString("ended-0\n", $screen);
        self::assertStringContainsString('sh top', $screen, 'what the terminal showed before');
        self::assertStringNotContainsString('QUEUE ', $screen);
        self::assertFalse($terminal->isOnSecondScreen());
        self::assertTrue($terminal->showsCursor());
        self::assertFalse(posix_kill($this->pid(), 0));
        $this->assertSettings($terminal);
    }

    private function assertSettings(Tmux $terminal): void
    {
        // Without the size.
        $terminal->enter('clear; stty -a > after; diff <(tail -n +2 before) <(tail -n +2 after) && echo same-$((40 + 2))');
        $terminal->waitFor('same-42');
    }
}
