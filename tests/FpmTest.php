<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Tests\Support\Broker;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Fpm;
use Amqp1\Tests\Support\RabbitLog;
use PHPUnit\Framework\Attributes\DataProvider;

/**
 * php-fpm as it is used: one connection per worker instead of per request, nothing in the master, clean ends.
 *
 * AMQP1_FPM_REQUESTS=1000 for a longer run.
 */
final class FpmTest extends ContractTestCase
{
    private const WORKERS = 4;

    /** One worker, for the tests that leave it unchanged. */
    private static ?Fpm $one = null;

    public static function tearDownAfterClass(): void
    {
        self::$one = null;
    }

    private const PUSH = <<<'PHP'
        $queue = new Amqp1\AmqpQueue($_GET['dsn'], $_GET['queue'], ['container_id' => $_GET['container'], 'timeout' => 20]);
        $queue->push('job', (int) $_GET['n']);
        echo 'pushed by ', getmypid();
        PHP;

    /** @dataProvider observable */
    #[DataProvider('observable')]
    public function testAWorkerKeepsItsConnectionAndAReloadClosesIt(string $broker): void
    {
        [$at, $queue, $container, $log] = $this->watched($broker);
        $requests = (int) (getenv('AMQP1_FPM_REQUESTS') ?: 200);
        $fpm = new Fpm(self::WORKERS);
        $master = $fpm->master();

        $answers = $this->push($fpm, $at, $queue, $container, $requests);
        self::assertSame([], preg_grep('/^pushed by \d+$/', $answers, PREG_GREP_INVERT));
        self::assertCount(self::WORKERS, array_unique($answers), 'every worker had its share');
        $log->catchUp();
        self::assertCount(self::WORKERS, $log->opened($container), "connections for $requests requests");
        self::assertSame($requests, $queue->count());
        self::assertCount(1, glob("/proc/$master/task/*"), "the master's threads");
        self::assertSame([], self::tcpSockets($master), "the master's sockets");

        // Reloaded during traffic.
        $more = intdiv($requests, 2);
        $answers = $this->push($fpm, $at, $queue, $container, $more, static function (int $n) use ($more, $master): void {
            if ($n === intdiv($more, 3)) {
                posix_kill($master, SIGUSR2);
            }
        });
        self::assertSame([], preg_grep('/^pushed by \d+$/', $answers, PREG_GREP_INVERT), $fpm->log());
        self::assertSame(2, substr_count($fpm->log(), 'ready to handle connections'), $fpm->log());
        self::assertSame($requests + $more, $queue->count());
        self::assertCount(1, glob('/proc/' . $fpm->master() . '/task/*'), "the master's threads after the reload");
        self::assertSame([], self::tcpSockets($fpm->master()));

        self::assertSame(0, $fpm->quit(), $fpm->log());
        $log->catchUp();
        $opened = count($log->opened($container));
        self::assertLessThanOrEqual(2 * self::WORKERS, $opened, 'four before the reload and four after it');
        self::assertGreaterThan(self::WORKERS, $opened);
        self::assertSame([], $log->complaints($container), 'every connection was closed in good order');
        fwrite(STDERR, getenv('AMQP1_FPM_REQUESTS')
            ? "\n[$broker] $requests requests: " . self::WORKERS . " connections; $more more over a reload: $opened in all\n" : '');
    }

    /** @dataProvider observable */
    #[DataProvider('observable')]
    public function testWorkersThatEndAfterSomeRequestsCloseTheirConnections(string $broker): void
    {
        [$at, $queue, $container, $log] = $this->watched($broker);
        $fpm = new Fpm(self::WORKERS, ['pm.max_requests' => 10]);

        $answers = $this->push($fpm, $at, $queue, $container, 120);

        self::assertSame([], preg_grep('/^pushed by \d+$/', $answers, PREG_GREP_INVERT), $fpm->log());
        self::assertSame(120, $queue->count());
        self::assertSame(0, $fpm->quit());
        $log->catchUp();
        $workers = count(array_unique($answers));
        self::assertGreaterThanOrEqual(12, $workers);
        self::assertCount($workers, $log->opened($container), 'a connection for each worker');
        self::assertSame([], $log->complaints($container));
        self::assertStringNotContainsString('exited on signal', $fpm->log());
    }

    /** @return array<string, array{string, string}> */
    public static function ends(): array
    {
        $sets = [];
        foreach (self::networked() as $name => [$broker]) {
            $sets["$name, end of the script"] = [$broker, ''];
            $sets["$name, exit"] = [$broker, 'exit(3);'];
            $sets["$name, uncaught exception"] = [$broker, 'throw new Exception("broken");'];
            $sets["$name, fatal error"] = [$broker, 'trigger_error("broken", E_USER_ERROR);'];
            $sets["$name, memory_limit"] = [$broker, 'str_repeat("x", 200_000_000);'];
        }

        return $sets;
    }

    /** @dataProvider ends */
    #[DataProvider('ends')]
    public function testJobsThatARequestLeftOpenGoBackThoughTheWorkerLives(string $broker, string $end): void
    {
        $fpm = self::$one ??= new Fpm(1, ['php_admin_value[memory_limit]' => '64M', 'php_admin_flag[log_errors]' => 'off']);
        $at = $this->broker($broker);
        $queue = $this->queue($broker);
        $queue->pushMany(array_map(static fn (int $i) => ['name' => "job-$i"], range(0, 9)));
        $script = $fpm->script(<<<'PHP'
            $queue = new Amqp1\AmqpQueue($_GET['dsn'], $_GET['queue'], ['timeout' => 20]);
            $consumer = new Amqp1\Consumer($queue, ['prefetch' => 10]);
            $consumer->waitTask(10)->ack();
            $task = $consumer->waitTask(10);
            $GLOBALS['held'] = new ArrayObject([$task, $consumer]);
            $GLOBALS['held'][] = $GLOBALS['held'];
            echo 'took ', $task->getName();
            while (ob_get_level() > 0) { ob_end_flush(); }
            flush(); // a fatal error discards unsent output

            PHP . $end);
        $said = $fpm->client->request($script, ['dsn' => $at->dsn, 'queue' => $queue->getName()]);
        self::assertStringContainsString('took job-1', $said);

        $consumer = $this->consumer($queue);
        $names = [];
        while (count($names) < 9) {
            $task = $this->next($consumer);
            $names[] = $task->getName();
            $task->ack();
        }
        sort($names);
        self::assertSame(array_map(static fn (int $i) => "job-$i", range(1, 9)), $names);
        $this->assertNoTask($consumer, 0.1);
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testAUserAbortGivesTheJobBackAndLeavesTheWorkerUsable(string $broker): void
    {
        $fpm = new Fpm(1);
        $at = $this->broker($broker);
        $queue = $this->queue($broker);
        $queue->push('job');
        $arguments = ['dsn' => $at->dsn, 'queue' => $queue->getName()];
        $fpm->client->abandon($fpm->script(<<<'PHP'
            $consumer = new Amqp1\Consumer(new Amqp1\AmqpQueue($_GET['dsn'], $_GET['queue'], ['timeout' => 20]));
            $task = $consumer->waitTask(10);
            while (true) { echo str_repeat('x', 100_000); flush(); }
            PHP), $arguments);
        self::assertSame('job', $this->take($queue)->getName());

        $said = $fpm->client->request($fpm->script(self::PUSH), $arguments + ['container' => 'amqp1-php', 'n' => 1]);
        self::assertSame('pushed by ' . $fpm->workers()[0], $said);
        self::assertStringNotContainsString('exited on signal', $fpm->log());
    }

    /** @return array<string, array{string}> the brokers whose log can be read */
    public static function observable(): array
    {
        return array_filter(self::rabbitMq(), static fn (array $set) => $set[0] !== 'rabbitmq')
            ?: ['none of scripts/brokers' => ['']];
    }

    /** @return array{Broker, AmqpQueue, string, RabbitLog} */
    private function watched(string $broker): array
    {
        $at = $this->broker($broker);
        $queue = $this->queue($broker);
        $queue->setup();

        return [$at, $queue, 'fpm-' . bin2hex(random_bytes(6)), new RabbitLog($at)];
    }

    /** @return list<string> */
    private function push(Fpm $fpm, Broker $at, AmqpQueue $queue, string $container, int $requests, ?callable $each = null): array
    {
        $queries = (static function () use ($at, $queue, $container, $requests, $each): \Generator {
            for ($n = 0; $n < $requests; ++$n) {
                yield ['dsn' => $at->dsn, 'queue' => $queue->getName(), 'container' => $container, 'n' => $n];
                $each === null || $each($n);
            }
        })();

        return iterator_to_array($fpm->client->requests($fpm->script(self::PUSH), $queries), false);
    }

    /** @return list<string> inodes of the process's TCP sockets */
    private static function tcpSockets(int $pid): array
    {
        $tcp = [];
        foreach (['tcp', 'tcp6'] as $table) {
            foreach (array_slice(@file("/proc/net/$table") ?: [], 1) as $line) {
                $tcp[] = preg_split('/\s+/', trim($line))[9];
            }
        }
        $own = [];
        foreach (glob("/proc/$pid/fd/*") as $fd) {
            if (preg_match('/^socket:\[(\d+)\]$/', (string) @readlink($fd), $match)) {
                $own[] = $match[1];
            }
        }

        return array_values(array_intersect($own, $tcp));
    }
}
