<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\TimeoutException;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\ProgramBroker;
use Amqp1\Tests\Support\Proxy;
use Amqp1\Tests\Support\Sockets;
use PHPUnit\Framework\Attributes\DataProvider;

/** Several hosts in a DSN: processes spread over them, and skip a host that fails. */
final class HostsTest extends ContractTestCase
{
    private const PROCESSES = 30;

    /** @var list<ProgramBroker> independent brokers, so that a test sees which one was used */
    private array $hosts = [];

    protected function setUp(): void
    {
        parent::setUp();
        $this->broker(isset(self::networked()['program']) ? 'program' : '');
        for ($i = 0; $i < 3; ++$i) {
            $this->hosts[] = ProgramBroker::start();
        }
    }

    protected function tearDown(): void
    {
        foreach ($this->hosts as $host) {
            $host->thaw();
            $host->stop();
        }
        parent::tearDown();
    }

    public function testForkedProcessesSpreadOverTheHostsAndEachKeepsToOne(): void
    {
        $this->fork();
        $used = $this->used();

        self::assertSame(self::PROCESSES, array_sum($used));
        self::assertCount(3, array_filter($used), 'each host is used: ' . json_encode($used));
    }

    public function testProcessesOfTheirOwnSpreadToo(): void
    {
        $children = [];
        for ($i = 0; $i < 12; ++$i) {
            $children[] = Child::php('(new Amqp1\AmqpQueue($argv[1], "hosts"))->push("job");', [$this->dsn()]);
        }
        foreach ($children as $child) {
            self::assertSame(0, $child->wait(20), $child->output());
        }
        $used = $this->used();

        self::assertSame(12, array_sum($used));
        self::assertGreaterThan(1, count(array_filter($used)), json_encode($used));
    }

    public function testTheGivenOrderIsKept(): void
    {
        $this->fork('?host_order=given');

        self::assertSame([self::PROCESSES, 0, 0], $this->used());
    }

    public function testTheProcessesOfAHostThatIsDownUseAllTheOthers(): void
    {
        $this->hosts[1]->stop();
        $this->fork();
        $used = $this->used([0, 2]);

        self::assertSame(self::PROCESSES, array_sum($used));
        self::assertCount(2, array_filter($used), json_encode($used));
    }

    /** A host's connection breaks, or is silent: both connections move to another host, and stay there. */
    public function testAfterALossAnotherHostIsDialled(): void
    {
        $queue = new AmqpQueue($this->dsn(), 'hosts', ['timeout' => 20, 'heartbeat' => 1]);
        $queue->push('one');
        $first = $this->usedBy([0, 1, 2]);
        $this->hosts[$first]->freeze();
        $queue->push('two');
        $second = $this->usedBy(array_diff([0, 1, 2], [$first]));
        self::assertSame('two', $this->next($this->consumer($queue))->getName(), 'the other connection goes to the same host');

        $this->hosts[$second]->stop();
        $queue->push('three');
        self::assertSame(1, $this->on(3 - $first - $second)->count());
    }

    /** @return array<string, array{callable(): array{resource|list<resource>, string}}> */
    public static function silentHosts(): array
    {
        return [
            'takes no connection' => [static fn () => Sockets::swallowing()],
            'takes it and says nothing' => [static fn () => Sockets::silent()],
        ];
    }

    /**
     * @param callable(): array{resource|list<resource>, string} $silent
     * @dataProvider silentHosts
     */
    #[DataProvider('silentHosts')]
    public function testASilentHostCostsAMomentAndNotItsShareOfTheTimeout(callable $silent): void
    {
        [$held, $address] = $silent();
        $dsn = "amqp://guest:guest@$address,{$this->hosts[0]->address()}?host_order=given";
        $began = microtime(true);
        (new AmqpQueue($dsn, 'hosts', ['timeout' => 60]))->push('job');

        self::assertLessThan(15, microtime(true) - $began, 'half of the timeout is 30');
        self::assertSame(1, $this->on(0)->count());
        unset($held);
    }

    /**
     * A node that is cut off from its cluster answers heartbeats, but confirms nothing.
     *
     * @dataProvider one
     */
    #[DataProvider('one')]
    public function testAHostThatLivesAndConfirmsNothingIsLeftForAnother(string $broker): void
    {
        $at = $this->broker($broker);
        $ways = [new Proxy($at), new Proxy($at)];
        $dsn = str_replace($at->endpoint(), "{$ways[0]->address},{$ways[1]->address}", $at->dsn);
        $queue = new AmqpQueue($dsn, $this->uniqueName($at), ['timeout' => 50]);
        $queue->push('before');
        $taken = $ways[0]->counts()['open'] > 0 ? 0 : 1;
        $ways[$taken]->drop('disposition');
        $queue->push('one', null, ['id' => 'one']);
        $ids = $queue->pushMany([['name' => 'many', 'options' => ['id' => 'many-1']], ['name' => 'many', 'options' => ['id' => 'many-2']]]);

        self::assertSame(['many-1', 'many-2'], $ids);
        self::assertSame(0, $ways[$taken]->counts()['open']);
        self::assertSame(1, $ways[1 - $taken]->counts()['accepted']);
        self::assertSame(5, $queue->count(), 'the first way had taken one of the jobs');
    }

    /**
     * It attaches no link either, until the cluster has recovered.
     *
     * @dataProvider one
     */
    #[DataProvider('one')]
    public function testAHostThatLivesAndAttachesNothingIsLeftForAnother(string $broker): void
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        (new AmqpQueue($at->dsn, $name))->setup();
        $ways = [new Proxy($at), new Proxy($at)];
        foreach ($ways as $way) {
            $way->drop('attach');
        }
        $dsn = str_replace($at->endpoint(), "{$ways[0]->address},{$ways[1]->address}", $at->dsn);
        $consumer = $this->consumer(new AmqpQueue($dsn, $name, ['timeout' => 12, 'declare' => false]));
        $this->thrown(TimeoutException::class, static fn () => $consumer->waitTask());

        self::assertSame([1, 1], [$ways[0]->counts()['accepted'], $ways[1]->counts()['accepted']], 'both were asked');
    }

    /**
     * A consumer that was attached before receives nothing from it, and asks whether the queue is empty.
     *
     * @dataProvider one
     */
    #[DataProvider('one')]
    public function testAHostThatDoesNotSayWhetherThereIsMoreIsLeftForAnother(string $broker): void
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at);
        (new AmqpQueue($at->dsn, $name))->setup();
        $ways = [new Proxy($at), new Proxy($at)];
        $dsn = str_replace($at->endpoint(), "{$ways[0]->address},{$ways[1]->address}", $at->dsn);
        $consumer = $this->consumer(new AmqpQueue($dsn, $name, ['declare' => false]));
        self::assertNull($consumer->waitTask(0));
        $taken = $ways[0]->counts()['open'] > 0 ? 0 : 1;
        self::assertNull($consumer->waitTask(11), 'asked, and answered');
        self::assertSame(1, $ways[$taken]->counts()['open']);
        $ways[$taken]->drop('flow');
        for ($i = 0; $i < 24 && $ways[1 - $taken]->counts()['open'] === 0; ++$i) {
            self::assertNull($consumer->waitTask(1), 'also in short waits');
        }

        self::assertSame([0, 1], [$ways[$taken]->counts()['open'], $ways[1 - $taken]->counts()['open']]);
        (new AmqpQueue($at->dsn, $name))->push('job');
        self::assertSame('job', $this->next($consumer)->getName());
    }

    /** @return array<string, array{string}> */
    public static function one(): array
    {
        return array_slice(self::networked(), 0, 1);
    }

    public function testALossNamesTheHost(): void
    {
        $queue = new AmqpQueue($this->dsn() . '?host_order=given', 'hosts', ['timeout' => 10, 'redial_timeout' => 0.5]);
        $queue->push('one');
        foreach ($this->hosts as $host) {
            $host->stop();
        }
        $thrown = $this->thrown(\Amqp1\Exception\ConnectionException::class, static fn () => $queue->push('two'));

        foreach ($this->hosts as $host) {
            self::assertStringContainsString("(at {$host->address()})", $thrown->getMessage());
        }
        self::assertStringNotContainsString('guest:guest', $thrown->getMessage());
    }

    /** Children of a connected process: each pushes a job, and takes another job that only its own host has. */
    private function fork(string $query = ''): void
    {
        $output = Child::run(<<<'PHP'
            $queue = new Amqp1\AmqpQueue($argv[1], 'hosts', ['timeout' => 20]);
            $queue->count();
            for ($i = 0; $i < $argv[2]; ++$i) {
                $pids[] = $pid = pcntl_fork();
                if ($pid === 0) {
                    $queue->push('job');
                    $own = new Amqp1\AmqpQueue($argv[1], "own-$i", ['timeout' => 20]);
                    $own->push('mine');
                    $task = (new Amqp1\Consumer($own))->waitTask(10);
                    $task?->ack();
                    exit($task === null ? 1 : 0);
                }
            }
            foreach ($pids as $pid) {
                pcntl_waitpid($pid, $status);
                $ended[] = pcntl_wexitstatus($status);
            }
            echo array_sum($ended), ' failed';
            PHP, [$this->dsn() . $query, (string) self::PROCESSES]);

        self::assertStringContainsString('0 failed', $output);
    }

    private function dsn(): string
    {
        return 'amqp://guest:guest@' . implode(',', array_map(static fn ($host) => $host->address(), $this->hosts));
    }

    private function on(int $host): AmqpQueue
    {
        return new AmqpQueue($this->hosts[$host]->dsn, 'hosts', ['timeout' => 20]);
    }

    /** @param list<int> $hosts @return list<int> how many jobs each has */
    private function used(array $hosts = [0, 1, 2]): array
    {
        return array_map(fn ($host) => $this->on($host)->count(), $hosts);
    }

    /** @param array<int> $hosts the one of them that has a job */
    private function usedBy(array $hosts): int
    {
        $hosts = array_values($hosts);
        $used = array_keys(array_filter($this->used($hosts)));
        self::assertCount(1, $used);

        return $hosts[$used[0]];
    }
}
