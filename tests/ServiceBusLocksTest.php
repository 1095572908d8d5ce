<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\TaskLostException;
use Amqp1\Task;
use Amqp1\Tests\Support\Broker;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\ProgramBroker;
use Amqp1\Tests\Support\Proxy;
use Amqp1\Tests\Support\RecordingObserver;
use PHPUnit\Framework\Attributes\DataProvider;

use function Amqp1\metrics;

/** Azure Service Bus' locks: they are renewed while PHP works, and a job whose lock has expired is lost. */
final class ServiceBusLocksTest extends ContractTestCase
{
    private static ?ProgramBroker $broker = null;

    private function entity(string $name, array $options = [], ?string $dsn = null): AmqpQueue
    {
        self::$broker ??= ProgramBroker::serviceBus(['--lock-duration', '2']);

        return new AmqpQueue($dsn ?? self::$broker->connectionString(), $name, $options + ['timeout' => 20]);
    }

    private function fresh(array $options = []): AmqpQueue
    {
        return $this->entity('q-' . bin2hex(random_bytes(6)), $options);
    }

    public function testLocksAreRenewedWhilePhpWorks(): void
    {
        $queue = $this->fresh(['observer' => $observer = new RecordingObserver()]);
        $before = metrics()['connections']['locks_renewed'];
        $queue->push('Slow');
        $queue->push('Waits in the buffer');
        $consumer = $this->consumer($queue, ['prefetch' => 5]);
        $task = $this->next($consumer);
        sleep(5); // the lock is for 2 s
        $task->ack();
        $second = $this->next($consumer, 1);
        self::assertSame(['Waits in the buffer', 1], [$second->getName(), $second->getAttempts()]);
        $second->ack();
        self::assertCount(0, $queue);
        self::assertContains('lock_renewed', $observer->events());
        self::assertNotContains('lock_lost', $observer->events());
        $event = $observer->given[array_search('connection lock_renewed', $observer->heard, true)];
        self::assertSame([$queue->getName(), 1], [$event->getDestination(), $event->getCount()]);
        self::assertGreaterThanOrEqual(2, metrics()['connections']['locks_renewed'] - $before);
    }

    public function testLocksAreRenewedWhenTheServiceFindsTheTokenOver(): void
    {
        $queue = $this->fresh(['observer' => $observer = new RecordingObserver()]);
        $queue->push('Slow');
        $task = $this->next($this->consumer($queue));
        $this->entity('$faults', ['format' => 'raw'])
            ->push('fault', "expire-token op=renew-lock entity={$queue->getName()}");
        sleep(5); // the lock is for 2 s
        $task->ack();
        self::assertSame('acked', $task->getOutcome());
        self::assertContains('token_renewed', $observer->events());
    }

    public function testASessionIsAskedForAgainWhenTheServiceFindsTheTokenOver(): void
    {
        $queue = $this->fresh();
        $queue->push('A', null, ['group' => 'one']);
        foreach ([['session' => 'one'], ['session' => true]] as $options) {
            $consumer = $this->consumer($queue, $options);
            $task = $this->next($consumer);
            $this->entity('$faults', ['format' => 'raw'])->push('fault', 'expire-token op=now');
            usleep(300_000);
            $this->thrown(TaskLostException::class, static fn () => $task->ack());
            $another = $this->consumer($queue, $options);
            self::assertSame('A', $this->next($another, 5)->getName());
            $another->close();
            $consumer->close();
        }
        $consumer = $this->consumer($queue, ['session' => 'one']);
        $this->next($consumer);
        $this->entity('$faults', ['format' => 'raw'])
            ->push('fault', "expire-token op=get-session-state entity={$queue->getName()}");
        $this->thrown(TaskLostException::class, static fn () => $consumer->getSessionState());
    }

    public function testLocksOutliveTheirConnection(): void
    {
        $this->fresh();
        $proxy = new Proxy(new Broker('servicebus', self::$broker->dsn));
        foreach (["amqp://RootManageSharedAccessKey:SAS_KEY_VALUE@$proxy->address/?dialect=servicebus",
            "Endpoint=sb://$proxy->address;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;"
            . 'UseDevelopmentEmulator=true'] as $dsn) {
            $queue = $this->entity('q-' . bin2hex(random_bytes(6)), dsn: $dsn);
            $queue->push('Slow');
            $task = $this->next($this->consumer($queue));
            $proxy->cut();
            sleep(5); // the lock is for 2 s; PHP dials nothing meanwhile
            $task->ack();
            self::assertSame('acked', $task->getOutcome());
            self::assertCount(0, $queue);
        }
    }

    public function testALockThatIsNotRenewedIsLost(): void
    {
        $queue = $this->fresh(['max_lock_renewal' => 0]);
        $queue->push('A');
        $consumer = $this->consumer($queue);
        $task = $this->next($consumer);
        sleep(3);
        $this->thrown(TaskLostException::class, static fn () => $task->ack());
        self::assertNull($task->getOutcome(), 'what was lost was not acknowledged');
        $again = $this->next($consumer);
        self::assertSame(2, $again->getAttempts());
        $again->ack();
    }

    /** @return array<string, array{callable(Task): void}> */
    /** @dataProvider sessions */
    #[DataProvider('sessions')]
    public function testAChildLeavesItsParentsLocksAlone(?string $session): void
    {
        $queue = $this->fresh();
        $output = Child::run(<<<'PHP'
            [, $dsn, $name, $session] = $argv;
            $queue = new Amqp1\AmqpQueue($dsn, $name, ['timeout' => 20]);
            for ($i = 0; $i < 3; ++$i) { $queue->push("job $i", null, $session === '' ? [] : ['group' => $session]); }
            $consumer = new Amqp1\Consumer($queue, $session === '' ? ['prefetch' => 5] : ['session' => $session]);
            $tasks = [$consumer->waitTask(10), $consumer->waitTask(10)];
            for ($child = 0; $child < 20; ++$child) {
                $pid = pcntl_fork();
                if ($pid === 0) {
                    if ($child % 2) { $consumer->close(); }
                    unset($tasks, $consumer, $queue);
                    exit(7);
                }
                for ($waited = 0; !($ended = pcntl_waitpid($pid, $status, WNOHANG)) && $waited < 1000; ++$waited) { usleep(10_000); }
                if (!$ended) { posix_kill($pid, SIGKILL); exit("a child hangs\n"); }
                if (pcntl_wexitstatus($status) !== 7) { exit("a child ended badly\n"); }
            }
            sleep(4); // the locks are for 2 s
            foreach ($tasks as $task) { $task->ack(); }
            echo $consumer->waitTask(10)->getName(), ' ', $consumer->getSession() ?? 'no session', "\n";
            PHP, [self::$broker->connectionString(), $queue->getName(), $session ?? '']);
        self::assertSame('job 2 ' . ($session ?? 'no session') . "\n", $output);
    }

    public static function sessions(): array
    {
        return ['no session' => [null], 'a session' => ['one']];
    }

    public static function settlements(): array
    {
        return [
            'nack with a pause' => [static fn (Task $task) => $task->nack('failed')],
            'release with a pause' => [static fn (Task $task) => $task->release(1)],
            'release' => [static fn (Task $task) => $task->release()],
            'deadLetter' => [static fn (Task $task) => $task->deadLetter('why')],
        ];
    }

    /**
     * A copy in addition to the redelivered job would make two jobs.
     *
     * @dataProvider settlements
     */
    #[\PHPUnit\Framework\Attributes\DataProvider('settlements')]
    public function testAJobWhoseLockIsGoneComesAgainOnce(callable $settle): void
    {
        $queue = $this->fresh(['max_lock_renewal' => 0, 'backoff' => [1]]);
        $queue->push('A');
        $consumer = $this->consumer($queue);
        $task = $this->next($consumer);
        sleep(3);
        $settle($task);
        self::assertNull($task->getOutcome());
        $again = $this->next($consumer);
        self::assertSame(2, $again->getAttempts());
        $again->ack();
        $this->assertNoTask($consumer, 1.5);
        self::assertCount(0, $queue->failed());
    }

    public function testAJobWhoseSessionIsGoneComesAgainOnce(): void
    {
        $queue = $this->fresh(['backoff' => [1]]);
        $queue->push('A', null, ['group' => 'one']);
        $consumer = $this->consumer($queue, ['session' => 'one']);
        $task = $this->next($consumer);
        (new AmqpQueue(self::$broker->connectionString(), '$faults', ['format' => 'raw']))
            ->push('fault', "detach entity={$queue->getName()} op=now");
        $this->eventually(static fn (): bool => $consumer->getSession() !== null, 'the session');
        usleep(500_000);
        $task->nack('failed');
        self::assertNull($task->getOutcome());
        $this->next($consumer)->ack();
        $this->assertNoTask($consumer, 1.5);
    }
}
