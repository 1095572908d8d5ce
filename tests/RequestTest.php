<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\ConnectionException;
use Amqp1\Exception\TimeoutException;
use Amqp1\Exception\UnsupportedException;
use Amqp1\PendingReply;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\RecordingObserver;
use Fiber;
use PHPUnit\Framework\Attributes\DataProvider;
use RuntimeException;

use function Amqp1\metrics;

/** Requests and replies: each reply comes to its request and to no other, in time or not at all. */
final class RequestTest extends ContractTestCase
{
    /** Handles requests as their names say, until one says "stop". */
    private const WORKER = <<<'PHP'
        $queue = new Amqp1\AmqpQueue($argv[1], $argv[2]);
        $worker = null;
        $worker = new Amqp1\Worker($queue, [
            'double' => fn ($task) => print $task->reply($task->getPayload() * 2) ? '' : 'gone',
            'slow' => function ($task) { usleep(600_000); print $task->reply('slow') ? '' : 'gone'; },
            'stop' => function () use (&$worker) { $worker->stop(); },
        ], logger: new class {
            public function log($level, $message, array $context = []) { if ($level !== 'info' && $level !== 'debug') echo "$message\n"; }
        });
        $worker->run();
        PHP;

    /** @return array<string, array{string, string}> */
    public static function formats(): array
    {
        $sets = [];
        foreach (self::brokers() as $broker) {
            foreach (['roadrunner', 'amqp1', 'babelqueue', 'raw'] as $format) {
                $sets["$broker[0] $format"] = [$broker[0], $format];
            }
        }

        return $sets;
    }

    /** @dataProvider formats */
    #[DataProvider('formats')]
    public function testARequestGetsItsReply(string $broker, string $format): void
    {
        $queue = $this->requests($broker, ['format' => $format]);
        if ($this->lacks($broker, 'requests', fn () => $queue->request('Sum', [1, 2]))) {
            return;
        }
        $pending = $queue->requestAsync('Sum', ['a' => 1, 'b' => 2], ['headers' => ['tenant' => 'a']]);
        self::assertFalse($pending->isReady());
        $task = $this->next($this->consumer($queue));
        self::assertSame([$pending->getId(), 'Sum', ['a' => 1, 'b' => 2]], [$task->getId(), $task->getName(), $task->getPayload()]);
        self::assertSame($pending->getId(), $task->getCorrelationId());
        self::assertSame('a', $task->getHeaderLine('tenant'));
        self::assertNotNull($task->getReplyTo());
        self::assertTrue($task->reply(['sum' => 3], ['headers' => ['took' => '5 ms', 'n' => [1, 2]]]));
        self::assertFalse($task->isCompleted(), 'a reply settles nothing');
        $task->ack();

        $reply = $pending->get();
        self::assertTrue($pending->isReady());
        self::assertSame(['sum' => 3], $reply->getPayload());
        self::assertSame('{"sum":3}', $reply->getBody());
        self::assertSame('5 ms', $reply->getHeaderLine('Took'));
        self::assertSame(['5 ms'], $reply->getHeader('took'));
        self::assertTrue($reply->hasHeader('took'));
        self::assertSame($format, $reply->getFormat());
        self::assertSame($pending->getId(), $reply->getProperties()['correlation_id']);
        self::assertNotSame($pending->getId(), $reply->getId());
        self::assertSame('{"sum":3}', $pending->get()->getBody(), 'again');
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testManyRequestsWaitAtOnce(string $broker): void
    {
        $queue = $this->requests($broker);
        if ($this->lacks($broker, 'requests', fn () => $queue->requestAsync('n'))) {
            return;
        }
        $pending = array_map(static fn (int $n) => $queue->requestAsync('n', $n), range(0, 99));
        $consumer = $this->consumer($queue, ['prefetch' => 100]);
        $tasks = array_map(fn () => $this->next($consumer), $pending);
        shuffle($tasks);
        foreach ($tasks as $task) {
            $task->reply($task->getPayload() * 2);
            $task->ack();
        }
        foreach (array_reverse($pending, true) as $n => $one) {
            self::assertSame($n * 2, $one->get()->getPayload());
        }
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testALateReplyIsDroppedAndCountedAndTheQueueStaysUsable(string $broker): void
    {
        $queue = $this->requests($broker);
        if ($this->lacks($broker, 'requests', fn () => $queue->request('n'))) {
            return;
        }
        $before = metrics()['requests'];
        $start = microtime(true);
        $error = $this->thrown(TimeoutException::class, static fn () => $queue->request('late', 1, ['timeout' => 0.3, 'ttl' => 60]));
        self::assertLessThan(5, microtime(true) - $start);
        foreach (["queue '{$queue->getName()}'", 'no reply within 0.3 s', 'Task::reply()'] as $part) {
            self::assertStringContainsString($part, $error->getMessage());
        }
        $queue->requestAsync('dropped', 2);
        $waits = $queue->requestAsync('waits', 3);
        $consumer = $this->consumer($queue);
        for ($i = 0; $i < 3; ++$i) {
            $task = $this->next($consumer);
            self::assertTrue($task->reply($task->getName()));
            // As after a crash between reply and ack.
            self::assertTrue($task->reply('again'));
            $task->ack();
        }
        self::assertSame('waits', $waits->get()->getPayload());
        $this->eventually(static fn () => $waits->isReady() && metrics()['requests']['late'] - $before['late'] === 5, 'late replies are counted');
        $after = metrics()['requests'];
        self::assertSame([3, 1, 1], [$after['sent'] - $before['sent'], $after['answered'] - $before['answered'], $after['timed_out'] - $before['timed_out']]);
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testAWorkerRepliesAndGoesOnWhenItsRequesterIsKilled(string $broker): void
    {
        $queue = $this->requests($broker);
        if ($this->lacks($broker, 'requests', fn () => $queue->request('n'))) {
            return;
        }
        $at = $this->broker($broker);
        $options = $at->isServiceBus() ? ['reply_to' => 'replies-' . bin2hex(random_bytes(4))] : [];
        $this->declared($queue);
        $worker = Child::php("require '" . dirname(__DIR__) . "/php/autoload.php';\n" . self::WORKER, [$at->dsn, $queue->getName()]);
        // Killed while its request is handled.
        $requester = Child::php(
            '(new Amqp1\AmqpQueue($argv[1], $argv[2]))->requestAsync("slow", 1, json_decode($argv[3], true)); posix_kill(getmypid(), SIGKILL);',
            [$at->dsn, $queue->getName(), json_encode($options)]
        );
        $requester->wait(20);
        self::assertSame(14, $queue->request('double', 7)->getPayload());
        $replies = array_map(static fn (int $n) => $queue->requestAsync('double', $n), range(1, 20));
        self::assertSame(range(2, 40, 2), array_map(static fn (PendingReply $one) => $one->get()->getPayload(), $replies));
        $queue->push('stop');
        self::assertSame(0, $worker->wait(20), $worker->output());
        self::assertContains($worker->output(), ['', 'gone'], 'no warning, no error');
        self::assertSame(0, $this->jobsIn($queue));
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testASignalEndsTheWaitAndTheReplyCanStillBeHad(string $broker): void
    {
        $queue = $this->requests($broker);
        if ($this->lacks($broker, 'requests', fn () => $queue->request('n'))) {
            return;
        }
        $pending = $queue->requestAsync('n', 1);
        pcntl_async_signals(true);
        pcntl_signal(SIGALRM, static fn () => throw new RuntimeException('enough'));
        try {
            pcntl_alarm(1);
            $start = microtime(true);
            self::assertSame('enough', $this->thrown(RuntimeException::class, static fn () => $pending->get())->getMessage());
            self::assertLessThan(3, microtime(true) - $start);
        } finally {
            pcntl_alarm(0);
            pcntl_signal(SIGALRM, SIG_DFL);
            pcntl_async_signals(false);
        }
        $task = $this->next($this->consumer($queue));
        $task->reply('one');
        $task->ack();
        self::assertSame('one', $pending->get()->getPayload());
    }

    public function testFibersWaitTogether(): void
    {
        $queue = $this->requests('embedded');
        $results = [];
        $fiber = static function (int $n) use ($queue, &$results): void {
            $pending = $queue->requestAsync('n', $n);
            while (!$pending->isReady()) {
                Fiber::suspend();
            }
            $results[] = $pending->get()->getPayload();
        };
        $fibers = array_map(static fn () => new Fiber($fiber), range(0, 4));
        foreach ($fibers as $n => $one) {
            $one->start($n);
        }
        $consumer = $this->consumer($queue);
        $tasks = array_map(fn () => $this->next($consumer), $fibers);
        foreach (array_reverse($tasks) as $task) {
            $task->reply($task->getPayload());
            $task->ack();
            $this->eventually(static function () use ($fibers, &$results, $task): bool {
                array_map(static fn (Fiber $one) => $one->isTerminated() || $one->resume(), $fibers);

                return in_array($task->getPayload(), $results, true);
            }, 'its fiber has the reply');
        }
        self::assertSame([4, 3, 2, 1, 0], $results);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAJobThatAsksForNoReplyCannotBeRepliedTo(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->push('job');
        $task = $this->next($this->consumer($queue));
        $error = $this->thrown(UnsupportedException::class, static fn () => $task->reply('x'));
        self::assertStringContainsString("queue '{$queue->getName()}'", $error->getMessage());
        self::assertStringContainsString('getReplyTo()', $error->getMessage());
        $task->ack();
        self::assertSame('acked', $task->getOutcome());
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAnyProducerIsRepliedTo(string $broker): void
    {
        // To a queue that the producer reads itself, with the ids that it chose.
        $at = $this->broker($broker);
        $answers = $this->queue($broker, [], $this->uniqueName($at, 'answers'));
        $this->declared($answers);
        $queue = $this->queue($broker);
        $queue->push('one', 1, ['reply_to' => $answers->getName(), 'correlation_id' => 'c-1']);
        $queue->push('two', 2, ['reply_to' => $answers->getName(), 'id' => 'id-2']);
        foreach (['c-1', 'id-2'] as $id) {
            $task = $this->next($consumer ??= $this->consumer($queue));
            self::assertTrue($task->reply(['for' => $task->getName()]));
            $task->ack();
            $answer = $this->take($answers);
            self::assertSame([$id, ['for' => $task->getName()]], [$answer->getCorrelationId(), $answer->getPayload()]);
        }
    }

    public function testOptionsThatMakeNoSenseAreRefused(): void
    {
        $queue = $this->queue('embedded');
        foreach (['correlation_id' => 'c', 'trace_id' => 't', 'id' => ''] as $option => $value) {
            $error = $this->thrown(ConfigException::class, static fn () => $queue->request('n', 1, [$option => $value]));
            self::assertStringContainsString($option, $error->getMessage());
        }
        $error = $this->thrown(UnsupportedException::class, static fn () => $queue->request('n', 1, ['reply_to' => 'q']));
        self::assertStringContainsString("option 'reply_to'", $error->getMessage());
        self::assertStringContainsString('requestAsync()', $this->thrown(ConfigException::class, static fn () => $queue->requestAsync('n', 1, ['priority' => 256]))->getMessage());

        $waits = $queue->requestAsync('n', 1, ['id' => 'one']);
        self::assertStringContainsString("id 'one'", $this->thrown(ConfigException::class, static fn () => $queue->request('n', 1, ['id' => 'one']))->getMessage());
        $task = $this->next($this->consumer($queue));
        foreach (['delay' => 1, 'routing_key' => 'k', 'partition_key' => 'k', 'correlation_id' => 'c', 'priority' => 256, 'unknown' => 1] as $option => $value) {
            $error = $this->thrown(ConfigException::class, static fn () => $task->reply('x', [$option => $value]));
            self::assertStringContainsString($option, $error->getMessage());
        }
        $task->reply('x', ['priority' => 5]);
        $task->ack();
        self::assertSame('x', $waits->get()->getPayload());
        unset($waits);
        $this->thrown(TimeoutException::class, static fn () => $queue->request('n', 1, ['id' => 'one', 'timeout' => 0.1]));
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testARequestThatTimedOutGetsNoReplyToALaterOneWithItsId(string $broker): void
    {
        $queue = $this->requests($broker);
        if ($this->lacks($broker, 'requests', fn () => $queue->request('n'))) {
            return;
        }
        $first = $queue->requestAsync('n', 1, ['id' => 'same', 'timeout' => 0.3]);
        usleep(300_000);
        $this->thrown(TimeoutException::class, static fn () => $first->get());
        $second = $queue->requestAsync('n', 2, ['id' => 'same', 'timeout' => 10]);
        $consumer = $this->consumer($queue);
        do {
            // The first request may come as well, where it has not expired yet.
            $task = $this->next($consumer);
            $isSecond = $task->getPayload() === 2;
            !$isSecond || $task->reply('second');
            $task->ack();
        } while (!$isSecond);
        $this->thrown(TimeoutException::class, static fn () => $first->get());
        self::assertTrue($first->isReady(), 'it waits no longer');
        self::assertSame('second', $second->get()->getPayload());
        $this->thrown(TimeoutException::class, static fn () => $first->get());
        self::assertSame('second', $second->get()->getPayload());
    }

    public function testTooManyRequestsAreRefused(): void
    {
        $queue = $this->queue('embedded');
        $pending = [];
        $error = $this->thrown(ConfigException::class, static function () use ($queue, &$pending): void {
            for ($n = 0; $n <= 500; ++$n) {
                $pending[] = $queue->requestAsync('n', $n);
            }
        });
        self::assertCount(500, $pending);
        self::assertStringContainsString('500 requests', $error->getMessage());
        $queue->purge();
        $pending = [];
        $next = $queue->requestAsync('n', 1);
        $task = $this->next($this->consumer($queue));
        $task->reply('y');
        self::assertSame('y', $next->get()->getPayload());
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testAChildHasRequestsOfItsOwn(string $broker): void
    {
        $queue = $this->requests($broker);
        if ($this->lacks($broker, 'requests', fn () => $queue->request('n'))) {
            return;
        }
        $pending = $queue->requestAsync('n', 'parent');
        $child = pcntl_fork();
        if ($child === 0) {
            $code = 1;
            try {
                $pending->get();
            } catch (ConnectionException $e) {
                $own = $queue->requestAsync('n', 'child');
                $code = str_contains($e->getMessage(), 'parent process') && $own->get()->getPayload() === 'child' ? 0 : 2;
            } finally {
                unset($pending, $own);
                posix_kill(getmypid(), $code === 0 ? SIGTERM : SIGKILL);
            }
        }
        $consumer = $this->consumer($queue);
        for ($i = 0; $i < 2; ++$i) {
            $task = $this->next($consumer);
            $task->reply($task->getPayload());
            $task->ack();
        }
        self::assertSame('parent', $pending->get()->getPayload());
        pcntl_waitpid($child, $status);
        self::assertSame(SIGTERM, pcntl_wtermsig($status));
    }

    public function testObserversSeeRequestsAndReplies(): void
    {
        $observer = new RecordingObserver();
        $queue = $this->queue('embedded', ['observer' => $observer]);
        $pending = $queue->requestAsync('n', 1);
        $task = $this->next($this->consumer($queue));
        $task->reply('yes');
        $pending->get();
        self::assertSame([
            'beforePush request n', 'afterPush request n confirmed', 'received n', 'beforePush reply n', 'afterPush reply n confirmed',
        ], $observer->jobs());
        self::assertSame(['push', 1], [$queue->getName() === $observer->given[0]->getQueue() ? 'push' : '', $observer->given[0]->getSize()]);
    }

    /** A queue whose requests need no more options. */
    private function requests(string $broker, array $options = []): AmqpQueue
    {
        if ($this->broker($broker)->isServiceBus()) {
            $options['reply_to'] = 'replies-' . bin2hex(random_bytes(4));
        }

        return $this->queue($broker, $options);
    }
}
