<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Tests\Support\ProgramBroker;
use Amqp1\Tests\Support\Threads;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;

/** Thread-safe PHP (ZTS): objects belong to their thread, connections to the process. */
final class ThreadsTest extends TestCase
{
    protected function setUp(): void
    {
        if (!ZEND_THREAD_SAFE) {
            self::markTestSkipped('this PHP has no threads: make test-zts');
        }
    }

    private static ?ProgramBroker $rabbit = null;
    private static ?ProgramBroker $serviceBus = null;

    public static function tearDownAfterClass(): void
    {
        self::$rabbit = self::$serviceBus = null;
    }

    /** @return array<string, array{string}> */
    public static function brokers(): array
    {
        return ['embedded' => ['embedded'], 'program' => ['program'], 'servicebus' => ['servicebus']];
    }

    private static function dsn(string $broker): string
    {
        return match ($broker) {
            'embedded' => 'embedded://threads',
            'program' => (self::$rabbit ??= ProgramBroker::start())->dsn,
            'servicebus' => (self::$serviceBus ??= ProgramBroker::serviceBus(['--lock-duration', '5']))->connectionString(),
        };
    }

    /** PHP code: a queue of this name. */
    private static function queue(string $broker, string $name): string
    {
        return 'new Amqp1\AmqpQueue(' . var_export(self::dsn($broker), true) . ", $name, ['timeout' => 30])";
    }

    private static function lines(string $output): array
    {
        $lines = array_filter(explode("\n", $output));
        sort($lines);

        return $lines;
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testSixteenThreadsPushAndConsumeAllTheirJobs(string $broker): void
    {
        $run = bin2hex(random_bytes(4));
        $output = Threads::run('
            $queue = ' . self::queue($broker, '"own-' . $run . '-$thread"') . ';
            $all = ' . self::queue($broker, '"all-' . $run . '"') . ';
            for ($i = 0; $i < 40; $i++) {
                $queue->push("Job", "$thread-$request-$i");
                $all->push("Job", "$thread-$request-$i");
            }
            $expected = array_map(fn ($i) => "$thread-$request-$i", range(0, 39));
            check(take($queue, 40) === $expected, "all in order, none of another thread");
            foreach (take($all, 40) as $payload) {
                echo $payload . "\n";
            }', 16, 3);
        $expected = [];
        foreach (range(0, 15) as $thread) {
            foreach (range(0, 2) as $request) {
                foreach (range(0, 39) as $i) {
                    $expected[] = "$thread-$request-$i";
                }
            }
        }
        $lines = self::lines($output);
        self::assertSame([], array_diff($expected, $lines), 'none is missing');
        self::assertSame([], array_diff($lines, $expected), 'none is made up');
        self::assertCount(count($expected), $lines, 'none comes twice');
    }

    /** The callables of all threads are the first ones of their threads. */
    public function testNoThreadPushesOverAnothersAuthenticatedConnection(): void
    {
        $address = substr(self::dsn('servicebus'), 14);
        $address = strtok($address, ';');
        $output = Threads::run('
            $token = function (string $audience) use ($thread): string {
                $uri = rawurlencode($audience);
                $end = time() + 600;
                $key = $thread === 0 ? "SAS_KEY_VALUE" : "the key of thread $thread";
                $signature = rawurlencode(base64_encode(hash_hmac("sha256", "$uri\n$end", $key, true)));

                return "SharedAccessSignature sr=$uri&sig=$signature&se=$end&skn=RootManageSharedAccessKey";
            };
            $queue = new Amqp1\AmqpQueue("amqp://' . $address . '/?dialect=servicebus", "secret", ["token" => $token, "timeout" => 20]);
            if ($thread > 0) {
                meet("first", 1);
            }
            try {
                $queue->push("Job");
                echo "$thread pushed\n";
            } catch (Amqp1\Exception\AuthenticationException $refused) {
                echo "$thread refused\n";
            }
            if ($thread === 0) {
                meet("first", 1);
            }
            meet("last", 8);', 8);
        self::assertSame(['0 pushed', '1 refused', '2 refused', '3 refused', '4 refused', '5 refused', '6 refused', '7 refused'],
            self::lines($output));
    }

    /** A function name is the same callable in all threads only if the same file defines it. */
    public function testFunctionsOfTheSameNameInTwoFilesShareNoConnection(): void
    {
        $address = strtok(substr(self::dsn('servicebus'), 14), ';');
        $output = Threads::run('
            $file = getenv("SCRIPT") . ".app" . ($thread % 2);
            $key = $thread % 2 === 0 ? "SAS_KEY_VALUE" : "wrong";
            if ($thread < 2) {
                file_put_contents($file, "<?php function app_token(string \$audience): string {
                    \$uri = rawurlencode(\$audience);
                    \$end = time() + 600;
                    \$signature = rawurlencode(base64_encode(hash_hmac(\"sha256\", \"\$uri\n\$end\", \"$key\", true)));
                    return \"SharedAccessSignature sr=\$uri&sig=\$signature&se=\$end&skn=RootManageSharedAccessKey\";
                }");
            }
            meet("written", 4);
            require $file;
            $queue = new Amqp1\AmqpQueue("amqp://' . $address . '/?dialect=servicebus", "shared", ["token" => "app_token", "timeout" => 20]);
            try {
                if ($thread % 2 === 1) {
                    meet("pushed", 4);
                }
                $queue->push("Job");
                if ($thread % 2 === 0) {
                    meet("pushed", 1);
                }
                echo "$thread pushed\n";
            } catch (Amqp1\Exception\AuthenticationException $refused) {
                echo "$thread refused\n";
            }
            meet("last", 4);', 4);
        self::assertSame(['0 pushed', '1 refused', '2 pushed', '3 refused'], self::lines($output));
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testNinetyThreadsWithAConsumerEach(string $broker): void
    {
        $run = bin2hex(random_bytes(4));
        $output = Threads::run('
            $queue = ' . self::queue($broker, '"ninety-' . $run . '-$thread"') . ';
            $consumer = new Amqp1\Consumer([$queue], ["prefetch" => 1]);
            check($consumer->waitTask(0) === null, "a new queue is empty");
            meet("attached", 90);
            $queue->push("Job", $thread);
            $task = $consumer->waitTask(30);
            check($task?->getPayload() === $thread, "its own job");
            $task->ack();
            meet("done", 90);
            echo "done\n";', 90);
        self::assertCount(90, self::lines($output));
    }

    public function testThreadsEndWhileTheirConnectionsLive(): void
    {
        $dsn = self::dsn('program');
        $run = bin2hex(random_bytes(4));
        // The first thread goes on; the others come, leave a consumer with a job, and go.
        Threads::run('
            $name = "left-' . $run . '";
            $queue = ' . self::queue('program', '$name') . ';
            if ($thread > 0) {
                $consumer = new Amqp1\Consumer([$queue], ["prefetch" => 1]);
                $queue->push("Job", $thread);
                check($consumer->waitTask(20) !== null, "a job in hand");
                meet("gone", $thread);
                return;
            }
            meet("gone", 12);
            $payloads = take($queue, 11);
            sort($payloads);
            check($payloads === range(1, 11), "what the others had in hand comes back: " . json_encode($payloads));
            $queue->push("Job");
            check($queue->count() === 1, "it goes on");', 12);
        self::assertStringStartsWith('amqp://', $dsn);
    }

    public function testEachThreadForksWhileTheOthersWork(): void
    {
        $run = bin2hex(random_bytes(4));
        $output = Threads::run('
            $queue = ' . self::queue('program', '"fork-' . $run . '-$thread"') . ';
            $queue->push("Job", "before");
            for ($i = 0; $i < 5; $i++) {
                $child = pcntl_fork();
                if ($child === 0) {
                    $queue->push("Job", "child $i");
                    $jobs = new Amqp1\AmqpQueue("embedded://of-the-child", "q");
                    $jobs->push("Job");
                    check(take($jobs, 1) === [null], "a broker of its own");
                    exit(0);
                }
                $queue->push("Job", "parent $i");
                for ($end = microtime(true) + 30; pcntl_waitpid($child, $status, WNOHANG) === 0; usleep(1000)) {
                    if (microtime(true) > $end) {
                        posix_kill($child, SIGKILL);
                        check(false, "a child hangs");
                    }
                }
                check(pcntl_wexitstatus($status) === 0, "a child failed");
            }
            check(count(take($queue, 11)) === 11, "all jobs");
            echo "done\n";', 8, 2, 120);
        self::assertCount(16, self::lines($output));
    }

    public function testEachThreadsObserverIsToldOfItsOwnConnection(): void
    {
        $run = bin2hex(random_bytes(4));
        $output = Threads::run('
            final class Seen extends Amqp1\NullObserver
            {
                public array $kinds = [];
                public function connection(Amqp1\Observation\Connection $event): void
                {
                    $this->kinds[] = $event->getEvent();
                }
            }
            $seen = new Seen();
            $queue = new Amqp1\AmqpQueue("embedded://seen-$thread-$request", "q", ["observer" => $seen]);
            $queue->push("Job");
            for ($i = 0; $i < 1000 && !in_array("connected", $seen->kinds, true); $i++) {
                usleep(1000);
            }
            check(array_count_values($seen->kinds)["connected"] === 1, json_encode($seen->kinds));
            echo "told\n";', 16, 2);
        self::assertCount(32, self::lines($output));
    }

    public function testTheTimeLimitOfAThreadEndsItsWait(): void
    {
        $output = Threads::run('
            $queue = new Amqp1\AmqpQueue("embedded://limit", "limit-$thread");
            $consumer = new Amqp1\Consumer([$queue]);
            register_shutdown_function(static function () use ($thread): void {
                echo $thread % 2 === 0 && str_contains((string) (error_get_last()["message"] ?? ""), "execution time") ? "limit\n" : "none\n";
            });
            if ($thread % 2 === 0) {
                set_time_limit(1);
                while (true) {
                    $consumer->waitTask(0.2);
                }
            }
            check($consumer->waitTask(3) === null, "no job");', 6, 1, 40, false);
        self::assertSame(['limit', 'limit', 'limit', 'none', 'none', 'none'],
            self::lines(implode("\n", array_filter(explode("\n", $output), static fn ($line) => in_array($line, ['limit', 'none'], true)))));
    }

    /** What a thread has opened for replies to its requests ends with it. */
    public function testTheAddressForRepliesEndsWithItsThread(): void
    {
        $output = Threads::run('
            $sessions = static function (): int {
                ob_start();
                phpinfo(INFO_MODULES);
                preg_match_all("/, (\d+) sessions/", ob_get_clean(), $found);

                return array_sum($found[1]);
            };
            $queue = ' . self::queue('program', '"requests"') . ';
            try {
                $queue->request("Ask", "$thread", ["timeout" => 0.2]);
                check(false, "nobody replies");
            } catch (Amqp1\Exception\TimeoutException) {
            }
            unset($queue);
            meet("asked", 8);
            if ($thread === 0) {
                check($sessions() >= 8, $sessions() . " sessions");
            }
            meet("counted", 8);
            for ($deadline = microtime(true) + 20; $thread === 0 && $sessions() >= 8; usleep(10_000)) {
                check(microtime(true) < $deadline, $sessions() . " sessions");
            }
            echo "asked\n";', 8);
        self::assertCount(8, self::lines($output));
    }
}
