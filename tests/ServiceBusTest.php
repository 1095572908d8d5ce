<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Exception\AuthenticationException;
use Amqp1\Exception\BatchException;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\QueueNotFoundException;
use Amqp1\Exception\TaskLostException;
use Amqp1\Exception\UnsupportedException;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\ProgramBroker;

/** The features that only Azure Service Bus has, on amqp1-broker's dialect of it. */
final class ServiceBusTest extends ContractTestCase
{
    private static ?ProgramBroker $broker = null;

    private function dsn(): string
    {
        self::$broker ??= ProgramBroker::serviceBus(['--lock-duration', '2', '--session-queue', 'sessions',
            '--session-queue', 'turns', '--session-queue', 'taken', '--config', __DIR__ . '/fixtures/servicebus.json']);

        return self::$broker->connectionString();
    }

    private function entity(string $name, array $options = [], ?string $dsn = null): AmqpQueue
    {
        return new AmqpQueue($dsn ?? $this->dsn(), $name, $options + ['timeout' => 20]);
    }

    private function fresh(array $options = []): AmqpQueue
    {
        return $this->entity('q-' . bin2hex(random_bytes(6)), $options);
    }

    public function testAConnectionStringIsAllItTakes(): void
    {
        $queue = $this->fresh();
        $queue->push('Order', ['id' => 7], ['headers' => ['tenant' => 'a'], 'trace_id' => 't-1', 'id' => 'job-7']);
        $task = $this->take($queue);
        self::assertSame(['Order', ['id' => 7], 'job-7', 't-1', 1, ['tenant' => ['a']]], [$task->getName(),
            $task->getPayload(), $task->getId(), $task->getTraceId(), $task->getAttempts(), $task->getHeaders()]);
        $broker = $queue->getBroker();
        self::assertSame(['servicebus', 'amqp1-broker (Service Bus dialect)'], [$broker['dialect'], $broker['product']]);
        self::assertMatchesRegularExpression('/^\d+\.\d+\.\d+/', $broker['version']);
        self::assertCount(0, $queue);
    }

    public function testTheEntityOfAConnectionStringIsTheQueue(): void
    {
        $this->dsn();
        $dsn = self::$broker->connectionString(more: 'EntityPath=of-the-string');
        $queue = new AmqpQueue($dsn);
        self::assertSame('of-the-string', $queue->getName());
        $error = $this->thrown(ConfigException::class, static fn () => new AmqpQueue($dsn, 'another'));
        self::assertStringContainsString("only for 'of-the-string'", $error->getMessage());
    }

    public function testAWrongKeyIsRefusedAndNotRepeated(): void
    {
        $this->dsn();
        $queue = $this->entity('q', dsn: self::$broker->connectionString('d2Vkbm90dGVsbA=='));
        $error = $this->thrown(AuthenticationException::class, static fn () => $queue->push('A'));
        self::assertStringContainsString('refused the token', $error->getMessage());
        self::assertStringNotContainsString('d2Vkbm90dGVsbA', (string) $error . print_r($queue, true));
    }

    public function testATokenOfTheCallersOwn(): void
    {
        $this->dsn();
        $asked = [];
        $address = self::$broker->address();
        $host = explode(':', $address)[0];
        $token = function (string $audience) use (&$asked): array {
            $asked[] = $audience;

            return ['token' => self::token($audience, 3600), 'expires' => time() + 4];
        };
        $queue = new AmqpQueue("amqp://$address/?dialect=servicebus", 'with-token', ['token' => $token]);
        $queue->push('A');
        self::assertSame(["sb://$host/with-token"], $asked);
        $queue->push('B');
        self::assertCount(1, $asked, 'asked once for one entity of one connection');
        sleep(3);
        $queue->push('C');
        self::assertCount(2, $asked, 'asked again when less than half of its time is left');
        $fixed = new AmqpQueue("amqp://$address/?dialect=servicebus", 'with-token',
            ['token' => self::token("sb://$host/with-token", 3600)]);
        self::assertSame('A', $this->take($fixed)->getName());
        $over = new AmqpQueue("amqp://$address/?dialect=servicebus", 'with-token',
            ['token' => self::token("sb://$host/with-token", -5)]);
        $error = $this->thrown(AuthenticationException::class, static fn () => $over->push('D'));
        self::assertStringContainsString('expired', $error->getMessage());
    }

    public function testWhatTheTokenCallableThrowsGoesUp(): void
    {
        $this->dsn();
        $queue = new AmqpQueue('amqp://' . self::$broker->address() . '/?dialect=servicebus', 'x', ['token' => static function () {
            throw new \LogicException('no identity');
        }]);
        $this->thrown(\LogicException::class, static fn () => $queue->push('A'));
        $wrong = new AmqpQueue('amqp://' . self::$broker->address() . '/?dialect=servicebus', 'x', ['token' => static fn () => 7]);
        $this->thrown(AuthenticationException::class, static fn () => $wrong->push('A'));
    }

    public function testTheEmulatorTakesATokenInPlaceOfAKey(): void
    {
        $this->dsn();
        $dsn = 'Endpoint=sb://' . self::$broker->address() . ';UseDevelopmentEmulator=true';
        $token = static fn (string $audience): string => self::token($audience, 3600);
        (new AmqpQueue($dsn, 'emulated', ['token' => $token]))->push('A');
        $error = $this->thrown(ConfigException::class, fn () => new AmqpQueue($this->dsn(), 'x', ['token' => $token]));
        self::assertStringContainsString('the DSN already contains a key', $error->getMessage());
    }

    public function testATokenMayEndWhileAJobIsWorkedOn(): void
    {
        $this->dsn();
        $asked = 0;
        $token = static function (string $audience) use (&$asked): string {
            $asked++;

            return self::token($audience, 2);
        };
        $queue = new AmqpQueue('amqp://' . self::$broker->address() . '/?dialect=servicebus', 'duplicates', ['token' => $token]);
        $queue->push('Slow');
        $task = $this->next($this->consumer($queue));
        $before = $asked;
        sleep(4); // the service has dropped the link; the lock is for 10 s
        $task->ack();
        self::assertSame('acked', $task->getOutcome());
        self::assertGreaterThan($before, $asked);
        self::assertCount(0, $queue);
    }

    public function testTheTokenCallableMayEndTheScript(): void
    {
        foreach (['exit(7);' => 7, 'ini_set("memory_limit", "8M"); str_repeat("x", 100_000_000);' => 255] as $end => $code) {
            $output = Child::run('
                $token = static function () { ' . $end . ' };
                (new Amqp1\AmqpQueue("embedded://x?dialect=servicebus", "q", ["token" => $token]))->push("A");
                echo "goes on\n";
            ', exit: $code);
            self::assertStringNotContainsString('goes on', $output);
        }
    }

    /** A shared access signature, computed here. */
    private static function token(string $audience, int $seconds): string
    {
        $uri = rawurlencode($audience);
        $expires = time() + $seconds;
        $signature = base64_encode(hash_hmac('sha256', "$uri\n$expires", 'SAS_KEY_VALUE', true));

        return "SharedAccessSignature sr=$uri&sig=" . rawurlencode($signature) . "&se=$expires&skn=RootManageSharedAccessKey";
    }

    public function testWhatIsInHandGoesBackWhenItsConsumerCloses(): void
    {
        $queue = $this->fresh();
        $queue->push('A');
        $consumer = $this->consumer($queue);
        $this->next($consumer);
        $consumer->close();
        self::assertSame(1, $this->take($queue, 1)->getAttempts());
    }

    public function testDeadLetteredWithReasonAndBack(): void
    {
        $queue = $this->fresh();
        $queue->push('Bad', 'x', ['id' => 'bad-1', 'headers' => ['h' => 'v']]);
        $consumer = $this->consumer($queue);
        $task = $this->next($consumer);
        $task->deadLetter(new \DomainException('no such customer'));
        self::assertSame('dead_lettered', $task->getOutcome());
        $consumer->close();
        $failed = $queue->failed();
        self::assertStringEndsWith('/$DeadLetterQueue', $failed->getName());
        self::assertCount(1, $failed);
        $found = $failed->reserve(5);
        self::assertNotNull($found);
        $failure = $found->getFailure();
        self::assertSame(['failed', 'no such customer', 'DomainException', $queue->getName(), 1],
            [$failure['reason'], $failure['error'], $failure['exception'], $failure['queue'], $failure['attempts']]);
        $found->nack(null, true);
        self::assertSame(1, $queue->retryFailed());
        $back = $this->take($queue);
        self::assertSame(['bad-1', 'Bad', 'x', 1, null], [$back->getId(), $back->getName(), $back->getPayload(),
            $back->getAttempts(), $back->getFailure()]);
        self::assertCount(0, $failed);
    }

    public function testARetryIsAScheduledCopyThatDuplicateDetectionDoesNotDrop(): void
    {
        $queue = $this->entity('duplicates', ['backoff' => [1], 'max_attempts' => 2]);
        $queue->push('Once', null, ['id' => 'the-same']);
        $queue->push('Dropped', null, ['id' => 'the-same']);
        self::assertCount(1, $queue);
        $consumer = $this->consumer($queue);
        $this->next($consumer)->nack('first');
        $again = $this->next($consumer);
        self::assertSame(['Once', 'the-same', 2], [$again->getName(), $again->getId(), $again->getAttempts()]);
        $again->nack('second');
        self::assertCount(1, $queue->failed());
        self::assertSame(1, $queue->retryFailed());
        $back = $this->next($consumer);
        self::assertSame(['the-same', 1], [$back->getId(), $back->getAttempts()]);
        $back->ack();
    }

    public function testADelayedJobAndAScheduledOneThatIsCancelled(): void
    {
        $queue = $this->fresh();
        $queue->push('Later', null, ['delay' => 1.5]);
        $number = $queue->schedule('Never', ['a' => 1], new \DateTimeImmutable('+1 second'), ['id' => 'n-1']);
        self::assertMatchesRegularExpression('/^\d+$/', $number);
        self::assertSame(2, $queue->stats()['delayed']);
        self::assertTrue($queue->cancel($number));
        self::assertFalse($queue->cancel($number));
        $consumer = $this->consumer($queue);
        $this->assertNoTask($consumer, 0.5);
        self::assertSame('Later', $this->next($consumer, 5)->getName());
        $this->assertNoTask($consumer, 1);
        $this->thrown(ConfigException::class, static fn () => $queue->cancel('soon'));
        $this->thrown(ConfigException::class, static fn () => $queue->schedule('A', null, 5, ['delay' => 3]));
        $this->thrown(UnsupportedException::class, fn () => $this->queue('embedded')->schedule('A', null, 5));
    }

    public function testManyJobsGoInBatches(): void
    {
        $queue = $this->fresh();
        $jobs = (static function () {
            for ($i = 0; $i < 2500; $i++) {
                yield ['name' => "job-$i", 'payload' => str_repeat('x', 300)];
            }
        })();
        $ids = $queue->pushMany($jobs);
        self::assertCount(2500, array_unique($ids));
        self::assertCount(2500, $queue);
        $consumer = $this->consumer($queue, ['prefetch' => 100]);
        for ($i = 0; $i < 20; $i++) {
            $task = $this->next($consumer);
            self::assertSame(["job-$i", $ids[$i]], [$task->getName(), $task->getId()]);
            $task->ack();
        }
        $consumer->close();
        self::assertSame(2480, $queue->purge());
    }

    public function testAJobThatIsTooLargeFailsAlone(): void
    {
        $queue = $this->fresh();
        $jobs = [['name' => 'a'], ['name' => 'b', 'payload' => str_repeat('x', 300_000)], ['name' => 'c']];
        $error = $this->thrown(BatchException::class, static fn () => $queue->pushMany($jobs));
        self::assertSame([1], array_keys($error->getFailures()));
        self::assertCount(2, $queue);
        $start = microtime(true);
        $error = $this->thrown(\Amqp1\Exception\RejectedException::class,
            static fn () => $queue->schedule('d', str_repeat('x', 300_000), 60));
        self::assertStringContainsString('the service accepts at most 262144', $error->getMessage());
        self::assertLessThan(5, microtime(true) - $start);
    }

    public function testASessionIsWorkedOffInOrderAndKeepsItsState(): void
    {
        $queue = $this->entity('sessions');
        foreach ([1, 2, 3] as $n) {
            $queue->push("b-$n", null, ['group' => 'b']);
            $queue->push("a-$n", null, ['group' => 'a']);
        }
        $consumer = $this->consumer($queue, ['session' => 'a']);
        self::assertNull($consumer->getSession());
        for ($n = 1; $n <= 3; $n++) {
            $task = $this->next($consumer);
            self::assertSame("a-$n", $task->getName());
            $consumer->setSessionState("at $n\0");
            $task->ack();
        }
        self::assertSame('a', $consumer->getSession());
        $this->assertNoTask($consumer);
        $consumer->close();
        $again = $this->consumer($queue, ['session' => 'a']);
        $this->assertNoTask($again, 1);
        self::assertSame("at 3\0", $again->getSessionState());
        $again->setSessionState(null);
        self::assertNull($again->getSessionState());
        $again->close();
        $next = $this->consumer($queue, ['session' => true]);
        self::assertSame('b-1', $this->next($next)->getName());
        self::assertSame('b', $next->getSession());
        $next->close();
        $this->thrown(UnsupportedException::class, fn () => $this->consumer($queue)->waitTask(5));
    }

    public function testTheNextFreeSessionFollowsWhenOneIsDone(): void
    {
        $queue = $this->entity('turns');
        foreach (['x', 'y', 'z'] as $session) {
            $queue->push("1-$session", null, ['group' => $session]);
            $queue->push("2-$session", null, ['group' => $session]);
        }
        $consumer = $this->consumer($queue, ['session' => true]);
        $seen = [];
        for ($n = 0; $n < 6; $n++) {
            $task = $this->next($consumer);
            $seen[$consumer->getSession()][] = $task->getName();
            $task->ack();
        }
        ksort($seen);
        self::assertSame(['x' => ['1-x', '2-x'], 'y' => ['1-y', '2-y'], 'z' => ['1-z', '2-z']], $seen);
    }

    public function testASessionThatAnotherHasIsWaitedFor(): void
    {
        $queue = $this->entity('taken');
        $queue->push('1', null, ['group' => 's']);
        $queue->push('2', null, ['group' => 's']);
        $first = $this->consumer($queue, ['session' => 's', 'prefetch' => 1]);
        $task = $this->next($first);
        $second = $this->consumer($queue, ['session' => 's']);
        $this->assertNoTask($second, 1);
        sleep(3); // the session's lock is for 2 s, and renewed
        $task->ack();
        $first->close();
        self::assertSame('2', $this->next($second)->getName());
    }

    public function testATopicAndItsSubscriptions(): void
    {
        $topic = $this->entity('events');
        $topic->push('Created', null, ['id' => 'e-1']);
        foreach (['all', 'audit'] as $name) {
            $subscription = $this->entity("events/Subscriptions/$name", ['backoff' => [30]]);
            $consumer = $this->consumer($subscription);
            $task = $this->next($consumer);
            self::assertSame(['Created', 1], [$task->getName(), $task->getAttempts()]);
            // Nothing can be sent to a subscription: the job is returned at once, and counted.
            $task->nack('again');
            $task = $this->next($consumer);
            self::assertSame(2, $task->getAttempts());
            $task->deadLetter('no use');
            self::assertCount(1, $subscription->failed());
        }
    }

    public function testAConsumerThatDoesNotFitItsEntityIsToldWhatToDo(): void
    {
        foreach ([['sessions', [], "set the consumer's option 'session'"], ['events', [], 'topic/Subscriptions/name'],
            ['duplicates', ['session' => true], "remove the option 'session'"],
            ['duplicates', ['session' => 'a'], "remove the option 'session'"]] as [$name, $options, $advice]) {
            $consumer = $this->consumer($this->entity($name), $options);
            $error = $this->thrown(UnsupportedException::class, static fn () => $consumer->waitTask(5));
            self::assertSame(1, substr_count($error->getMessage(), "queue '$name' at "), $error->getMessage());
            self::assertStringContainsString($advice, $error->getMessage());
        }
    }

    public function testMissingEntitiesAreNotWaitedFor(): void
    {
        $broker = ProgramBroker::start(['--dialect', 'servicebus', '--queue', 'there']);
        $queue = $this->entity('not-there', dsn: $broker->connectionString());
        $start = microtime(true);
        foreach ([static fn () => $queue->push('A'), static fn () => (new Consumer($queue))->waitTask(10)] as $use) {
            $error = $this->thrown(QueueNotFoundException::class, $use);
            self::assertStringEndsWith('; create it', $error->getMessage(), 'nothing can be declared there');
        }
        self::assertLessThan(8, microtime(true) - $start);
        $broker->stop();
    }

    public function testIdleLinksAreAttachedAgainUnseen(): void
    {
        $broker = ProgramBroker::serviceBus(['--timer', 'link-idle=1']);
        $queue = $this->entity('idle', dsn: $broker->connectionString());
        $queue->push('A');
        $consumer = $this->consumer($queue);
        $task = $this->next($consumer);
        sleep(3);
        $task->ack();
        self::assertCount(0, $queue);
        $queue->push('B');
        self::assertSame('B', $this->next($consumer)->getName());
        $consumer->close();
        $broker->stop();
    }

    public function testABusyServiceIsTriedAgain(): void
    {
        $broker = ProgramBroker::serviceBus(['--fault', 'error op=send entity=passing condition=com.microsoft:timeout times=2',
            '--fault', 'error op=send entity=quota condition=amqp:resource-limit-exceeded times=always',
            '--fault', 'busy op=settle entity=passing', '--fault', 'detach op=send entity=detached']);
        $queue = $this->entity('passing', dsn: $broker->connectionString());
        $start = microtime(true);
        $queue->push('A');
        self::assertGreaterThan(2.3, microtime(true) - $start, '0.8 s and 1.6 s');
        self::assertCount(1, $queue);
        $full = $this->entity('quota', dsn: $broker->connectionString());
        $start = microtime(true);
        $error = $this->thrown(\Amqp1\Exception\RejectedException::class, static fn () => $full->push('A'));
        self::assertStringContainsString('amqp:resource-limit-exceeded', $error->getMessage());
        self::assertLessThan(2, microtime(true) - $start);
        $detached = $this->entity('detached', dsn: $broker->connectionString());
        $detached->push('A');
        self::assertCount(1, $detached);
        $task = $this->next($this->consumer($queue));
        $start = microtime(true);
        $task->ack();
        self::assertGreaterThan(9.5, microtime(true) - $start, 'the service asks for 10 s');
        self::assertCount(0, $queue);
        $broker->stop();
    }

    public function testFaultsOfTheServiceEndAsTheyShould(): void
    {
        $broker = ProgramBroker::serviceBus(['--lock-duration', '8',
            '--fault', 'misroute op=renew-lock entity=renewed', '--fault', 'close op=send entity=closed',
            '--fault', 'reset op=sent entity=reset', '--fault', 'lose-lock op=settle entity=stolen',
            '--fault', 'drop op=settled entity=unconfirmed', '--fault', 'detach op=settled entity=interrupted',
            '--fault', 'detach op=peek-message entity=interrupted', '--fault', 'withhold-credit entity=waits ms=1500',
            '--fault', 'cut op=receive entity=cut']);
        $at = fn (string $name, array $options = []) => $this->entity($name, $options, $broker->connectionString());

        $renewed = $at('renewed');
        $renewed->push('A');
        $task = $this->next($this->consumer($renewed));
        $closed = $at('closed');
        $closed->push('A');
        self::assertCount(1, $closed, 'sent again, once');
        $reset = $at('reset');
        $reset->push('A');
        self::assertContains(count($reset), [1, 2], 'at least once');
        $stolen = $at('stolen');
        $stolen->push('A');
        $lost = $this->next($this->consumer($stolen));
        $this->thrown(TaskLostException::class, static fn () => $lost->ack());
        $unconfirmed = $at('unconfirmed', ['timeout' => 2]);
        $unconfirmed->push('A');
        $unsure = $this->next($this->consumer($unconfirmed));
        $error = $this->thrown(TaskLostException::class, static fn () => $unsure->ack());
        self::assertStringContainsString('in time', $error->getMessage());
        self::assertStringContainsString('may be delivered again', $error->getMessage());
        $interrupted = $at('interrupted');
        $interrupted->push('A');
        $unsure = $this->next($this->consumer($interrupted));
        $error = $this->thrown(TaskLostException::class, static fn () => $unsure->ack());
        self::assertStringContainsString('it is unknown whether it was settled', $error->getMessage());
        self::assertCount(0, $interrupted, 'a detach of the link for requests is seen, and they are made again');
        $waits = $at('waits');
        $start = microtime(true);
        $waits->push('A');
        self::assertGreaterThan(1.2, microtime(true) - $start);
        $cut = $at('cut');
        $cut->push('A', str_repeat('x', 100_000));
        self::assertSame(100_000, strlen($this->next($this->consumer($cut), 20)->getBody()));
        sleep(2); // more than the 8 s of the lock since the job was taken, its first renewal unanswered
        $task->ack();
        self::assertSame('acked', $task->getOutcome());
        $broker->stop();
    }

    public function testATokenThatIsOverIsPutAgain(): void
    {
        $broker = ProgramBroker::serviceBus(['--fault', 'expire-token op=sent entity=expires after=1']);
        $queue = $this->entity('expires', dsn: $broker->connectionString());
        foreach (['A', 'B', 'C'] as $name) {
            $queue->push($name);
        }
        self::assertGreaterThanOrEqual(3, count($queue));
        $faults = $this->entity('$faults', ['format' => 'raw'], $broker->connectionString());
        foreach (['error condition=com.microsoft:timeout', 'detach'] as $at => $fault) {
            $faults->push('fault', "$fault entity=\$cbs op=put-token");
            $this->entity("refused-$at", dsn: $broker->connectionString())->push('tried again');
        }
        $faults->push('fault', 'error condition=amqp:unauthorized-access entity=$cbs op=put-token');
        $refused = $this->entity('refused', dsn: $broker->connectionString());
        $this->thrown(AuthenticationException::class, static fn () => $refused->push('not tried again'));
        $broker->stop();
    }
}
