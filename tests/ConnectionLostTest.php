<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Exception\BatchException;
use Amqp1\Exception\ConnectionException;
use Amqp1\Exception\TaskLostException;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Proxy;
use Amqp1\Tests\Support\Sockets;
use PHPUnit\Framework\Attributes\DataProvider;

/** The network between PHP and the broker breaks, at the worst moments. */
final class ConnectionLostTest extends ContractTestCase
{
    /** @return array<string, array{string, string}> both ways to end a connection */
    public static function breaks(): array
    {
        $sets = [];
        foreach ([[array_key_first(self::networked()), 'cut'], [array_key_last(self::networked()), 'reset']] as [$name, $how]) {
            $sets["$name $how"] = [self::networked()[$name][0], $how];
        }

        return $sets;
    }

    /** @return array<string, array{string}> */
    public static function one(): array
    {
        return array_slice(self::fullyFeatured(), 0, 1);
    }

    /** @dataProvider breaks */
    #[DataProvider('breaks')]
    public function testWhileIdleOrBetweenTwoCalls(string $broker, string $how): void
    {
        [$proxy, $queue] = $this->proxied($broker);
        $consumer = $this->consumer($queue);
        foreach ([1, 2, 3] as $round) {
            $queue->push("job-$round");
            $this->acknowledge($consumer, "job-$round");
            usleep(20000);
            $proxy->$how();
            if ($round === 2) {
                usleep(200000); // the client may or may not have noticed
            }
        }
        $queue->push('last');
        $this->acknowledge($consumer, 'last');

        self::assertGreaterThanOrEqual(8, $proxy->counts()['accepted']);
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testDuringAPushItIsSentAgainUnderItsId(string $broker): void
    {
        [$proxy, $queue] = $this->proxied($broker);
        $queue->push('first', null, ['id' => 'first']);
        // The job arrives, its confirmation does not; then the connection ends.
        $proxy->drop('disposition');
        $cut = $this->later($proxy, 'cut', 0.3);
        $id = $queue->push('unsure', null, ['id' => 'unsure']);
        $cut();

        self::assertSame('unsure', $id);
        self::assertSame(['first' => 1, 'unsure' => 2], $this->countById($this->direct($broker, $queue)));
    }

    /** @dataProvider breaks */
    #[DataProvider('breaks')]
    public function testDuringPushManyNothingConfirmedIsMissing(string $broker, string $how): void
    {
        [$proxy, $queue] = $this->proxied($broker);
        $jobs = (static function () use ($proxy, $how) {
            for ($i = 0; $i < 6000; ++$i) {
                if ($i % 1500 === 1000) {
                    $proxy->$how();
                }
                yield ['name' => 'job', 'payload' => (string) $i, 'options' => ['id' => "job-$i"]];
            }
        })();
        $failed = [];
        try {
            $confirmed = $queue->pushMany($jobs);
        } catch (BatchException $e) {
            [$confirmed, $failed] = [$e->getConfirmedIds(), $e->getFailures()];
        }
        $there = $this->countById($this->direct($broker, $queue));

        self::assertSame(6000, count($confirmed) + count($failed), 'each has its outcome');
        self::assertSame([], array_diff_key(array_flip($confirmed), $there), 'what was confirmed is in the queue');
        self::assertSame([], $failed, 'there was time to send all of it again');
        // Artemis opens connections slowly, so it may be cut twice.
        self::assertGreaterThanOrEqual($this->broker($broker)->isArtemis() ? 3 : 5, $proxy->counts()['accepted']);
    }

    /** @dataProvider one */
    #[DataProvider('one')]
    public function testABatchThatIsLostSeveralTimesIsSentAgainAtOnce(string $broker): void
    {
        [$proxy, $queue] = $this->proxied($broker, ['timeout' => 15]);
        $queue->setup();
        $proxy->drop('disposition'); // nothing is confirmed until the third loss
        $cuts = $this->meanwhile(static function () use ($proxy): void {
            foreach ([1, 2, 3] as $time) {
                usleep(600000);
                $time < 3 || $proxy->heal();
                $proxy->cut();
            }
        });
        $ids = $queue->pushMany(array_fill(0, 1500, ['name' => 'job'])); // BatchException if each job waits separately
        $cuts();

        self::assertCount(1500, $ids);
    }

    /** @dataProvider breaks */
    #[DataProvider('breaks')]
    public function testWhileConsumingTheBufferedComeAgainAndTheHeldAreLost(string $broker, string $how): void
    {
        [$proxy, $queue] = $this->proxied($broker);
        $queue->pushMany(array_map(static fn ($i) => ['name' => "job-$i"], range(0, 9)));
        $consumer = $this->consumer($queue, ['prefetch' => 10]);
        $held = [$this->next($consumer), $this->next($consumer), $this->next($consumer)];
        usleep(100000); // the other seven are in the buffer
        $proxy->$how();
        usleep(100000);

        if (!$this->broker($broker)->supports('locks-of-a-connection')) {
            // The lock belongs to the service and outlives the connection: all jobs are settled as usual.
            $held[0]->ack();
            $held[1]->nack('again', true);
            $held[2]->release();
            $done = [];
            for ($i = 0; $i < 9; ++$i) {
                $task = $this->next($consumer);
                $done[$task->getName()] = true;
                $task->ack();
            }
            self::assertCount(9, $done);
            $this->assertNoTask($consumer);

            return;
        }
        $thrown = $this->thrown(TaskLostException::class, static fn () => $held[0]->ack());
        self::assertStringContainsString($held[0]->getId(), $thrown->getMessage());
        self::assertTrue($held[0]->isCompleted());
        self::assertNull($held[0]->getOutcome(), 'lost, not acked');
        $held[1]->nack('does nothing', true);
        $held[2]->release();
        $done = [];
        for ($i = 0; $i < 10; ++$i) {
            $task = $this->next($consumer);
            $done[$task->getName()] = $task->getAttempts();
            $task->ack();
        }
        $this->assertNoTask($consumer);
        ksort($done);
        self::assertSame(array_map(static fn ($i) => "job-$i", range(0, 9)), array_keys($done), 'each once more');
        foreach ($held as $task) {
            self::assertContains($done[$task->getName()], $this->attemptsAfterALoss($broker), 'a job that was in hand has been tried once');
        }
        foreach ($held as $task) {
            $task->ack(); // settled once, and nothing may reach the new connection's deliveries
        }
        $consumer->close();
        $this->eventually(fn () => $this->jobsIn($this->direct($broker, $queue)) === 0, 'an empty queue');
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testALostJobSettledLateDoesNotSettleAnotherOne(string $broker): void
    {
        [$proxy, $queue] = $this->proxied($broker);
        $consumer = $this->consumer($queue, ['prefetch' => 1]);
        $queue->push('a');
        $old = $this->next($consumer);
        $proxy->cut();
        if (!$this->broker($broker)->supports('locks-of-a-connection')) {
            $this->assertNoTask($consumer, 6); // its lock is renewed as before
            $old->ack();
            $this->assertJobs(0, $queue);

            return;
        }
        $new = $this->next($consumer); // the same delivery-id as $old, on another connection
        try {
            $old->ack();
            self::fail('the old one is lost');
        } catch (TaskLostException) {
        }
        $old->release();
        $new->nack('again', true);

        self::assertContains($this->next($consumer)->getAttempts() - 1, $this->attemptsAfterALoss($broker));
    }

    /** @dataProvider one */
    #[DataProvider('one')]
    public function testAConsumerWaitsThroughSeveralBreaksByItself(string $broker): void
    {
        [$proxy, $queue] = $this->proxied($broker);
        $consumer = $this->consumer($queue);
        self::assertNull($consumer->waitTask(0.1));
        $cuts = $this->later($proxy, 'cut', 0.2, 3);
        $pushed = $this->direct($broker, $queue);
        $at = microtime(true);
        self::assertNull($consumer->waitTask(1.5), 'a wait in which the connection is lost three times');
        self::assertGreaterThan(1.0, microtime(true) - $at);
        $cuts();
        $pushed->push('after');

        self::assertSame('after', $this->next($consumer)->getName());
    }

    /**
     * A broker that is starting accepts connections and drops them, even open ones whose links are not attached yet.
     *
     * @dataProvider networked
     */
    #[DataProvider('networked')]
    public function testANewConnectionLostBeforeItsLinksAreThereIsDialledAgain(string $broker): void
    {
        [$proxy, $queue] = $this->proxied($broker);
        $queue->push('first');
        $consumer = $this->consumer($queue);
        $this->acknowledge($consumer, 'first');
        $calls = [
            'push' => static fn () => $queue->push('second', null, ['id' => 'x']),
            'pushMany' => static fn () => $queue->pushMany([['name' => 'third'], ['name' => 'fourth']])[1],
            'waitTask' => fn () => $this->acknowledge($consumer, 'fourth'),
            'count' => fn () => $this->lacks($broker, 'management', static fn () => $queue->count()) ?: $queue->count(),
            'ping' => static fn () => $queue->ping(),
        ];
        foreach ($calls as $call => $do) {
            $proxy->silentBefore('begin');
            $proxy->cut();
            $cut = $this->later($proxy, 'cut', 0.3);
            $do(); // ConnectionException if the client gives up at the second loss
            $cut();
            self::assertGreaterThanOrEqual(2, $proxy->counts()['accepted'], $call);
        }
    }

    /** @dataProvider newestRabbitMq */
    #[DataProvider('newestRabbitMq')]
    public function testHalfOpenIsNoticedByMissedHeartbeats(string $broker): void
    {
        [$proxy, $queue] = $this->proxied($broker, ['heartbeat' => 1, 'timeout' => 15]);
        $consumer = $this->consumer($queue);
        $queue->push('before');
        $this->next($consumer)->ack();
        usleep(2500000);
        self::assertLessThanOrEqual(2, $proxy->counts()['accepted'], 'a healthy connection lives through its heartbeats');

        // Both connections are dead now without having been closed. New ones work.
        $proxy->swallow('up', 'down');
        $heal = $this->later($proxy, 'heal', 0.5);
        $id = $queue->push('through the dead connection', null, ['id' => 'x']);
        $task = $this->next($consumer, 15);
        $heal();

        self::assertSame(['x', 'x'], [$id, $task->getId()]);
        $task->ack();
    }

    /** @dataProvider one */
    #[DataProvider('one')]
    public function testASlowNetworkIsNoLostOne(string $broker): void
    {
        [$proxy, $queue] = $this->proxied($broker, ['heartbeat' => 1]);
        $proxy->trickle(40, 0.002);
        $text = str_repeat('x', 3000);
        $queue->push('slow', $text);
        self::assertSame($text, $this->take($queue, 20)->getBody());
        $proxy->delay(0.1);
        $queue->push('late');

        self::assertSame('late', $this->take($queue)->getName());
    }

    /** @dataProvider one */
    #[DataProvider('one')]
    public function testDeadHostsOfTheListArePassedOver(string $broker): void
    {
        $at = $this->broker($broker);
        [$server, $silent] = Sockets::silent();
        $hosts = Sockets::refused() . ",$silent," . $at->endpoint() . ',' . Sockets::refused();
        $queue = new AmqpQueue(str_replace($at->endpoint(), $hosts, $at->dsn), $this->uniqueName($at), ['timeout' => 3]);

        self::assertSame('x', $queue->push('job', null, ['id' => 'x']));
        self::assertSame('x', $this->take($queue)->getId());
        fclose($server);
    }

    public function testOnlyDeadHostsAreNamedEachWithItsReason(): void
    {
        [$one, $two] = [Sockets::refused(), Sockets::refused()];
        $queue = new AmqpQueue("amqp://$one,$two", 'q', ['timeout' => 3]);
        $thrown = $this->thrown(ConnectionException::class, static fn () => $queue->push('job'));

        self::assertStringContainsString($one, $thrown->getMessage());
        self::assertStringContainsString("at $two", $thrown->getMessage());
    }

    /** @dataProvider one */
    #[DataProvider('one')]
    public function testASpentRedialTimeoutSaysWhyAndTheNextCallStartsAfresh(string $broker): void
    {
        [$proxy, $queue] = $this->proxied($broker, ['redial_timeout' => 1, 'timeout' => 20]);
        $consumer = $this->consumer($queue);
        $queue->push('before');
        $this->acknowledge($consumer, 'before');
        foreach ([static fn () => $queue->push('lost'), static fn () => $consumer->waitTask(20)] as $call) {
            $proxy->refuse();
            $proxy->cut();
            $at = microtime(true);
            $thrown = $this->thrown(ConnectionException::class, $call);
            $took = microtime(true) - $at;
            self::assertMatchesRegularExpression('/lost the connection .* could not reconnect in (\d+) attempts: .+/', $thrown->getMessage());
            self::assertGreaterThan(0.9, $took, 'it was tried for a second');
            self::assertLessThan(10, $took, 'and not for the call\'s timeout');
            $proxy->heal();
            $queue->push('after');
            $this->acknowledge($consumer, 'after');
        }
    }

    /** @dataProvider one */
    #[DataProvider('one')]
    public function testABrokerThatAcceptsAndSaysNothingUsesUpNoMoreThanTheRedialTimeout(string $broker): void
    {
        [$proxy, $queue] = $this->proxied($broker, ['redial_timeout' => 1, 'timeout' => 20]);
        $queue->push('before');
        $proxy->silentBefore('connect');
        $proxy->cut();
        $at = microtime(true);
        $thrown = $this->thrown(ConnectionException::class, static fn () => $queue->push('lost'));

        self::assertLessThan(10, microtime(true) - $at);
        self::assertStringContainsString('could not reconnect in', $thrown->getMessage());
    }

    /**
     * A call whose deadline is shorter than redial_timeout leaves the rest of it to the next call.
     *
     * @dataProvider one
     */
    #[DataProvider('one')]
    public function testShortCallsShareOneRedialTimeout(string $broker): void
    {
        [$proxy, $queue] = $this->proxied($broker, ['redial_timeout' => 20]);
        $queue->push('before');
        $proxy->refuse();
        $proxy->cut();
        $this->thrown(ConnectionException::class, static fn () => $queue->push('one', null, ['timeout' => 0.5]));
        $heal = $this->later($proxy, 'heal', 0.4);
        $queue->push('two'); // fails at once if the loss was forgotten
        $heal();

        self::assertContains($queue->count(), [2, 3]);
    }

    /** @return array{Proxy, AmqpQueue} */
    private function proxied(string $broker, array $options = []): array
    {
        $at = $this->broker($broker);
        $proxy = new Proxy($at);

        return [$proxy, new AmqpQueue($proxy->dsn, $this->uniqueName($at), $options + ['timeout' => 20])];
    }

    /** Takes and acknowledges jobs up to this one. An acknowledgement in flight when the connection broke is lost. */
    private function acknowledge(Consumer $consumer, string $name): void
    {
        do {
            $task = $this->next($consumer);
            try {
                $task->ack();
            } catch (TaskLostException) {
            }
        } while ($task->getName() !== $name);
    }

    /**
     * RabbitMQ 3 does not say that a job was delivered before: there, only nack() counts.
     *
     * @return list<int> one of them; Artemis counts what some lost connections had in hand, and not what others had
     */
    private function attemptsAfterALoss(string $broker): array
    {
        return match (true) {
            $this->broker($broker)->isArtemis() => [1, 2],
            $this->broker($broker)->supports('delivery-count') => [2],
            default => [1],
        };
    }

    /** The same queue without the proxy. */
    private function direct(string $broker, AmqpQueue $queue): AmqpQueue
    {
        return new AmqpQueue($this->broker($broker)->dsn, $queue->getName(), ['timeout' => 20]);
    }

    /** @return array<string, int> how often each id is in the queue; empties the queue */
    private function countById(AmqpQueue $queue): array
    {
        $consumer = $this->consumer($queue, ['prefetch' => 500]);
        $ids = [];
        while ($task = $consumer->waitTask(0.5)) {
            $ids[$task->getId()] = ($ids[$task->getId()] ?? 0) + 1;
            $task->ack();
        }
        $consumer->close();
        ksort($ids);

        return $ids;
    }

    /**
     * Heals the network and does that to it, after each pause, while this process is busy. Returns what waits for its end.
     *
     * @return callable(): void
     */
    private function later(Proxy $proxy, string $what, float $pause, int $times = 1): callable
    {
        return $this->meanwhile(static function () use ($proxy, $what, $pause, $times): void {
            for ($i = 0; $i < $times; ++$i) {
                usleep((int) ($pause * 1e6));
                $proxy->heal();
                $what === 'heal' || $proxy->$what();
            }
        });
    }

    /** @return callable(): void */
    private function meanwhile(callable $do): callable
    {
        $pid = pcntl_fork();
        if ($pid === 0) {
            try {
                $do();
            } finally {
                posix_kill(getmypid(), SIGKILL); // the test run's objects are not destroyed here
            }
        }

        return static function () use ($pid): void {
            pcntl_waitpid($pid, $status);
        };
    }
}
