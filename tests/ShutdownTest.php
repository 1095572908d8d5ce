<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\ProgramBroker;
use Amqp1\Tests\Support\RabbitLog;
use Amqp1\Tests\Support\Sockets;
use PHPUnit\Framework\Attributes\DataProvider;

/** A process end is clean for the broker, bounded whatever the broker does, and safe while the I/O thread is busy. */
final class ShutdownTest extends ContractTestCase
{
    /** @return array<string, array{string, string}> what lets go of a consumer while its process goes on */
    public static function lettingGo(): array
    {
        $sets = [];
        foreach (self::networked() as $name => [$broker]) {
            $sets["$name, close()"] = [$broker, '$consumer->close();'];
            $sets["$name, the object destroyed"] = [$broker, 'unset($consumer);'];
            $sets["$name, stop()"] = [$broker, '$consumer->stop();'];
            $sets["$name, the cycle collector"] = [$broker,
                '$cycle = new ArrayObject([$consumer]); $cycle[] = $cycle; unset($consumer, $cycle); gc_collect_cycles();'];
        }

        return $sets;
    }

    /** @dataProvider lettingGo */
    #[DataProvider('lettingGo')]
    public function testWhatIsBufferedGoesBackAtOnceAndAcknowledgementsAreFlushed(string $broker, string $letGo): void
    {
        $queue = $this->queue($broker);
        $queue->pushMany(array_map(static fn (int $i) => ['name' => "job-$i"], range(0, 9)));
        $child = Child::php(<<<'PHP'
            $queue = new Amqp1\AmqpQueue($argv[1], $argv[2], ['timeout' => 20]);
            $consumer = new Amqp1\Consumer($queue, ['prefetch' => 10]);
            $consumer->waitTask(10)->ack();
            usleep(200_000);

            PHP . $letGo . 'echo "let go\n"; sleep(60);', [$this->broker($broker)->dsn, $queue->getName()]);
        $child->waitFor('let go');
        $start = microtime(true);

        $consumer = $this->consumer($queue, ['prefetch' => 20]);
        $names = [];
        while (count($names) < 9) {
            $task = $this->next($consumer, 5);
            $names[] = $task->getName();
            self::assertSame(1, $task->getAttempts(), 'nobody has worked on it');
            $task->ack();
        }
        $this->report("$broker, $letGo: nine jobs came back", microtime(true) - $start);
        sort($names);
        self::assertSame(array_map(static fn (int $i) => "job-$i", range(1, 9)), $names);
        $this->assertNoTask($consumer, 0.1);
        $child->kill();
    }

    /** @var array<string, array{string, int}> code and exit code; all but the last are clean for the broker */
    private const ENDS = [
        'end of the script' => ['', 0],
        'exit' => ['exit(3);', 3],
        'exit in a shutdown function' => ['register_shutdown_function(function () { exit(4); }); exit(3);', 4],
        'uncaught exception' => ['throw new Exception("broken");', 255],
        'fatal error' => ['trigger_error("broken", E_USER_ERROR);', 255],
        'memory_limit' => ['ini_set("memory_limit", "8M"); str_repeat("x", 100_000_000);', 255],
        'memory_limit in the extension' => ['ini_set("memory_limit", "3M"); $big->getPayload();', 255],
        'kill -9' => ['posix_kill(getmypid(), SIGKILL);', 128 + SIGKILL],
    ];

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testTheBrokerSeesCleanEndsAsClean(string $broker): void
    {
        $at = $this->broker($broker);
        if ($broker === 'rabbitmq') {
            self::markTestSkipped('its log is not at hand');
        }
        $log = new RabbitLog($at);
        $children = [];
        foreach (self::ENDS as $end => [$code]) {
            $container = 'end-' . bin2hex(random_bytes(6));
            $children[$end] = [$container, Child::php(<<<'PHP'
                $queue = new Amqp1\AmqpQueue($argv[1], $argv[2], ['timeout' => 20, 'container_id' => $argv[3]]);
                $queue->push('big', array_fill(0, 200_000, 1));
                $queue->pushMany(array_fill(0, 5, ['name' => 'job']));
                $consumer = new Amqp1\Consumer($queue, ['prefetch' => 5]);
                $big = $consumer->waitTask(10);
                $GLOBALS['held'] = new ArrayObject([$big, $consumer]);
                $GLOBALS['held'][] = $GLOBALS['held'];
                $consumer->waitTask(10)->ack();
                $task = $consumer->waitTask(10);

                PHP . $code, [$at->dsn, $this->uniqueName($at), $container], ['-d', 'log_errors=0'])];
        }
        foreach ($children as $end => [, $child]) {
            self::assertSame(self::ENDS[$end][1], $child->wait(30), "$end: " . $child->output());
        }

        $log->catchUp();
        foreach ($children as $end => [$container]) {
            self::assertCount(2, $log->opened($container), "$end: one to push, one to consume");
            if ($end === 'kill -9') {
                self::assertNotSame([], $log->complaints($container), 'this log would show one that is not clean');
            } else {
                self::assertSame([], $log->complaints($container), $end);
            }
        }
    }

    /** @return array<string, array{string, int}> */
    public static function silentEnds(): array
    {
        return [
            'end of the script' => ['', 0],
            'exit in the middle' => ['exit(3);', 3],
            'uncaught exception' => ['throw new Exception("broken");', 255],
            'fatal error' => ['trigger_error("broken", E_USER_ERROR);', 255],
            'objects destroyed first' => ['unset($task, $consumer, $queue);', 0],
            'close() first' => ['$consumer->close();', 0],
        ];
    }

    /** @dataProvider silentEnds */
    #[DataProvider('silentEnds')]
    public function testAProcessEndsInTimeThoughTheBrokerIsSilent(string $end, int $status): void
    {
        $broker = ProgramBroker::start();
        $child = Child::php(<<<'PHP'
            $queue = new Amqp1\AmqpQueue($argv[1], 'q', ['timeout' => 20]);
            $queue->pushMany(array_fill(0, 5, ['name' => 'job']));
            $consumer = new Amqp1\Consumer($queue);
            $consumer->waitTask(10)->ack();
            $task = $consumer->waitTask(10);
            echo "silence\n";
            while (!file_exists($argv[2])) { usleep(10_000); }
            echo 'ends at ', hrtime(true), "\n";

            PHP . $end, [$broker->dsn, $flag = tempnam(sys_get_temp_dir(), 'amqp1-') . '.go'],
            ['-d', 'amqp1.shutdown_timeout=0.5', '-d', 'log_errors=0']);
        $child->waitFor('silence');
        $broker->freeze();
        touch($flag);
        self::assertSame($status, $child->wait(15), $child->output());
        preg_match('/ends at (\d+)/', $child->output(), $at);
        $took = (hrtime(true) - (int) $at[1]) / 1e9;

        self::assertGreaterThan(0.45, $took, 'it gave the broker that time');
        self::assertLessThan(5.0, $took);
        $this->report("silent broker, shutdown_timeout 0.5 s, $end", $took);
        $broker->thaw();
        array_map('unlink', [$flag, substr($flag, 0, -3)]);
    }

    public function testAProcessEndsWhileAPeerIsSilentInTheHandshake(): void
    {
        [$held, $address] = Sockets::silent();
        $start = microtime(true);
        $output = Child::run(<<<'PHP'
            try {
                (new Amqp1\AmqpQueue('amqp://' . $argv[1], 'q', ['timeout' => 0.2]))->push('job');
            } catch (Amqp1\Exception\ExceptionInterface $e) {
                echo get_class($e);
            }
            PHP, [$address]);

        self::assertStringContainsString('Exception', $output);
        self::assertLessThan(10.0, microtime(true) - $start);
        unset($held);
    }

    /**
     * A name server that does not answer keeps one of our threads in getaddrinfo() past the shutdown; PHP then unloads
     * the extension. The thread must find its code when it returns.
     */
    public function testUnloadingWithAThreadInASystemCallDoesNotCrash(): void
    {
        $library = tempnam(sys_get_temp_dir(), 'amqp1-resolver-');
        file_put_contents("$library.c", <<<'C'
            #include <unistd.h>
            #include <netdb.h>
            int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
            {
                sleep(1);
                return EAI_AGAIN;
            }
            /* After PHP has unloaded its extensions: as long as the threads need to come back. */
            __attribute__((destructor)) static void linger(void)
            {
                sleep(2);
            }
            C);
        exec('cc -shared -fPIC -o ' . escapeshellarg($library) . ' ' . escapeshellarg("$library.c") . ' 2>&1', $lines, $code);
        self::assertSame(0, $code, implode("\n", $lines));
        $command = Child::phpCommand();
        $child = Child::command([...$command, '-d', 'amqp1.shutdown_timeout=0.1', '-r', <<<'PHP'
            try {
                (new Amqp1\AmqpQueue('amqp://broker.invalid', 'q', ['timeout' => 0.2]))->push('job');
            } catch (Amqp1\Exception\ExceptionInterface $e) {
                echo get_class($e);
            }
            PHP], ['LD_PRELOAD' => $library]);

        self::assertSame(0, $child->wait(20), $child->output());
        self::assertStringContainsString('ConnectionException', $child->output());
        array_map('unlink', [$library, "$library.c"]);
    }

    public function testTheRuntimeEndsWithTheProcessAndNotBefore(): void
    {
        $output = Child::run(<<<'PHP'
            $threads = fn () => count(glob('/proc/self/task/*'));
            echo $threads(), ' ';
            $queue = new Amqp1\AmqpQueue('embedded://', 'q');
            echo $threads(), ' ';
            $queue->push('job');
            $many = $threads();
            for ($i = 0; $i < 20; ++$i) {
                $consumer = new Amqp1\Consumer($queue);
                $consumer->waitTask(5)->ack();
                unset($consumer);
                $queue->push('job');
            }
            echo $threads() - $many;
            PHP);

        self::assertSame('1 1 0', $output);
    }

    private function report(string $what, float $seconds): void
    {
        if (getenv('AMQP1_REPORT')) {
            fprintf(STDERR, "\n%s: %.3f s\n", $what, $seconds);
        }
    }
}
