<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\ProgramBroker;
use PHPUnit\Framework\Attributes\DataProvider;

/** A signal is handled while PHP waits in the extension, and what its handler does takes effect. */
final class SignalTest extends ContractTestCase
{
    private const START = <<<'PHP'
        pcntl_async_signals(true);
        $queue = new Amqp1\AmqpQueue($argv[1], $argv[2], ['timeout' => 30]);
        $consumer = new Amqp1\Consumer($queue, ['prefetch' => 5]);
        $consumer->waitTask(0.01);

        PHP;

    /** Generous: the promise is 50 ms to notice; the machine may be busy. */
    private const SOON = 2.0;

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testAHandlerThatCallsStopEndsTheWait(string $broker): void
    {
        [$child] = $this->waiting($broker, <<<'PHP'
            pcntl_signal(SIGTERM, function () use ($consumer) { echo "handled\n"; $consumer->stop(); });
            echo "waiting\n";
            while ($task = $consumer->waitTask()) { $task->ack(); }
            echo "ended in order\n";
            $consumer->close();
            PHP);
        $start = microtime(true);
        $child->signal(SIGTERM);
        $child->waitFor('handled', 10);
        self::assertLessThan(self::SOON, microtime(true) - $start);

        self::assertSame(0, $child->wait(10), $child->output());
        self::assertStringContainsString('ended in order', $child->output());
        self::assertLessThan(self::SOON + 3, microtime(true) - $start);
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testAHandlerThatThrowsEndsTheWaitWithItsException(string $broker): void
    {
        [$child, $name] = $this->waiting($broker, <<<'PHP'
            pcntl_signal(SIGUSR1, function () { throw new DomainException('from the handler'); });
            echo "waiting\n";
            try {
                $consumer->waitTask();
            } catch (DomainException $e) {
                echo 'caught ', $e->getMessage(), "\n";
            }
            echo 'then ', $consumer->waitTask()->getName(), "\n";
            PHP);
        $child->signal(SIGUSR1);
        $child->waitFor('caught from the handler', 10);
        (new AmqpQueue($this->broker($broker)->dsn, $name))->push('the next job');

        self::assertSame(0, $child->wait(15), $child->output());
        self::assertStringContainsString('then the next job', $child->output());
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testAHandlerThatExitsEndsTheProcessWithItsCode(string $broker): void
    {
        [$child] = $this->waiting($broker, <<<'PHP'
            pcntl_signal(SIGTERM, function () { exit(7); });
            register_shutdown_function(function () { echo "shut down\n"; });
            echo "waiting\n";
            $consumer->waitTask();
            PHP);
        $start = microtime(true);
        $child->signal(SIGTERM);

        self::assertSame(7, $child->wait(15), $child->output());
        self::assertStringContainsString('shut down', $child->output());
        self::assertLessThan(self::SOON + 3, microtime(true) - $start);
    }

    public function testEverySignalOfManyIsHandled(): void
    {
        $child = Child::php(<<<'PHP'
            pcntl_async_signals(true);
            $consumer = new Amqp1\Consumer(new Amqp1\AmqpQueue('embedded://signals', 'q'));
            $consumer->waitTask(0.01);
            pcntl_signal(SIGUSR1, function () use (&$count, $consumer) {
                echo 'handled ', ++$count, "\n";
                if ($count === 20) { $consumer->stop(); }
            });
            echo "waiting\n";
            while ($count < 20) { $consumer->waitTask(5); }
            PHP);
        $child->waitFor('waiting');
        for ($i = 1; $i <= 20; ++$i) {
            $child->signal(SIGUSR1);
            $child->waitFor("handled $i", 5);
        }

        self::assertSame(0, $child->wait(10), $child->output());
    }

    public function testAHandlerThatOnlyNotesDoesNotEndTheWait(): void
    {
        $child = Child::php(<<<'PHP'
            pcntl_async_signals(true);
            $consumer = new Amqp1\Consumer(new Amqp1\AmqpQueue('embedded://signals', 'q'));
            $consumer->waitTask(0.01);
            pcntl_signal(SIGUSR1, function () { echo "noted\n"; });
            echo "waiting\n";
            $start = microtime(true);
            var_dump($consumer->waitTask(1.5), microtime(true) - $start >= 1.499);
            PHP);
        $child->waitFor('waiting');
        $child->signal(SIGUSR1);

        self::assertSame(0, $child->wait(10));
        self::assertStringContainsString("noted\nNULL\nbool(true)", $child->output());
    }

    public function testASignalWithoutHandlerStillKills(): void
    {
        $child = Child::php(<<<'PHP'
            $consumer = new Amqp1\Consumer(new Amqp1\AmqpQueue('embedded://signals', 'q'));
            echo "waiting\n";
            $consumer->waitTask(30);
            PHP);
        $child->waitFor('waiting');
        usleep(200_000);
        $child->signal(SIGTERM);

        self::assertSame(128 + SIGTERM, $child->wait(10), $child->output());
    }

    public function testAHandlerMayPushAndTakeJobs(): void
    {
        $child = Child::php(<<<'PHP'
            pcntl_async_signals(true);
            $queue = new Amqp1\AmqpQueue('embedded://signals', 'q');
            $consumer = new Amqp1\Consumer($queue);
            $consumer->waitTask(0.01);
            pcntl_signal(SIGUSR1, function () use ($queue) { $queue->push('from the handler'); });
            echo "waiting\n";
            echo $consumer->waitTask(10)?->getName(), "\n";
            PHP);
        $child->waitFor('waiting');
        $child->signal(SIGUSR1);

        self::assertSame(0, $child->wait(15));
        self::assertStringContainsString('from the handler', $child->output());
    }

    public function testASignalDuringAPushToASilentHost(): void
    {
        [$held, $address] = Support\Sockets::silent();
        $child = Child::php(<<<'PHP'
            pcntl_async_signals(true);
            pcntl_signal(SIGTERM, function () { throw new DomainException('enough'); });
            echo "waiting\n";
            try {
                (new Amqp1\AmqpQueue('amqp://' . $argv[1], 'q', ['timeout' => 30]))->push('job');
            } catch (DomainException $e) {
                echo 'caught ', $e->getMessage(), "\n";
            }
            PHP, [$address]);
        $child->waitFor('waiting');
        usleep(200_000);
        $child->signal(SIGTERM);
        $child->waitFor('caught enough', 10);

        self::assertSame(0, $child->wait(15));
        unset($held);
    }

    /** A fast broker never makes pushMany() wait; signals are still handled. */
    public function testSignalsDuringALongListOfJobs(): void
    {
        $broker = ProgramBroker::start();
        $child = Child::php(<<<'PHP'
            pcntl_async_signals(true);
            $queue = new Amqp1\AmqpQueue($argv[1], 'q', ['timeout' => 30]);
            $queue->push('warm');
            pcntl_signal(SIGUSR1, function () { throw new DomainException('enough'); });
            $jobs = array_fill(0, 1_000_000, ['name' => 'job']);
            echo "pushing\n";
            try {
                $queue->pushMany($jobs);
            } catch (DomainException $e) {
                echo 'caught ', $e->getMessage(), ' at ', $queue->count() < 1_000_000 ? 'a part' : 'the end', "\n";
            }
            $queue->push('still usable');
            echo "usable\n";
            PHP, [$broker->dsn], ['-d', 'memory_limit=-1']);
        $child->waitFor('pushing');
        usleep(200_000);
        $child->signal(SIGUSR1);

        self::assertSame(0, $child->wait(60), $child->output());
        self::assertStringContainsString("caught enough at a part\nusable\n", $child->output());
    }

    /** @return array<string, array{string}> */
    public static function limited(): array
    {
        return [
            'waitTask' => ['$consumer->waitTask();'],
            'foreach' => ['foreach ($consumer as $task) {}'],
            'push' => ['$silent->push("job");'],
            'pushMany' => ['$silent->pushMany([["name" => "job"]]);'],
        ];
    }

    /**
     * The limit counts the process's CPU time, which a wait does not use, so the test sends its signal itself. In thread-safe PHP
     * (ZTS), it counts the thread's real time.
     *
     * @dataProvider limited
     */
    #[DataProvider('limited')]
    public function testTheTimeLimitEndsAWaitAndShutdownFunctionsStillWork(string $call): void
    {
        [$held, $address] = Support\Sockets::silent();
        $child = Child::php(<<<'PHP'
            $queue = new Amqp1\AmqpQueue('embedded://limit', 'q', ['timeout' => 30]);
            $silent = new Amqp1\AmqpQueue('amqp://' . $argv[1], 'q', ['timeout' => 30]);
            $consumer = new Amqp1\Consumer($queue);
            $consumer->waitTask(0.01);
            register_shutdown_function(function () use ($queue, $consumer) {
                $queue->push('from the shutdown function');
                echo 'took ', $consumer->waitTask(5)?->getName(), "\n";
            });
            set_time_limit((int) $argv[2]);
            echo "waiting\n";

            PHP . $call . 'echo "went on\n";', [$address, ZEND_THREAD_SAFE ? '2' : '30'], ['-d', 'log_errors=0']);
        $child->waitFor('waiting');
        if (!ZEND_THREAD_SAFE) {
            usleep(200_000);
            $child->signal(SIGPROF);
        }

        self::assertSame(255, $child->wait(15), $child->output());
        self::assertStringContainsString('Maximum execution time of ' . (ZEND_THREAD_SAFE ? '2' : '30') . ' seconds exceeded', $child->output());
        self::assertStringContainsString('took from the shutdown function', $child->output());
        self::assertStringNotContainsString('went on', $child->output());
        unset($held);
    }

    /** @return array<string, array{string, string}> */
    public static function otherDispatchers(): array
    {
        return [
            'a namespaced one' => ['namespace App { function pcntl_signal_dispatch() { echo "not this\n"; return true; } }', ''],
            'disabled, and defined by the script' => [
                'namespace { function pcntl_signal_dispatch() { echo "not this\n"; return true; } }', 'pcntl_signal_dispatch',
            ],
            'disabled' => ['', 'pcntl_signal_dispatch'],
        ];
    }

    /**
     * Without pcntl_async_signals() the extension calls pcntl's dispatcher: no other function of that name.
     *
     * @dataProvider otherDispatchers
     */
    #[DataProvider('otherDispatchers')]
    public function testOnlyPcntlsOwnDispatcherIsCalled(string $function, string $disabled): void
    {
        $script = tempnam(sys_get_temp_dir(), 'amqp1-');
        file_put_contents($script, "<?php $function namespace App { " . <<<'PHP'
            $consumer = new \Amqp1\Consumer(new \Amqp1\AmqpQueue('embedded://signals', 'q'));
            \pcntl_signal(SIGUSR1, function () { echo "handled\n"; });
            \posix_kill(\getmypid(), SIGUSR1);
            echo "waiting\n";
            $consumer->waitTask(0.3);
            echo "waited\n";
            }
            PHP);
        $child = Child::command([...Child::phpCommand(), '-d', "disable_functions=$disabled", $script]);

        self::assertSame(0, $child->wait(15), $child->output());
        self::assertSame($disabled === '' ? "waiting\nhandled\nwaited\n" : "waiting\nwaited\n", $child->output());
        unlink($script);
    }

    /** @return array{Child, string} a child that waits, and its queue */
    private function waiting(string $broker, string $code): array
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        $child = Child::php(self::START . $code, [$at->dsn, $name]);
        $child->waitFor('waiting');
        usleep(100_000);

        return [$child, $name];
    }
}
