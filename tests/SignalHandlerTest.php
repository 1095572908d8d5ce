<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Proxy;
use PHPUnit\Framework\Attributes\DataProvider;

/** What a signal handler does to the call that it interrupts. */
final class SignalHandlerTest extends ContractTestCase
{
    /** @return array<string, array{string}> */
    public static function waits(): array
    {
        return [
            'waitTask' => ['$consumer->waitTask();'],
            'waitTasks' => ['$consumer->waitTasks(5);'],
            'foreach' => ['foreach ($consumer as $task) { }'],
        ];
    }

    /** @dataProvider waits */
    #[DataProvider('waits')]
    public function testCloseEndsAWaitAndTheNextOneAttachesAgain(string $wait): void
    {
        $child = Child::php(<<<'PHP'
            pcntl_async_signals(true);
            $queue = new Amqp1\AmqpQueue('embedded://signals', 'q');
            $consumer = new Amqp1\Consumer($queue);
            $consumer->waitTask(0.01);
            pcntl_signal(SIGUSR1, function () use ($consumer) { $consumer->close(); });
            echo "waiting\n";

            PHP . $wait . <<<'PHP'

            echo "ended\n";
            $queue->push('the next job');
            echo 'then ', $consumer->waitTask(10)->getName(), "\n";
            PHP);
        $child->waitFor('waiting');
        usleep(100_000);
        $child->signal(SIGUSR1);
        $child->waitFor('ended', 10);

        self::assertSame(0, $child->wait(15), $child->output());
        self::assertStringContainsString('then the next job', $child->output());
    }

    /** @return array<string, array{string, string}> */
    public static function ends(): array
    {
        $sets = [];
        foreach (['stop', 'close'] as $end) {
            foreach (self::fullyFeatured() as $name => [$broker]) {
                $sets["$end on $name"] = [$broker, $end];
            }
        }

        return $sets;
    }

    /**
     * The consumer still exists, but nobody takes jobs from it: it must not withhold jobs from others.
     *
     * @dataProvider ends
     */
    #[DataProvider('ends')]
    public function testAConsumerThatIsEndedWhileItAttachesHoldsNoJobs(string $broker, string $end): void
    {
        $at = $this->broker($broker);
        $proxy = new Proxy($at);
        [$warm, $name] = [$this->uniqueName($at), $this->uniqueName($at)];
        $queue = new AmqpQueue($at->dsn, $name);
        $queue->pushMany(array_fill(0, 5, ['name' => 'job']));
        $child = Child::php(<<<'PHP'
            pcntl_async_signals(true);
            [, $dsn, $warm, $name, $end] = $argv;
            $other = new Amqp1\Consumer(new Amqp1\AmqpQueue($dsn, $warm));
            $other->waitTask(0.01); // the connection is there
            $consumer = new Amqp1\Consumer(new Amqp1\AmqpQueue($dsn, $name));
            pcntl_signal(SIGALRM, function () use ($consumer, $end) { echo "handled\n"; $consumer->$end(); });
            echo "warm\n";
            while (!file_exists($argv[5])) { usleep(10_000); }
            pcntl_alarm(1);
            $task = $consumer->waitTask();
            echo 'took ', $task === null ? 'nothing' : 'a job', "\n";
            sleep(30);
            PHP, [$proxy->dsn, $warm, $name, $end, $flag = sys_get_temp_dir() . "/$name"]);
        $child->waitFor('warm');
        $proxy->delay(0.7); // the attach is answered after 1.4 s, the alarm comes after one
        touch($flag);
        $child->waitFor('handled', 10);
        $child->waitFor('took nothing', 20);
        $proxy->heal();
        unlink($flag);
        sleep(1); // jobs would arrive now

        $this->eventually(static fn () => $queue->count() === 5, 'all jobs are ready for others');
        $child->kill();
    }

    /** @dataProvider newestRabbitMq */
    #[DataProvider('newestRabbitMq')]
    public function testAConnectionThatIsMadeWhileAHandlerRunsAndThenThrowsIsClosed(string $broker): void
    {
        $proxy = new Proxy($this->broker($broker));
        $child = Child::php(<<<'PHP'
            pcntl_async_signals(true);
            pcntl_signal(SIGALRM, function () { echo "handled\n"; usleep(4_000_000); throw new DomainException('late'); });
            $queue = new Amqp1\AmqpQueue($argv[1], 'q', ['timeout' => 20]);
            pcntl_alarm(1);
            try {
                $queue->ping();
            } catch (DomainException $e) {
                echo 'caught ', $e->getMessage(), "\n";
            }
            sleep(30);
            PHP, [$proxy->dsn]);
        $proxy->delay(0.3);
        $child->waitFor('caught late', 20);
        self::assertSame(1, $proxy->counts()['accepted']);

        $this->eventually(static fn () => $proxy->counts()['open'] === 0, 'the connection that nobody has is closed');
        $child->kill();
    }

    /** @return array<string, array{string, string}> */
    public static function takes(): array
    {
        $takes = ['waitTask' => '$consumer->waitTask(5)', 'waitTasks' => '$consumer->waitTasks(3, 5)[0] ?? null', 'reserve' => '$queue->reserve(5)'];
        $sets = [];
        foreach ($takes as $call => $take) {
            foreach (array_slice(self::fullyFeatured(), 0, 1) + self::newestRabbitMq() as $name => [$broker]) {
                $sets["$call on $name"] = [$broker, $take];
            }
        }

        return $sets;
    }

    /**
     * The signal comes a moment before the job, which arrives before the method checks for signals again.
     *
     * @dataProvider takes
     */
    #[DataProvider('takes')]
    public function testAJobThatComesTogetherWithAHandlersExceptionIsNotLocked(string $broker, string $take): void
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        $queue = new AmqpQueue($at->dsn, $name, ['timeout' => 20]);
        $queue->setup();
        $child = Child::php(str_replace('TAKE', $take, <<<'PHP'
            pcntl_async_signals(true);
            $throws = false;
            pcntl_signal(SIGUSR1, function () use (&$throws) { if ($throws) { throw new DomainException('from the handler'); } });
            $queue = new Amqp1\AmqpQueue($argv[1], $argv[2]);
            $consumer = new Amqp1\Consumer($queue);
            [$done, $thrown, $end] = [[], 0, microtime(true) + 20];
            echo "taking\n";
            while (count($done) < 15 && microtime(true) < $end) {
                $task = null;
                try {
                    $throws = true;
                    $task = TAKE;
                } catch (DomainException) {
                    ++$thrown;
                }
                $throws = false;
                if ($task !== null) { $task->ack(); $done[$task->getId()] = true; }
            }
            echo $thrown > 5 ? 'often' : 'seldom', " interrupted\n";
            echo 'did ', count($done), " jobs\n";
            PHP), [$at->dsn, $name]);
        $child->waitFor('taking');
        for ($round = 0; $round < 15; ++$round) {
            usleep(120_000);
            $child->signal(SIGUSR1);
            $queue->push('job');
        }

        self::assertSame(0, $child->wait(30), $child->output());
        self::assertStringContainsString("often interrupted\ndid 15 jobs", $child->output());
    }
}
