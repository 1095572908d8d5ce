<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\NullObserver;
use Amqp1\Tests\Support\Broker;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\ProgramBroker;
use Amqp1\Tests\Support\Proxy;
use Amqp1\Tests\Support\RecordingObserver;
use PHPUnit\Framework\Attributes\DataProvider;

/** Observers that exit, fork, or hold what they observe; and how long they live. */
final class ObserverHazardTest extends ContractTestCase
{
    /** @return array<string, array{string}> */
    public static function exits(): array
    {
        return [
            'beforePush' => ['beforePush'], 'afterPush' => ['afterPush'], 'received' => ['received'],
            'settled' => ['settled'], 'connection' => ['connection'],
        ];
    }

    /** @dataProvider exits */
    #[DataProvider('exits')]
    public function testExitInAnObserverEndsTheScript(string $method): void
    {
        $broker = ProgramBroker::start();
        $child = Child::php(<<<'PHP'
            $class = 'class Exits extends Amqp1\NullObserver { public function %s(%s $about): void { exit(7); } }';
            $types = ['beforePush' => 'Push', 'afterPush' => 'Push', 'received' => 'Job', 'settled' => 'Job', 'connection' => 'Connection'];
            eval(sprintf($class, $argv[2], 'Amqp1\Observation\\' . $types[$argv[2]]));
            Amqp1\setObserver(new Exits());
            $queue = new Amqp1\AmqpQueue($argv[1], 'q');
            $queue->pushMany([['name' => 'a'], ['name' => 'b']]);
            $consumer = new Amqp1\Consumer($queue);
            $consumer->waitTask(5)->ack();
            echo 'went on';
            PHP, [$broker->dsn, $method]);
        self::assertSame([7, ''], [$child->wait(), $child->output()]);

        // What was received goes back.
        if ($method === 'received') {
            self::assertSame(2, (new AmqpQueue($broker->dsn, 'q'))->count());
        }
    }

    public function testAnObserverMayFork(): void
    {
        $broker = ProgramBroker::start();
        $output = Child::run(<<<'PHP'
            $observer = new class extends Amqp1\NullObserver {
                public array $children = [];
                public int $calls = 0;
                private function fork(string $where): void
                {
                    if (++$this->calls > 6) {
                        return;
                    }
                    $child = pcntl_fork();
                    if ($child === 0) {
                        // Neither the parent's socket nor its answers are this process's own.
                        $queue = new Amqp1\AmqpQueue($GLOBALS['argv'][1], 'children');
                        $queue->push($where);
                        exit(0);
                    }
                    $this->children[] = $child;
                }
                public function beforePush(Amqp1\Observation\Push $push): void { $this->fork('beforePush'); }
                public function afterPush(Amqp1\Observation\Push $push): void { $this->fork('afterPush'); }
                public function received(Amqp1\Observation\Job $job): void { $this->fork('received'); }
                public function settled(Amqp1\Observation\Job $job): void { $this->fork('settled'); }
            };
            Amqp1\setObserver($observer);
            $queue = new Amqp1\AmqpQueue($argv[1], 'q');
            $queue->push('single');
            $queue->pushMany([['name' => 'many']]);
            $consumer = new Amqp1\Consumer($queue);
            foreach ([1, 2] as $_) {
                $consumer->waitTask(5)->ack();
            }
            Amqp1\setObserver(null);
            foreach ($observer->children as $child) {
                pcntl_waitpid($child, $status);
                echo pcntl_wexitstatus($status);
            }
            echo ' ', (new Amqp1\AmqpQueue($argv[1], 'children'))->count(), ' ', $queue->count();
            PHP, [$broker->dsn]);

        self::assertSame('000000 6 0', $output);
    }

    public function testASignalHandlerThatThrowsStillEndsTheObservation(): void
    {
        $broker = ProgramBroker::start();
        $proxy = new Proxy(new Broker('program', $broker->dsn));
        $child = Child::php(<<<'PHP'
            pcntl_async_signals(true);
            pcntl_signal(SIGALRM, static fn () => throw new DomainException('enough'));
            Amqp1\setObserver(new class extends Amqp1\NullObserver {
                public function afterPush(Amqp1\Observation\Push $push): void { echo $push->getOutcome(), "\n"; }
            });
            $queue = new Amqp1\AmqpQueue($argv[1], 'q', ['timeout' => 20]);
            $queue->push('first');
            while (!file_exists($argv[2])) {
                usleep(10000);
            }
            pcntl_alarm(1);
            try {
                $queue->push('second');
            } catch (DomainException $e) {
                echo $e->getMessage();
            }
            PHP, [$proxy->dsn, $go = tempnam(sys_get_temp_dir(), 'amqp1-test-') . '-go']);
        $child->waitFor('confirmed');
        $proxy->swallow('down');
        touch($go);
        $child->wait();
        array_map('unlink', [$go, substr($go, 0, -3)]);

        self::assertSame("confirmed\ninterrupted\nenough", $child->output());
    }

    public function testQueuesConsumersAndTasksKeepTheirObserver(): void
    {
        $observer = new RecordingObserver();
        $reference = \WeakReference::create($observer);
        $queue = $this->queue('embedded', ['observer' => $observer, 'max_attempts' => 1]);
        unset($observer);
        $queue->push('job');
        $consumer = new Consumer($queue, ['prefetch' => 1]);
        unset($queue);
        $task = $this->next($consumer);
        unset($consumer);
        self::assertNotNull($reference->get());
        $task->ack();
        self::assertContains('settled job acked', $reference->get()->jobs());
        $reference->get()->given = [];
        unset($task);
        self::assertNull($reference->get());
    }

    public function testAnObserverThatHoldsItsQueueIsCollected(): void
    {
        gc_collect_cycles();
        $references = [];
        for ($i = 0; $i < 3; ++$i) {
            $observer = new class extends NullObserver {
                public array $holds = [];
            };
            $queue = $this->queue('embedded', ['observer' => $observer]);
            $queue->push('job');
            $consumer = new Consumer($queue, ['prefetch' => 1]);
            $task = $this->next($consumer);
            $observer->holds = [$queue, $consumer, $task, $consumer->getIterator(), $queue->failed()];
            $references[] = \WeakReference::create($observer);
            $task->ack();
        }
        $last = $observer;
        unset($queue, $consumer, $task, $observer);
        gc_collect_cycles();
        self::assertSame([true, true, false], array_map(static fn ($reference) => $reference->get() === null, $references));
        self::assertCount(5, $last->holds);
        // What it holds still works.
        $last->holds[0]->push('again');
    }

    public function testAnObserverDoesNotOutliveItsRequest(): void
    {
        $output = Child::run(<<<'PHP'
            Amqp1\setObserver(new class extends Amqp1\NullObserver {
                public function __destruct() { echo 'destroyed'; }
            });
            echo 'end, ';
            PHP, []);

        self::assertSame('end, destroyed', $output);
    }
}
