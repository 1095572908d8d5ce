<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ProgramBroker;
use PHPUnit\Framework\TestCase;

/**
 * Each signal in each blocking call, whose handler returns, throws, stops the consumer, or exits.
 *
 * The broker is connected and then stopped (SIGSTOP), so that every call blocks where it waits for an answer. All
 * of them run at once, each in its own process. AMQP1_REPORT=1 prints the latencies.
 */
final class SignalMatrixTest extends TestCase
{
    /** The maximum time of a call, in seconds. */
    private const TIMEOUT = 2.0;

    private const CALLS = ['push', 'pushMany', 'waitTask', 'waitTasks', 'ping', 'setup', 'stats', 'foreach'];
    private const SIGNALS = ['TERM' => SIGTERM, 'INT' => SIGINT, 'ALRM' => SIGALRM];

    private const CHILD = <<<'PHP'
        [, $dsn, $name, $call, $signal, $mode, $flag, $timeout] = $argv;
        [$signal, $timeout] = [(int) $signal, (float) $timeout];
        if ($mode === 'async') { pcntl_async_signals(true); }

        $queue = new Amqp1\AmqpQueue($dsn, $name, ['timeout' => $timeout, 'heartbeat' => 120]);
        $many = new Amqp1\AmqpQueue($dsn, "$name-many", ['timeout' => $timeout, 'heartbeat' => 120]);
        $on = (object) ['consumer' => new Amqp1\Consumer($queue, ['timeout' => $timeout])];
        $calls = [
            'push' => fn () => $queue->push('job'),
            // More than are sent before the first one is confirmed; to a separate queue.
            'pushMany' => fn () => $many->pushMany(array_fill(0, 2500, ['name' => 'job'])),
            'waitTask' => fn () => $on->consumer->waitTask(),
            'waitTasks' => fn () => $on->consumer->waitTasks(3),
            'ping' => fn () => $queue->ping(),
            'setup' => fn () => $queue->setup(),
            'stats' => fn () => $queue->stats(),
            'foreach' => function () use ($on) { foreach ($on->consumer as $task) { return 'a task'; } return null; },
        ];
        $wait = function (string $flag) { while (!file_exists($flag)) { usleep(10_000); } };

        $queue->push('warm', null, ['timeout' => 30]);
        $many->push('warm', null, ['timeout' => 30]);
        $on->consumer->waitTask(30)->ack();
        $queue->stats();
        echo "warm\n";
        $wait("$flag-silent");

        $inside = false;
        $run = function (string $action) use ($calls, $call, $signal, $on, &$inside) {
            $handled = 0;
            pcntl_signal($signal, function () use ($action, $on, &$handled, &$inside) {
                $handled = hrtime(true);
                echo "handled $action $handled ", $inside ? 'inside' : 'OUTSIDE', "\n";
                match ($action) {
                    'throw' => throw new DomainException('from the handler'),
                    'exit' => exit(7),
                    'stop' => $on->consumer->stop(),
                    'return' => null,
                };
            });
            $start = hrtime(true);
            if ($signal === SIGALRM) { pcntl_alarm(1); }
            echo "ready $action $start\n";
            $inside = true;
            try {
                $outcome = get_debug_type($calls[$call]());
            } catch (Throwable $e) {
                $outcome = get_class($e);
            }
            $inside = false;
            $end = hrtime(true);
            printf("ended %s %.3f %.3f %s\n", $action, ($end - $start) / 1e9, ($end - $handled) / 1e9, $outcome);
        };
        $run('return');
        $run('throw');
        $run('stop');
        var_dump($on->consumer->waitTask(0.01));

        $wait("$flag-answers");
        pcntl_signal($signal, SIG_DFL);
        $id = $queue->push('after', null, ['timeout' => 30]);
        $fresh = new Amqp1\Consumer($queue);
        while ($task = $fresh->waitTask(30)) {
            $task->ack();
            if ($task->getId() === $id) { break; }
        }
        $fresh->close();
        echo $task ? "usable\n" : "not usable\n";

        $on->consumer = new Amqp1\Consumer($queue, ['timeout' => $timeout]);
        $on->consumer->waitTask(0.01);
        echo "warm again\n";
        $wait("$flag-silent-again");
        $run('exit');
        PHP;

    /** What lets pcntl run its handlers: `pcntl_async_signals(true)`, `declare(ticks=1)`, or neither of them. */
    private const MODES = ['async', 'ticks', 'plain'];

    public function testEachSignalInEachCall(): void
    {
        $broker = ProgramBroker::start(['--idle-timeout', '120000']);
        $flag = sys_get_temp_dir() . '/amqp1-signals-' . bin2hex(random_bytes(6));
        $children = [];
        foreach (self::MODES as $mode) {
            foreach (self::CALLS as $call) {
                foreach (self::SIGNALS as $name => $signal) {
                    $code = ($mode === 'ticks' ? "declare(ticks=1);\n" : '') . self::CHILD;
                    $arguments = [$broker->dsn, "q-$mode-$call-$name", $call, (string) $signal, $mode, $flag, (string) self::TIMEOUT];
                    $children["$mode, $call, SIG$name"] = [
                        Child::php($code, $arguments, ['-d', 'amqp1.shutdown_timeout=0.5']), $call, $signal,
                    ];
                }
            }
        }
        try {
            $this->all($children, 'warm');
            $broker->freeze();
            touch("$flag-silent");
            $sent = $this->signalWhenReady($children, ['return', 'throw', 'stop'], 'ended stop');
            $broker->thaw();
            touch("$flag-answers");
            $this->all($children, 'usable');
            $this->all($children, 'warm again');
            $broker->freeze();
            touch("$flag-silent-again");
            $sent += $this->signalWhenReady($children, ['exit'], 'handled exit');
            foreach ($children as $which => [$child]) {
                self::assertSame(7, $child->wait(15), "$which: " . $child->output());
            }
        } finally {
            $broker->thaw();
            array_map('unlink', glob("$flag-*"));
        }

        $latencies = [];
        foreach ($children as $which => [$child, $call, $signal]) {
            $output = $child->output();
            foreach (['return', 'throw', 'stop', 'exit'] as $action) {
                self::assertSame(1, preg_match("/^handled $action (\d+) inside$/m", $output, $handled), "$which: $output");
                preg_match("/^ready $action (\d+)$/m", $output, $ready);
                $at = $signal === SIGALRM ? (int) $ready[1] + 1_000_000_000 : $sent["$which $action"];
                $latencies["$which, $action"] = ((int) $handled[1] - $at) / 1e6;
            }
            $this->assertOutcomes($which, $call, $output);
        }
        arsort($latencies);
        self::assertLessThan(1000, reset($latencies), 'ms to the handler of ' . key($latencies));
        if (getenv('AMQP1_REPORT')) {
            $sorted = array_values($latencies);
            fprintf(STDERR, "\n%d signals, ms to the handler: median %.1f, 9 of 10 below %.1f, longest %.1f (%s)\n",
                count($sorted), $sorted[intdiv(count($sorted), 2)], $sorted[intdiv(count($sorted), 10)], $sorted[0], key($latencies));
        }
    }

    private function assertOutcomes(string $which, string $call, string $output): void
    {
        $ended = [];
        foreach (['return', 'throw', 'stop'] as $action) {
            self::assertSame(1, preg_match("/^ended $action ([\d.]+) ([\d.]+) (\S+)$/m", $output, $match), "$which: $output");
            $ended[$action] = [(float) $match[1], (float) $match[2], $match[3]];
        }
        $consumes = in_array($call, ['waitTask', 'waitTasks', 'foreach'], true);
        $own = match ($call) {
            'waitTask', 'foreach' => 'null',
            'waitTasks' => 'array',
            'pushMany' => 'Amqp1\Exception\BatchException',
            default => 'Amqp1\Exception\TimeoutException',
        };

        self::assertSame($own, $ended['return'][2], "$which: $output");
        self::assertGreaterThan(self::TIMEOUT - 0.05, $ended['return'][0], "$which: it goes on after the handler");
        self::assertSame('DomainException', $ended['throw'][2], "$which: $output");
        self::assertLessThan(1.0, $ended['throw'][1], "$which: a handler that throws ends the call");
        self::assertSame($own, $ended['stop'][2], "$which: $output");
        if ($consumes) {
            self::assertLessThan(1.0, $ended['stop'][1], "$which: stop() ends the wait");
        }
        self::assertStringContainsString("NULL\n", $output, "$which: after stop() there are no more tasks");
    }

    /** @param array<string, array{Child, string, int}> $children */
    private function all(array $children, string $text): void
    {
        foreach ($children as [$child]) {
            $child->waitFor($text, 40);
        }
    }

    /**
     * @param array<string, array{Child, string, int}> $children
     * @param list<string> $actions
     * @return array<string, int> when each signal was sent
     */
    private function signalWhenReady(array $children, array $actions, string $until): array
    {
        $sent = $ready = [];
        $deadline = microtime(true) + 20;
        do {
            $missing = [];
            foreach ($children as $which => [$child, , $signal]) {
                $output = $child->output();
                foreach ($actions as $action) {
                    $key = "$which $action";
                    if ($signal !== SIGALRM && !isset($sent[$key]) && str_contains($output, "ready $action ")) {
                        $ready[$key] ??= microtime(true);
                        if (microtime(true) - $ready[$key] > 0.15) {
                            $sent[$key] = hrtime(true);
                            $child->signal($signal);
                        }
                    }
                }
                if (!str_contains($output, $until)) {
                    $missing[] = $which;
                }
            }
            if ($missing !== [] && microtime(true) > $deadline) {
                self::fail("no '$until' from " . implode('; ', $missing) . ":\n" . $children[$missing[0]][0]->output());
            }
            usleep(5000);
        } while ($missing !== []);

        return $sent;
    }
}
