<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Command\Top\Board;
use Amqp1\Command\Top\Desk;
use Amqp1\Command\Top\FailedPage;
use Amqp1\Command\Top\HelpPage;
use Amqp1\Command\Top\Page;
use Amqp1\Command\Top\Probes;
use Amqp1\Command\Top\QueuesPage;
use Amqp1\Command\Top\Reading;
use Amqp1\Command\Top\State;
use Amqp1\Command\Top\Watch;
use Amqp1\Command\Top\WatchedQueue;
use Amqp1\Command\Top\Words;
use Amqp1\Command\Top\Workers;
use Amqp1\Command\Top\WorkersPage;
use Amqp1\Console\ExitCode;
use Amqp1\Console\Screen\Line;
use Amqp1\Console\Text;
use Amqp1\Worker\Monitoring\Process;
use Amqp1\Worker\Monitoring\StateFile;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;

/** What `amqp1 top` makes of the figures, and its pages at several sizes: without a broker and without a terminal. */
final class TopTest extends TestCase
{
    private const DOWN = "queue 'mails' at amqp://guest@127.0.0.1:1: cannot connect to amqp://guest@127.0.0.1:1: Connection refused";

    public function testARateIsTheChangeOverTheLastTenSeconds(): void
    {
        $queue = new WatchedQueue('orders');
        self::assertSame([null, null, null, State::Asked], [$queue->reading(), $queue->change(), $queue->emptyIn(), $queue->state(0)]);
        $queue->answer(new Reading(0, ready: 1000, delayed: 0, reserved: 0, failed: 0));
        self::assertSame([null, State::Ok], [$queue->change(), $queue->state(0)], 'one reading has no rate');
        $queue->answer(new Reading(2, ready: 990, delayed: 4, reserved: 2, failed: 1));
        self::assertSame([-2.0, 498.0, 0.5, 1], [$queue->change(), $queue->emptyIn(), $queue->failedChange(), $queue->newlyFailed()]);
        foreach ([4, 6, 8, 10, 12, 14] as $at) {
            $queue->answer(new Reading($at, ready: 1000, failed: 1));
        }
        self::assertSame([0.0, null, 0], [$queue->change(), $queue->emptyIn(), $queue->newlyFailed()], 'the beginning is forgotten');
        $queue->answer(new Reading(100, ready: 2000));
        self::assertSame([1000 / 86, null, null], [$queue->change(), $queue->failedChange(), $queue->reading()?->failed], 'a broker that was asked rarely; one that does not tell');
    }

    public function testAnErrorEndsTheRatesAndALateAnswerIsSaid(): void
    {
        $queue = new WatchedQueue('orders');
        $queue->answer(new Reading(0, ready: 5));
        $queue->ask(10);
        self::assertSame([State::Ok, State::Late, 3.0], [$queue->state(12), $queue->state(13), $queue->silence(13)]);
        $queue->fail('gone', ExitCode::CONNECTION, 14);
        self::assertSame([State::Down, null, ExitCode::CONNECTION, true], [$queue->state(14), $queue->reading(), $queue->code(), $queue->isSlow()]);
        self::assertSame(16.0, $queue->due(2), 'a broker that is down is asked again after the interval');
        self::assertSame(10.0, $queue->silence(20), 'since it was asked');
        $queue->ask(16);
        $queue->answer(new Reading(17, ready: 5));
        self::assertSame([State::Ok, null, ExitCode::OK], [$queue->state(17), $queue->change(), $queue->code()]);
        self::assertSame(22.0, $queue->due(2), 'what took a second to count is asked for after five');
        $queue->ask(22);
        $queue->answer(new Reading(22.1, ready: 5));
        self::assertSame(24.0, round($queue->due(2), 3), 'else once an interval');
        $states = array_map(static fn (int $code) => State::after($code), [ExitCode::TIMEOUT, ExitCode::NOT_FOUND, ExitCode::FAILURE]);
        self::assertSame([State::Silent, State::Missing, State::Error], $states);
    }

    public function testTheOrder(): void
    {
        $board = new Board(['b', 'a10', 'a9', 'down', '7']);
        foreach (['b' => 5, 'a10' => 50, 'a9' => 7, '7' => 7] as $name => $ready) {
            $board->answer((string) $name, new Reading(1, ready: $ready, failed: 0), 0);
        }
        $board->fail('down', self::DOWN, ExitCode::CONNECTION, 1, 0);
        $names = static fn () => implode(' ', array_map(static fn (WatchedQueue $queue) => $queue->name, $board->sorted()));
        self::assertSame(['given', 'b a10 a9 down 7'], [$board->order(), $names()]);
        $board->reverse();
        self::assertSame('7 down a9 a10 b', $names());
        $board->sortByNext();
        self::assertSame(['name', '7 a9 a10 b down'], [$board->order(), $names()]);
        $board->sortByNext();
        self::assertSame(['ready', 'a10 a9 7 b down'], [$board->order(), $names()]);
        for ($order = 2; $order < count(Board::ORDERS); $order++) {
            $board->sortByNext();
        }
        self::assertSame('given', $board->order());
        self::assertSame([69, 1, 0, null], [$board->total('ready'), $board->failing(), $board->total('failed'), $board->total('reserved')]);
    }

    public function testEventsAreToldOnce(): void
    {
        $board = new Board(['orders']);
        $told = static fn () => array_map(static fn ($problem) => $problem->text, $board->problems(10));
        $board->fail('orders', 'refused (1 attempt)', ExitCode::CONNECTION, 10, 0);
        $board->fail('orders', 'refused (2 attempts)', ExitCode::CONNECTION, 12, 0);
        self::assertSame(['refused (1 attempt)'], $told());
        $board->answer('orders', new Reading(40, ready: 1, failed: 3), 0);
        $board->answer('orders', new Reading(42, ready: 1, failed: 3), 0);
        $board->answer('orders', new Reading(44, ready: 1, failed: 5), 0);
        self::assertSame(['2 more failed jobs', 'answers again, after 30 s', 'refused (1 attempt)'], $told());
        $board->answer('orders', new Reading(46, ready: 1, failed: 6), 2);
        self::assertSame('3 more failed jobs since ' . date('H:i:s', 0), $told()[0]);
        self::assertSame([false, true, false], array_map(static fn ($problem) => $problem->isOver, $board->problems(3)));
        foreach (range(1, 300) as $at) {
            $at % 2 === 0 ? $board->fail('orders', "no $at", ExitCode::FAILURE, 50 + $at, 0) : $board->answer('orders', new Reading(50 + $at), 0);
        }
        self::assertSame('no 300', $told()[0]);
        self::assertLessThanOrEqual(100, count($board->problems(PHP_INT_MAX)));
    }

    public function testWords(): void
    {
        self::assertSame(['-', '0', '99999', '100k', '12M'], array_map(Words::number(...), [null, 0, 99999, 100000, 12_345_678]));
        self::assertSame(['-', '0', '0', '+0.1', '-12.3', '+123', '-12k'], array_map(Words::rate(...), [null, 0.0, -0.01, 0.06, -12.34, 123.4, -12_345.0]));
        self::assertSame(['-', '0 s', '90 s', '2 min', '90 min', '3 h', '2 d'], array_map(Words::seconds(...), [null, 0.2, 90.0, 120.0, 5400.0, 10800.0, 172800.0]));
        self::assertSame('Connection refused', Words::error("queue 'a: b' at amqp://u@h:1/v: Connection refused"));
        self::assertSame('no answer', Words::error('amqps://u@h:1/v: no answer'));
        self::assertSame("queue 'a' at amqp://h does not exist", Words::error("queue 'a' at amqp://h does not exist"));
    }

    public function testTheOldestJobHasAColumnOnceABrokerTellsIt(): void
    {
        $board = new Board(['orders', 'mails']);
        $told = ['ready' => 1, 'delayed' => 0, 'reserved' => 0, 'consumers' => 0, 'failed' => 0, 'broker' => ['product' => 'p', 'version' => '1']];
        $board->answer('orders', Reading::of($told + ['oldest_age' => null, 'oldest_failed_age' => null], 1), 0);
        $page = new QueuesPage($board, new Workers([]), new FakeDesk(), 2.0);
        self::assertStringNotContainsString('OLDEST', $this->fitting($page, 120, 20)[1]);
        $board->answer('mails', Reading::of($told + ['oldest_age' => 130.0, 'oldest_failed_age' => 7.0], 1), 0);
        $lines = $this->fitting($page, 120, 20);
        self::assertSame([1, 1, 1], [preg_match('/ FAILED +OLDEST +CONSUMERS /', $lines[1]), preg_match('/^orders .* 0 +- +0 /', $lines[2]),
            preg_match('/^mails .* 0 +2 min +0 /', $lines[3])], implode("\n", $lines));
        for ($board->sortByNext(); $board->order() !== 'oldest'; $board->sortByNext());
        self::assertSame('mails', $board->sorted()[0]->name);
    }

    /** @return array<string, array{int, int}> */
    public static function sizes(): array
    {
        return ['the smallest' => [20, 4], 'narrow' => [40, 9], 'usual' => [80, 23], 'wide' => [200, 50]];
    }

    /** @dataProvider sizes */
    #[DataProvider('sizes')]
    public function testEachPageFitsEachSize(int $columns, int $rows): void
    {
        $board = $this->board();
        $desk = new FakeDesk();
        $page = new QueuesPage($board, new Workers([]), $desk, 2.0);
        $lines = $this->fitting($page, $columns, $rows);
        self::assertStringContainsString('READY', $lines[1]);
        self::assertSame($columns >= 40, str_contains($lines[1], 'FAILED'), $lines[1]);
        self::assertSame($columns >= 100, str_contains($lines[1], 'CONSUMERS'), $lines[1]);
        self::assertStringStartsWith('QUEUE', $lines[1]);
        if ($columns >= 40) {
            self::assertMatchesRegularExpression('/^orders .* 12 .* 3\b/', $lines[2]);
            self::assertMatchesRegularExpression('/^mails +down for \d+ s: ca/', $lines[3]);
        }
        if ($rows >= 23) {
            self::assertStringContainsString('cannot connect to', implode("\n", array_slice($lines, -3)));
        }
        $page->key('f');
        $failed = $desk->page;
        self::assertInstanceOf(FailedPage::class, $failed);
        self::assertSame(['do' => 'look', 'queue' => 'orders'], $desk->requests[0]);
        $this->fitting($failed, $columns, $rows);
        $jobs = [self::job('id-1', "no\e[31m good\nat all"), self::job('id-2', 'schlecht: 漢字')];
        foreach ([true, false] as $taken) {
            $failed->key('g');
            $desk->answer(['jobs' => $jobs, 'taken' => $taken]);
            $lines = $this->fitting($failed, $columns, $rows);
            if ($columns >= 80) {
                self::assertSame($taken, str_contains($lines[1], 'takes them in hand'), $lines[1]);
            }
        }
        if ($columns >= 40) {
            self::assertStringContainsString('bad', $lines[3]);
            self::assertStringContainsString('no [31m good', $lines[3]);
        }
        foreach (["\r" => 'enter', '?' => 'help'] as $key) {
            $key === 'help' ? $desk->open(new HelpPage($desk)) : $failed->key($key);
            foreach (['end', 'page-up', 'down', 'home'] as $move) {
                $desk->page->key($move);
                $this->fitting($desk->page, $columns, $rows);
            }
        }
        $page->key('e');
        $this->fitting($desk->page, $columns, $rows);
    }

    public function testMoreQueuesThanRowsScrollAndTheSelectedOneStaysSelectedWhenTheOrderChanges(): void
    {
        $names = array_map(static fn (int $n) => "queue-$n", range(1, 30));
        $board = new Board($names);
        foreach ($names as $n => $name) {
            $board->answer($name, new Reading(1, ready: $n), 0);
        }
        $desk = new FakeDesk();
        $page = new QueuesPage($board, new Workers([]), $desk, 2.0);
        $selected = function () use ($page): array {
            $rows = array_filter($page->lines(80, 12, 1), static fn (Line $line) => str_contains($line->rendered(80, true), "\e[7m"));

            return array_map(static fn (Line $line) => strtok($line->text(), ' '), array_values($rows));
        };
        self::assertSame(['queue-1'], $selected());
        foreach (['down', 'j', 'k', 'page-down', 'down'] as $key) {
            $page->key($key);
        }
        self::assertSame(['queue-13'], $selected());
        $page->key('s');
        $page->key('s');
        self::assertSame(['queue-13'], $selected());
        self::assertStringStartsWith('Sorted by ready', $desk->said);
        $page->key('end');
        self::assertSame(['queue-1'], $selected(), 'the least is last');
        $page->key('up');
        $page->key('f');
        self::assertSame('queue-2', $desk->requests[0]['queue']);
    }

    public function testWhatChangesManyJobsAsksFirst(): void
    {
        $board = $this->board();
        $desk = new FakeDesk();
        $page = new FailedPage($board->queue('orders'), $desk);
        $page->key('R');
        $page->key('r');
        self::assertCount(1, $desk->requests, 'nothing is there yet');
        $desk->answer(['jobs' => [self::job('id-1'), self::job('id-2')], 'taken' => true]);

        $page->key('down');
        $page->key('r');
        self::assertSame(['do' => 'retry', 'queue' => 'orders', 'id' => 'id-2'], $desk->requests[1]);
        $desk->answer(1);
        self::assertSame('bad id-2 moved back to orders', $desk->said);
        self::assertStringNotContainsString('id-2', $this->text($page));

        $page->key('D');
        self::assertSame(['Delete all 3 failed jobs of orders for good?', 2], [$desk->question, count($desk->requests)]);
        ($desk->yes)();
        self::assertSame('flush', $desk->requests[2]['do']);
        $desk->answer(3);
        self::assertStringContainsString('There are none', $this->text($page));

        $page->key('g');
        $desk->answer(['jobs' => [self::job('id-1')], 'taken' => true]);
        $page->key('r');
        $desk->answer(0);
        self::assertStringContainsString('not in the failed queue any more', $desk->said);
    }

    public function testABrokerThatDoesNotAnswerLeavesProbesForTheOthers(): void
    {
        $names = ['a', 'b', 'c', 'd'];
        $board = new Board($names);
        $probes = new class () implements Probes {
            /** @var array<string, callable> */
            public array $asked = [];

            public function ask(array $request, callable $then, int $spare = 0): bool
            {
                if (count($this->asked) + $spare >= 2) {
                    return false;
                }
                $this->asked[$request['queue']] = $then;

                return true;
            }

            public function end(string $queue, array $answer): void
            {
                $then = $this->asked[$queue];
                unset($this->asked[$queue]);
                $then($answer);
            }

            public function streams(): array
            {
                return [];
            }

            public function settle(): void
            {
            }

            public function close(float $patience): void
            {
            }
        };
        $watch = new Watch($board, $names, $probes, new Workers([]), 0.0);
        $figures = ['result' => ['ready' => 1, 'delayed' => 0, 'reserved' => 0, 'consumers' => 0, 'failed' => 0, 'oldest_age' => null, 'oldest_failed_age' => null, 'broker' => ['product' => 'p', 'version' => '1']]];
        $watch->ask();
        self::assertSame(['a', 'b'], array_keys($probes->asked));
        foreach (['a', 'b'] as $name) {
            $probes->end($name, ['error' => 'no answer', 'code' => ExitCode::TIMEOUT]);
        }
        $watch->ask();
        self::assertSame(['c', 'd'], array_keys($probes->asked), 'those that have waited longest');
        $probes->end('c', $figures);
        $probes->end('d', $figures);
        $watch->ask(true);
        self::assertSame(['a', 'c'], array_keys($probes->asked), 'of the two that were silent only one');
        self::assertTrue($watch->isWaiting());
    }

    public function testWorkersAreReadFromTheirStates(): void
    {
        $folder = sys_get_temp_dir() . '/amqp1-top-' . bin2hex(random_bytes(4));
        mkdir($folder);
        $pid = (int) getmypid();
        $now = ['pid' => $pid, 'born' => Process::born($pid), 'at' => hrtime(true), 'since' => null, 'in_hand' => 0, 'phase' => 'consuming', 'limit' => null];
        $figures = static fn (int $acked) => ['jobs' => ['orders' => ['acked' => $acked, 'retried' => 4, 'dead_lettered' => 0, 'lost' => 0],
            'mails' => ['acked' => 5]], 'started' => microtime(true) - 60, 'pauses' => false, 'memory' => 8 << 20];
        try {
            $file = StateFile::create("$folder/orders-1.state");
            $file->writeNow($now);
            $file->writeFigures($figures(100));
            $workers = new Workers(["$folder/*.state", "$folder/gone"]);
            $workers->read(1);
            self::assertSame([['orders-1', 'gone'], [105, null], [true, false], 1], [
                array_map(static fn ($worker) => $worker->name, $workers->all()), array_map(static fn ($worker) => $worker->done(), $workers->all()),
                array_map(static fn ($worker) => $worker->isReady(), $workers->all()), $workers->failing(),
            ]);
            self::assertNull($workers->doneRate('orders'));
            $file->writeFigures($figures(120));
            $file->writeNow(['since' => hrtime(true) - 3_000_000_000, 'in_hand' => 1] + $now);
            $workers->read(3);
            self::assertSame([10.0, 0.0], [$workers->doneRate('orders'), $workers->doneRate('mails')]);
            [$worker] = $workers->all();
            self::assertSame(['working on 1 job for 3.0 s', 10.0, 0.0, 1], [$worker->state(), $worker->doneRate(), $worker->failedRate(), $worker->inHand()]);

            $board = $this->board();
            $lines = $this->fitting(new QueuesPage($board, $workers, new FakeDesk(), 2.0), 120, 20);
            self::assertStringContainsString('2 workers, 1 not consuming', $lines[0]);
            self::assertMatchesRegularExpression('/^orders +12 +0 +10\.0 /', $lines[2]);
            foreach (self::sizes() as [$columns, $rows]) {
                $lines = $this->fitting(new WorkersPage($workers, new FakeDesk()), $columns, $rows);
                self::assertStringStartsWith('order', $lines[2]);
            }
            self::assertMatchesRegularExpression('/^orders-1 +10\.0 +0 +125 +8 MiB +60 s +\d+  working on 1 job for 3\.0 s/', $lines[2]);
            self::assertMatchesRegularExpression('/^gone .* no state/', $lines[3]);
            $this->fitting(new WorkersPage(new Workers([]), new FakeDesk()), 40, 9);
            $desk = new FakeDesk();
            (new WorkersPage($workers, $desk))->key('p');
            self::assertSame('orders-1 cannot be paused: it was started without signal handlers', $desk->said);
            $file->writeNow(['phase' => 'paused'] + $now);
            $workers->read(3.5);
            self::assertSame([true, false, 'paused'], [$worker->isPaused(), $worker->isReady(), $worker->state()]);

            $file->writeNow(['born' => 1] + $now);
            $workers->read(4);
            self::assertSame([false, 'not running: it ended without saying so'], [$worker->isAlive(), $worker->state()]);
            $file->writeNow(['pid' => 1, 'born' => Process::born(1)] + $now);
            $workers->read(5);
            self::assertNull($worker->doneRate(), 'another worker begins at 0');
            $file->close();
        } finally {
            array_map('unlink', glob("$folder/*") ?: []);
            rmdir($folder);
        }
    }

    private function board(): Board
    {
        $board = new Board(['orders', 'mails', 'a queue with quite a long name, as some have']);
        foreach ([1, 3] as $at) {
            $board->answer('orders', new Reading($at, ready: 12, delayed: 1, reserved: 2, consumers: 1, failed: 3, broker: 'rabbitmq 4.3.0'), 0);
            $board->answer('a queue with quite a long name, as some have', new Reading($at, ready: 123_456_789), 0);
        }
        $board->fail('mails', self::DOWN, ExitCode::CONNECTION, 3, 0);

        return $board;
    }

    /** @return array<string, mixed> as Probe answers it */
    private static function job(string $id, string $error = 'no good'): array
    {
        return [
            'payload' => "{\n    \"n\": 1\n}", 'payload_bytes' => 14, 'id' => $id, 'job' => 'bad', 'queue' => 'orders', 'reason' => 'failed',
            'error' => $error, 'exception' => 'DomainException', 'attempts' => 3, 'failed_at' => '2026-11-22T10:30:02Z',
            'headers' => ['tenant' => ['a', 'b']],
        ];
    }

    private function text(Page $page): string
    {
        return implode("\n", array_map(static fn (Line $line) => $line->text(), $page->lines(120, 20, 4)));
    }

    /** @return list<string> */
    private function fitting(Page $page, int $columns, int $rows): array
    {
        $lines = $page->lines($columns, $rows, 4);
        self::assertLessThanOrEqual($rows, count($lines));
        foreach ($lines as $line) {
            $drawn = (string) preg_replace('/\e\[[\d;]*m/', '', $line->rendered($columns, true));
            self::assertSame($columns, Text::width($drawn), $drawn);
            self::assertSame(0, preg_match('/\p{Cc}/u', $drawn), $drawn);
        }

        return array_map(static fn (Line $line) => $line->text(), $lines);
    }
}

/** Keeps what pages want to have done. */
final class FakeDesk implements Desk
{
    public ?Page $page = null;
    public string $said = '';
    public string $question = '';

    /** @var callable|null */
    public $yes = null;

    /** @var list<array<string, string>> */
    public array $requests = [];

    /** @var callable|null */
    private $then = null;

    public function open(Page $page): void
    {
        $this->page = $page;
    }

    public function back(): void
    {
    }

    public function quit(): void
    {
    }

    public function refresh(): void
    {
    }

    public function changeInterval(float $factor): float
    {
        return $factor;
    }

    public function say(string $text, bool $isBad = false): void
    {
        $this->said = $text;
    }

    public function confirm(string $question, callable $yes): void
    {
        [$this->question, $this->yes] = [$question, $yes];
    }

    public function act(array $request, string $doing, callable $then): void
    {
        $this->requests[] = $request;
        $this->then = $then;
    }

    public function answer(mixed $result): void
    {
        ($this->then)($result);
    }
}
