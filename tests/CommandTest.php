<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\Cli;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Peer;
use Amqp1\Tests\Support\ProgramBroker;
use PHPUnit\Framework\Attributes\DataProvider;

/** The command amqp1 on brokers: what it does, what it prints, its exit codes. */
final class CommandTest extends ContractTestCase
{
    private const HANDLERS = <<<'PHP'
        <?php
        return [
            'ok' => fn () => null,
            'bad' => fn (Amqp1\Task $task) => throw new DomainException("no good:\n\e[31m" . $task->getPayload()['n']),
            'long' => function () { fwrite(STDERR, "begin\n"); usleep(1_500_000); fwrite(STDERR, "end\n"); },
        ];
        PHP;

    private string $folder;

    protected function setUp(): void
    {
        $this->folder = sys_get_temp_dir() . '/amqp1-cli-' . bin2hex(random_bytes(6));
        mkdir($this->folder);
        $this->file('handlers.php', self::HANDLERS);
    }

    protected function tearDown(): void
    {
        array_map('unlink', glob("$this->folder/*") ?: []);
        rmdir($this->folder);
        parent::tearDown();
    }

    /** @dataProvider fullyFeatured */
    #[DataProvider('fullyFeatured')]
    public function testFromAPushToTheFailedQueueAndBack(string $broker): void
    {
        [$queue, $run] = $this->commandAt($broker);
        // RabbitMQ 3 does not count, so each listing waits a second for more jobs.
        $managed = $this->broker($broker)->supports('management');
        self::assertSame([0, "first\n", ''], $this->all($run('push', 'bad', '--payload', '{"n": 1, "o": {}}', '--id=first', '-H', 'tenant=a', '-H', 'tenant=b')));
        $pushed = $run('push', 'bad', '--payload=-', '--id', 'second', '--json', '--stdin={"n": 2}')->json();
        self::assertSame(['id' => 'second', 'job' => 'bad', 'queue' => $queue->getName()], $pushed);
        $run('push', 'ok');

        $worked = $run('work', '--handlers', "$this->folder/handlers.php", '--max-attempts', '2', '--backoff', '0',
            '--stop-when-empty', '--reserve-timeout', '1.5', '--json');
        self::assertSame(0, $worked->code, $worked->err);
        $summary = $worked->json();
        self::assertSame(['empty', 5, 1, 2, 2], [$summary['reason'], $summary['jobs'], $summary['acked'], $summary['retried'], $summary['dead_lettered']]);
        $lines = array_map(static fn ($line) => json_decode($line, true, 512, JSON_THROW_ON_ERROR), explode("\n", trim($worked->err)));
        self::assertSame(2, count(array_filter($lines, static fn ($line) => $line['level'] === 'error' && $line['attempt'] === 2
            && $line['exception'] === 'DomainException' && $line['job'] === 'bad')), $worked->err);

        // Listing changes nothing, however often: not their order, not their number, not their attempts.
        foreach (range(1, $managed ? 22 : 2) as $time) {
            $list = $run('failed:list', '--json')->json();
            self::assertSame(['first', 'second'], array_column($list, 'id'), "look $time");
            self::assertSame([2, 2], array_column($list, 'attempts'));
        }
        self::assertSame(['bad', $queue->getName(), 'failed', 'DomainException'], [$list[0]['job'], $list[0]['queue'], $list[0]['reason'], $list[0]['exception']]);
        self::assertMatchesRegularExpression('/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$/', $list[0]['failed_at']);
        $table = $run('failed:list', '--limit', '1');
        self::assertMatchesRegularExpression('/^ID +JOB +ATTEMPTS +FAILED AT +REASON +ERROR\nfirst +bad +2 +20\S+Z +failed +no good: \[31m1\n$/', $table->out);
        if ($managed) {
            self::assertStringContainsString('of 2', $table->err);
        }

        $shown = $run('failed:show', 'first', '--json')->json();
        self::assertSame([['n' => 1, 'o' => []], ['tenant' => ['a', 'b']], "no good:\n\e[31m1"], [$shown['payload'], $shown['headers'], $shown['error']]);
        $shown = $run('failed:show', 'second')->out;
        self::assertStringContainsString("\n{\n    \"n\": 2\n}\n", $shown);
        self::assertStringNotContainsString("\e", $shown);
        if ($managed) {
            self::assertSame([2, 0], [$run('stats', '--json')->json()[0]['failed'], count($queue)]);
        } else {
            $stats = $run('stats');
            self::assertSame([1, ''], [$stats->code, $stats->out], $stats->err);
        }

        $retried = $run('failed:retry', 'second', 'nobody', '--json');
        self::assertSame([3, 1], [$retried->code, $retried->json()['retried']]);
        self::assertStringContainsString('not in the failed queue', $retried->err);
        $task = $this->take($queue);
        self::assertSame(['second', 1, null], [$task->getId(), $task->getAttempts(), $task->getFailure()]);
        self::assertSame([0, "1 job moved back\n"], array_slice($this->all($run('failed:retry', '--all')), 0, 2));
        self::assertSame('first', $this->take($queue)->getId());
        self::assertSame([0, "0 jobs moved back\n"], array_slice($this->all($run('failed:retry', '--max=5')), 0, 2));
        $none = $run('failed:list');
        self::assertSame([0, ''], [$none->code, $none->out]);
        self::assertStringContainsString('No failed jobs', $none->err);
        self::assertSame([0, []], [$run('failed:list', '--json')->code, $run('failed:list', '--json')->json()]);

        $run('push', 'bad', '--payload={"n": 3}');
        $run('work', '--handlers', "$this->folder/handlers.php", '--max-attempts=1', '--max-jobs=1');
        self::assertSame([0, "1 failed job deleted\n", ''], $this->all($run('failed:flush', '--force')));
        self::assertSame([], $run('failed:list', '--json')->json());
    }

    /** @dataProvider fullyFeatured */
    #[DataProvider('fullyFeatured')]
    public function testLongMovesTellHowFarTheyAreAndFlushAsks(string $broker): void
    {
        [$queue, $run] = $this->commandAt($broker);
        $queue->pushMany(array_fill(0, 230, ['name' => 'bad', 'payload' => ['n' => 1]]));
        $run('work', '-H', "$this->folder/handlers.php", '--max-attempts=1', '--max-jobs=230', '--prefetch=100', '-q');
        $moved = $run('failed:retry', '--max', '210', '--progress');
        self::assertSame([0, "210 jobs moved back\n", "100 of 210\n200 of 210\n210 of 210\n"], $this->all($moved));
        $this->eventually(static fn () => count($queue) === 210, 'they are back');

        $asked = $run('failed:flush');
        self::assertSame([2, 20], [$asked->code, $run('stats', '--json')->json()[0]['failed']], $asked->err);
        self::assertStringContainsString('--force', $asked->err);
        self::assertSame(['deleted' => 20, 'queue' => $queue->getName()], $run('failed:flush', '--force', '--json')->json());
        self::assertSame(0, $run('stats', '--json')->json()[0]['failed']);
        self::assertSame([0, "0 failed jobs deleted\n"], array_slice($this->all($run('failed:flush', '-f')), 0, 2));
    }

    public function testAFileOfHandlersMayReturnABatchForAllJobs(): void
    {
        $broker = ProgramBroker::start();
        $handlers = $this->file('batch.php', '<?php return new Amqp1\Worker\Batch(fn ($tasks) => print(count($tasks) . " jobs\n"), size: 2, seconds: 0.2);');
        (new AmqpQueue($broker->dsn, 'q'))->pushMany(array_fill(0, 3, ['name' => 'row']));
        $run = Cli::run(['work', '-H', $handlers, '-Q', 'q', '--max-jobs=3', '-q'], ['AMQP1_DSN' => $broker->dsn]);
        self::assertSame([0, "2 jobs\n1 jobs\n", ''], [$run->code, $run->out, $run->err]);
        $run = Cli::run(['work', '-H', $handlers, '-Q', 'q', '--prefetch=1'], ['AMQP1_DSN' => $broker->dsn]);
        self::assertSame(2, $run->code);
        self::assertStringContainsString('The batches ("*" 2) need a prefetch of at least 2, but the worker option "prefetch" is 1', $run->err);
    }

    /** @dataProvider fullyFeatured */
    #[DataProvider('fullyFeatured')]
    public function testASignalEndsWorkInGoodOrder(string $broker): void
    {
        [$queue] = $this->commandAt($broker);
        $queue->push('long');
        $queue->push('ok');
        $worker = Child::command(Cli::command('work', '-H', "$this->folder/handlers.php", '-Q', $queue->getName()),
            ['AMQP1_DSN' => $this->broker($broker)->dsn]);
        $worker->waitFor('begin');
        $worker->signal(SIGTERM);

        self::assertSame(0, $worker->wait(20), $worker->output());
        self::assertMatchesRegularExpression("/^end\n(.*\n)*signal: 1 job in [\d.]+ s \(1 acked\)$/m", $worker->output());
        self::assertSame('ok', $this->take($queue)->getName());
    }

    /** @dataProvider fullyFeatured */
    #[DataProvider('fullyFeatured')]
    public function testAConfigurationInPlaceOfADsn(string $broker): void
    {
        $at = $this->broker($broker);
        [$orders, $mails] = [$this->uniqueName($at, 'orders'), $this->uniqueName($at, 'mails')];
        $config = $this->file('jobs.yaml', <<<YAML
            amqp1:
              addr: "$at->dsn"
            jobs:
              consume: ["orders"]
              pipelines:
                orders:
                  driver: amqp1
                  config: {queue: "$orders", max_attempts: 1}
                mails:
                  driver: amqp1
                  config: {queue: "$mails"}
            YAML);
        $run = static fn (string ...$words) => Cli::run($words, ['AMQP1_CONFIG' => $config]);

        self::assertSame([0, "orders: ready\nmails: ready\n", ''], $this->all($run('setup')));
        self::assertSame([['queue' => 'orders', 'ok' => true, 'error' => null]], $run('setup', '-Q', 'orders', '--json')->json());
        self::assertSame(0, $run('push', 'bad', '-p', '{"n":1}', '--queue', 'orders')->code);
        self::assertSame(0, $run('push', 'ok', '--queue', 'mails')->code);
        $stats = $run('stats', '--json')->json();
        self::assertSame(['orders' => 1, 'mails' => 1], array_column($stats, 'ready', 'queue'));
        self::assertMatchesRegularExpression('/^QUEUE .*\norders +1 .*\nmails +1 /', $run('stats')->out);
        self::assertSame(['orders', 'mails'], array_column($run('ping', '--json')->json(), 'queue'));

        $ambiguous = $run('push', 'ok');
        self::assertSame([2, ''], [$ambiguous->code, $ambiguous->out]);
        self::assertStringContainsString('--queue orders or --queue mails', $ambiguous->err);
        $wrong = $run('stats', '--queue', 'order');
        self::assertSame(2, $wrong->code);
        self::assertStringContainsString('did you mean "orders"?', $wrong->err);

        // Only the pipelines in "consume", with their own retry options.
        $summary = $run('work', '-H', "$this->folder/handlers.php", '--stop-when-empty', '--json')->json();
        self::assertSame([1, 1], [$summary['jobs'], $summary['dead_lettered']]);
        $summary = $run('work', '-H', "$this->folder/handlers.php", '--stop-when-empty', '--json', '-Q', 'mails,orders')->json();
        self::assertSame([1, 1], [$summary['jobs'], $summary['acked']]);
        self::assertSame(['bad'], array_column($run('failed:list', '-Q', 'orders', '--json')->json(), 'job'));
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testLookingAtAQueueDoesNotMakeIt(string $broker): void
    {
        $name = $this->uniqueName($this->broker($broker));
        foreach (['stats', 'failed:list'] as $command) {
            $looked = Cli::run([$command, '-Q', $name], ['AMQP1_DSN' => $this->broker($broker)->dsn]);
            self::assertSame('', $looked->out);
            self::assertSame($command === 'stats' ? 3 : 0, $looked->code, $looked->err);
        }
        $there = $this->queue($broker);
        $there->setup();
        $some = Cli::run(['stats', '-Q', "$name,{$there->getName()}", '--json'], ['AMQP1_DSN' => $this->broker($broker)->dsn]);
        self::assertSame([3, 0], [$some->code, $some->json()[1]['ready']], 'one that is missing does not hide the others');
        self::assertStringContainsString($name, $some->json()[0]['error']);
        $queue = new AmqpQueue($this->broker($broker)->dsn, $name, ['declare' => false]);
        $this->thrown(\Amqp1\Exception\QueueNotFoundException::class, static fn () => count($queue));
        $this->thrown(\Amqp1\Exception\QueueNotFoundException::class, static fn () => count($queue->failed()));
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAnIdThatIsNoTextIsShownInHexadecimalAndFoundByIt(string $broker): void
    {
        [$queue, $run] = $this->commandAt($broker);
        $queue->setup();
        $id = "\xf4\x7a\xc1\x0b\x58\xcc\x43\x72\xa5\x67\x0e\x02\xb2\xc3\xd4\x79";
        (new Peer($this->broker($broker)))->publish($queue->getName(), 'the body', ['message_id' => $id, 'delivery_mode' => 2]);
        $queue->reserve(10)->nack('no', false);
        $shown = '0xf47ac10b58cc4372a5670e02b2c3d479';

        self::assertSame([$shown], array_column($run('failed:list', '--json')->json(), 'id'));
        self::assertSame('the body', $run('failed:show', $shown, '--json')->json()['payload']);
        self::assertSame([0, "1 job moved back\n"], array_slice($this->all($run('failed:retry', $shown)), 0, 2));
        self::assertSame(bin2hex($id), bin2hex($this->take($queue)->getId()));
    }

    public function testAPayloadFromAFileAndABinaryText(): void
    {
        [$queue, $run] = $this->commandAt('program');
        $run('push', 'a', '-p', '@' . $this->file('p.json', '[1.0, "ü", {}]'));
        $run('push', 'b', '--text', '@' . $this->file('p.bin', "\x00\xff\n"));
        self::assertSame('[1.0,"ü",{}]', strtr($this->take($queue)->getBody(), ['\u00fc' => 'ü']));
        self::assertSame("\x00\xff\n", $this->take($queue)->getPayload());
        $run('push', 'c', '--text', '{"not": "json"}', '--delay', '0', '--priority', '7', '--trace-id', 't-1');
        $task = $this->take($queue);
        self::assertSame(['{"not": "json"}', 7, 't-1'], [$task->getPayload(), $task->getPriority(), $task->getTraceId()]);
        $run('push', 'd');
        self::assertNull($this->take($queue)->getPayload());
    }

    public function testAHandlersFileMayReturnACallableOrAWorker(): void
    {
        [$queue, $run] = $this->commandAt('program');
        $queue->pushMany([['name' => 'x'], ['name' => 'y'], ['name' => 'z']]);
        $one = $this->file('one.php', '<?php return fn ($task) => print($task->getName() . Boot::WORD . "\n");');
        $boot = $this->file('boot.php', '<?php class Boot { const WORD = "!"; }');
        self::assertSame("x!\ny!\nmax jobs: 2 jobs in", substr($run('work', '--handlers', $one, '--bootstrap', $boot, '--max-jobs', '2', '-q')->out . 'max jobs: 2 jobs in', 0, 25));
        $dsn = var_export($this->broker('program')->dsn, true);
        $name = var_export($queue->getName(), true);
        $worker = $this->file('worker.php', "<?php return new Amqp1\\Worker(new Amqp1\\AmqpQueue($dsn, $name), ['z' => fn () => print('z')], ['maxJobs' => 1]);");
        $given = Cli::run(['work', '--handlers', $worker, '--max-jobs', '3']);
        self::assertSame(2, $given->code);
        self::assertStringContainsString('--max-jobs must be set there', $given->err);
        self::assertStringStartsWith('z', Cli::run(['work', '--handlers', $worker])->out);
        self::assertCount(0, $queue);
        self::assertSame(2, $run('work', '-H', $this->file('none.php', '<?php return 5;'))->code);
        $broken = $run('work', '-H', $this->file('broken.php', "<?php\nreturn nobody();"));
        self::assertSame(1, $broken->code);
        self::assertStringContainsString('nobody() (Error in ' . $this->folder . '/broken.php:2)', $broken->err);
    }

    public function testPing(): void
    {
        $dsn = $this->broker('program')->dsn;
        $answer = Cli::run(['ping', '--json'], ['AMQP1_DSN' => $dsn])->json();
        self::assertSame('amqp1-broker', $answer[0]['broker']['product']);
        self::assertGreaterThan(0, $answer[0]['seconds']);
        self::assertMatchesRegularExpression('/^QUEUE +BROKER +MS\n- +amqp1-broker \S+ +[\d.]+\n$/', Cli::run(['ping', '--dsn', $dsn])->out);
        $nobody = Cli::run(['ping', '--timeout', '2'], ['AMQP1_DSN' => 'amqp://guest:geheim@127.0.0.1:1']);
        self::assertSame([4, ''], [$nobody->code, $nobody->out]);
        self::assertStringContainsString('127.0.0.1:1', $nobody->err);
        self::assertStringNotContainsString('geheim', $nobody->err);
    }

    /** @dataProvider newestRabbitMq */
    #[DataProvider('newestRabbitMq')]
    public function testALoginThatIsRefused(string $broker): void
    {
        $refused = Cli::run(['ping'], ['AMQP1_DSN' => $this->broker($broker)->withCredentials('guest', 'geheim')]);
        self::assertSame(4, $refused->code);
        self::assertStringNotContainsString('geheim', $refused->err);
    }

    public function testAPasswordOnTheCommandLineIsHiddenFromTheListOfProcesses(): void
    {
        $dsn = str_replace('guest:guest@', 'guest:geheim@', $this->broker('program')->dsn);
        $worker = Child::command(Cli::command('work', '-H', "$this->folder/handlers.php", '--dsn', $dsn, '-Q', 'hidden', '-v'));
        $pid = $worker->pid();
        $this->eventually(static fn () => !str_contains((string) file_get_contents("/proc/$pid/cmdline"), 'geheim'), 'it is overwritten', 10);
        $worker->signal(SIGTERM);
        $worker->wait(10);
        self::assertStringNotContainsString('geheim', $worker->output());
    }

    private function file(string $name, string $content): string
    {
        file_put_contents("$this->folder/$name", $content);

        return "$this->folder/$name";
    }

    /** @return array{AmqpQueue, callable(string...): Cli} a queue of this test, and the command for it */
    private function commandAt(string $broker): array
    {
        $at = $this->broker($broker);
        $queue = $this->queue($broker, [], $this->uniqueName($at, 'cli'));

        return [$queue, static function (string ...$words) use ($at, $queue): Cli {
            $input = '';
            foreach ($words as $index => $word) {
                if (str_starts_with($word, '--stdin=')) {
                    $input = substr($word, 8);
                    unset($words[$index]);
                }
            }

            return Cli::run([...array_values($words), '--queue', $queue->getName()], ['AMQP1_DSN' => $at->dsn], $input);
        }];
    }

    /** @return array{int, string, string} */
    private function all(Cli $run): array
    {
        return [$run->code, $run->out, $run->err];
    }
}
